use domain::base::iana::{OptRcode, Rtype};
use domain::base::{Header, HeaderCounts};

use super::name::DomainName;
use super::query::{Edns, Query, Subnet};
use super::sheaf::{Owner, Sheaf, Sheared};

/// A message being written: header and question first, then records section by section, then what it says about itself.
#[derive(Debug)]
pub(crate) struct Reply<'a> {
    out: &'a mut Vec<u8>,
    /// Where the message begins in `out`.
    base: usize,
    header: Header,
    counts: HeaderCounts,
    /// Where the domain begins in the message.
    domain: usize,
    edns: Option<Edns>,
    rcode: OptRcode,
}

/// The flags that an answer sets for itself.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Flags {
    pub(crate) authoritative: bool,
    pub(crate) recursion: bool,
}

/// The records of an answer.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sections<'a> {
    pub(crate) answers: Option<&'a Sheaf>,
    pub(crate) authority: Option<&'a Sheaf>,
    /// What goes along without an answer that it belongs to.
    pub(crate) additional: Option<&'a Sheaf>,
}

/// How much may be said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// Bytes of the message.
    pub(crate) bytes: usize,
    /// Answers beyond which some are left out because of the way it is sent.
    pub(crate) answers: usize,
    /// Say that something was left out.
    pub(crate) truncate: bool,
}

const HEADER: usize = 12;
const POINTER: usize = 2;
/// Names beyond this place in a message cannot be pointed at.
const FARTHEST: usize = 0x3fff;
const OPT: usize = 11;
const CLIENT_SUBNET: u16 = 8;

impl<'a> Reply<'a> {
    pub(crate) fn to(query: &Query<'_>, out: &'a mut Vec<u8>) -> Reply<'a> {
        Reply::with(query.header, query.question, query.edns, OptRcode::NOERROR, out)
    }

    pub(crate) fn with(
        asked: Header,
        question: &[u8],
        edns: Option<Edns>,
        rcode: OptRcode,
        out: &'a mut Vec<u8>,
    ) -> Reply<'a> {
        let mut header = Header::new();
        header.set_id(asked.id());
        header.set_opcode(asked.opcode());
        header.set_rd(asked.rd());
        header.set_cd(asked.cd());
        header.set_qr(true);
        let mut counts = HeaderCounts::new();
        counts.set_qdcount(u16::from(!question.is_empty()));
        let base = out.len();
        out.extend([0; HEADER]);
        out.extend_from_slice(question);
        Reply { out, base, header, counts, domain: 0, edns, rcode }
    }

    /// The answer is for the network that was asked for and no other.
    pub(crate) fn network_matters(mut self, matters: bool) -> Reply<'a> {
        if let Some(Edns { subnet: Some(subnet), .. }) = &mut self.edns {
            subnet.scope = if matters { subnet.prefix } else { 0 };
        }
        self
    }

    /// The asker's word on the longest datagram is given back, as far as it is kept to.
    pub(crate) fn largest(mut self, bytes: u16) -> Reply<'a> {
        if let Some(edns) = &mut self.edns {
            edns.size = edns.size.min(bytes).max(512);
        }
        self
    }

    /// The domain is made of the last bytes of the name that was asked for.
    pub(crate) fn in_domain(mut self, bytes: usize) -> Reply<'a> {
        const TYPE_AND_CLASS: usize = 4;
        self.domain = (self.out.len() - self.base).saturating_sub(bytes + TYPE_AND_CLASS);
        self
    }

    pub(crate) fn flags(mut self, flags: Flags) -> Reply<'a> {
        self.header.set_aa(flags.authoritative);
        self.header.set_ra(flags.recursion);
        self
    }

    pub(crate) fn rcode(mut self, rcode: OptRcode) -> Reply<'a> {
        self.rcode = rcode;
        self
    }

    /// Says that something was left out.
    pub(crate) fn cut(mut self) -> Reply<'a> {
        self.header.set_tc(true);
        self
    }

    /// Writes as much as fits, in the order of `chosen`. One answer always stays.
    pub(crate) fn sections(mut self, sections: Sections<'_>, chosen: &[usize], bounds: Bounds) -> Reply<'a> {
        let limit = self.base + bounds.bytes.saturating_sub(self.edns_size());
        let mut kept: Vec<(Sheared<'_>, Option<usize>)> = Vec::with_capacity(chosen.len().min(16));
        let mut along = Groups::default();
        let mut reserved = 0;
        let mut previous = None;
        let mut cut = chosen.len() > bounds.answers;
        if let Some(sheaf) = sections.answers {
            for piece in chosen.iter().take(bounds.answers).filter_map(|index| sheaf.get(*index)) {
                let before = self.out.len();
                self.owner(piece.owner, None, previous);
                let target = self.body(piece.body);
                let extras: usize = match along.contains(piece.group) {
                    true => 0,
                    false => piece
                        .extras()
                        .filter(|(_, body)| needed(body))
                        .map(|extra| self.size(extra, target))
                        .sum(),
                };
                if self.out.len() + reserved + extras > limit && !kept.is_empty() {
                    self.out.truncate(before);
                    cut = true;
                    break;
                }
                previous = target.or(previous);
                reserved += extras;
                along.insert(piece.group);
                kept.push((piece, target));
            }
        }
        self.counts.set_ancount(u16::try_from(kept.len()).unwrap_or(u16::MAX));
        self.authority(sections.authority, limit.saturating_sub(reserved), &mut kept);
        self.additional(sections.additional, &kept, limit);
        self.header.set_tc(cut && bounds.truncate);
        self
    }

    /// All of it or nothing: it is the first to go.
    fn authority<'s>(
        &mut self,
        sheaf: Option<&'s Sheaf>,
        limit: usize,
        kept: &mut Vec<(Sheared<'s>, Option<usize>)>,
    ) {
        let Some(sheaf) = sheaf else { return };
        let pieces: Vec<Sheared<'s>> = (0..sheaf.len()).filter_map(|index| sheaf.get(index)).collect();
        let bytes: usize = pieces
            .iter()
            .map(|piece| {
                POINTER + piece.body.len() + piece.extras().map(|extra| self.size(extra, None)).sum::<usize>()
            })
            .sum();
        if self.out.len() + bytes > limit {
            return;
        }
        for piece in pieces {
            self.owner(piece.owner, None, None);
            let target = self.body(piece.body);
            self.counts.set_nscount(self.counts.nscount().saturating_add(1));
            kept.push((Sheared { group: usize::MAX - kept.len(), ..piece }, target));
        }
    }

    /// Addresses first; what is only good to know as far as there is room.
    fn additional(&mut self, sheaf: Option<&Sheaf>, kept: &[(Sheared<'_>, Option<usize>)], limit: usize) {
        for of_need in [true, false] {
            let mut seen = Groups::default();
            for (piece, target) in kept {
                if !seen.insert(piece.group) {
                    continue;
                }
                for extra in piece.extras().filter(|(_, body)| needed(body) == of_need) {
                    let fits = self.out.len() + self.size(extra, *target) <= limit;
                    if of_need || fits {
                        self.owner(extra.0, *target, None);
                        self.body(extra.1);
                        self.counts.set_arcount(self.counts.arcount().saturating_add(1));
                    }
                }
            }
        }
        let Some(sheaf) = sheaf else { return };
        for piece in (0..sheaf.len()).filter_map(|index| sheaf.get(index)) {
            if self.out.len() + POINTER + piece.body.len() <= limit {
                self.owner(piece.owner, None, None);
                self.body(piece.body);
                self.counts.set_arcount(self.counts.arcount().saturating_add(1));
            }
        }
    }

    fn owner(&mut self, owner: Owner, target: Option<usize>, previous: Option<usize>) {
        let at = match owner {
            Owner::Question => HEADER,
            Owner::Domain => self.domain,
            Owner::Target => target.unwrap_or(HEADER),
            Owner::Previous => previous.unwrap_or(HEADER),
        };
        if let Ok(near) = u16::try_from(at)
            && at <= FARTHEST
        {
            self.out.extend((0xc000 | near).to_be_bytes());
            return;
        }
        // Too far away to be pointed at: spelled out again.
        let from = self.base + at;
        let length = self.length_of_name(at);
        self.out.extend_from_within(from..from + length);
    }

    /// Bytes of an extra with its owner.
    fn size(&self, (owner, body): (Owner, &[u8]), target: Option<usize>) -> usize {
        let spelled = match (owner, target) {
            (Owner::Target, Some(at)) if at > FARTHEST => self.length_of_name(at),
            _ => POINTER,
        };
        spelled + body.len()
    }

    /// Bytes of the name that is spelled out at this place.
    fn length_of_name(&self, at: usize) -> usize {
        let name = self.out.get(self.base + at..).unwrap_or_default();
        let mut end = 0;
        while let Some(&length) = name.get(end) {
            end += 1 + usize::from(length);
            if length == 0 {
                break;
            }
        }
        end
    }

    /// Gives where the name is that the record leads to, if it leads to one.
    fn body(&mut self, body: &[u8]) -> Option<usize> {
        let at = self.out.len() - self.base;
        self.out.extend_from_slice(body);
        target(body).map(|offset| at + offset)
    }

    /// The message is whole.
    pub(crate) fn finish(mut self) {
        if let Some(edns) = self.edns {
            self.opt(edns);
        }
        self.header.set_rcode(self.rcode.rcode());
        let head = self.out.get_mut(self.base..self.base + HEADER);
        if let Some((flags, counts)) = head.and_then(|head| head.split_at_mut_checked(4)) {
            flags.copy_from_slice(self.header.as_slice());
            counts.copy_from_slice(self.counts.as_slice());
        }
    }

    fn edns_size(&self) -> usize {
        self.edns.map_or(0, |edns| OPT + edns.subnet.map_or(0, |subnet| 8 + subnet_bytes(&subnet).len()))
    }

    fn opt(&mut self, edns: Edns) {
        self.out.push(0);
        self.out.extend(Rtype::OPT.to_int().to_be_bytes());
        self.out.extend(edns.size.to_be_bytes());
        self.out.extend([self.rcode.ext(), 0, 0, 0]);
        let options = match edns.subnet {
            None => Vec::new(),
            Some(subnet) => client_subnet(&subnet),
        };
        self.out.extend(u16::try_from(options.len()).unwrap_or(0).to_be_bytes());
        self.out.extend(options);
        self.counts.set_arcount(self.counts.arcount().saturating_add(1));
    }
}

/// The network that was asked for, given back: the answer is the same for all networks.
fn client_subnet(subnet: &Subnet) -> Vec<u8> {
    let address = subnet_bytes(subnet);
    let family: u16 = if subnet.address.is_ipv4() { 1 } else { 2 };
    let mut option = Vec::with_capacity(24);
    option.extend(CLIENT_SUBNET.to_be_bytes());
    option.extend(u16::try_from(4 + address.len()).unwrap_or(0).to_be_bytes());
    option.extend(family.to_be_bytes());
    option.extend([subnet.prefix, subnet.scope]);
    option.extend(address);
    option
}

/// As many bytes as the prefix needs.
fn subnet_bytes(subnet: &Subnet) -> Vec<u8> {
    let mut bytes = match subnet.address {
        std::net::IpAddr::V4(address) => address.octets().to_vec(),
        std::net::IpAddr::V6(address) => address.octets().to_vec(),
    };
    bytes.truncate(usize::from(subnet.prefix).div_ceil(8));
    bytes
}

/// Where an alias leads; None: it is none.
pub(crate) fn cname_target(body: &[u8]) -> Option<DomainName> {
    const DATA: usize = 10;
    (rtype(body)? == Rtype::CNAME).then(|| DomainName::from_bytes(body.get(DATA..)?)).flatten()
}

fn rtype(body: &[u8]) -> Option<Rtype> {
    body.first_chunk().copied().map(|bytes| Rtype::from_int(u16::from_be_bytes(bytes)))
}

/// Where in a record's body the name begins that it leads to; it goes on to the end.
fn target(body: &[u8]) -> Option<usize> {
    const DATA: usize = 10;
    match rtype(body)? {
        Rtype::SRV => Some(DATA + 6),
        Rtype::CNAME | Rtype::NS | Rtype::PTR => Some(DATA),
        _ => None,
    }
}

/// A target without its address is of no use; a text about it is only good to know.
fn needed(body: &[u8]) -> bool {
    rtype(body) != Some(Rtype::TXT)
}

/// Which groups were there already.
#[derive(Debug, Default)]
struct Groups {
    /// The first ones, which is nearly always all.
    few: Vec<usize>,
    many: std::collections::HashSet<usize>,
}

impl Groups {
    const FEW: usize = 16;

    fn contains(&self, group: usize) -> bool {
        self.few.contains(&group) || (!self.many.is_empty() && self.many.contains(&group))
    }

    /// Whether it is new.
    fn insert(&mut self, group: usize) -> bool {
        if self.contains(group) {
            return false;
        }
        match self.few.len() < Groups::FEW {
            true => self.few.push(group),
            false => drop(self.many.insert(group)),
        }
        true
    }
}
