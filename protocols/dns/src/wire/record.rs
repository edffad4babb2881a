use std::net::IpAddr;

use domain::base::iana::{Class, Rtype};

use super::name::DomainName;

/// What a record says. Names in it are spelled out: most kinds of records do not allow anything else.
#[derive(Clone, Debug)]
pub(crate) enum Data<'a> {
    Address(IpAddr),
    Srv { weight: u16, port: u16, target: &'a DomainName },
    Cname(&'a DomainName),
    Ptr(&'a DomainName),
    Ns(&'a DomainName),
    Txt(&'a [u8]),
    Soa(&'a Soa),
}

#[derive(Clone, Debug)]
pub(crate) struct Soa {
    pub(crate) server: DomainName,
    pub(crate) mailbox: DomainName,
    pub(crate) serial: u32,
    pub(crate) refresh: u32,
    pub(crate) retry: u32,
    pub(crate) expire: u32,
    pub(crate) min_ttl: u32,
}

/// Of all records that can be preferred to one another, all are equal.
const PRIORITY: u16 = 1;
/// Bytes of one string in a text.
const STRING: usize = 255;

impl Data<'_> {
    fn rtype(&self) -> Rtype {
        match self {
            Data::Address(IpAddr::V4(_)) => Rtype::A,
            Data::Address(IpAddr::V6(_)) => Rtype::AAAA,
            Data::Srv { .. } => Rtype::SRV,
            Data::Cname(_) => Rtype::CNAME,
            Data::Ptr(_) => Rtype::PTR,
            Data::Ns(_) => Rtype::NS,
            Data::Txt(_) => Rtype::TXT,
            Data::Soa(_) => Rtype::SOA,
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Data::Address(IpAddr::V4(address)) => out.extend(address.octets()),
            Data::Address(IpAddr::V6(address)) => out.extend(address.octets()),
            Data::Srv { weight, port, target } => {
                [PRIORITY, *weight, *port].iter().for_each(|number| out.extend(number.to_be_bytes()));
                out.extend_from_slice(target.as_bytes());
            }
            Data::Cname(name) | Data::Ptr(name) | Data::Ns(name) => out.extend_from_slice(name.as_bytes()),
            Data::Txt([]) => out.push(0),
            Data::Txt(text) => {
                for string in text.chunks(STRING) {
                    out.push(u8::try_from(string.len()).unwrap_or(u8::MAX));
                    out.extend_from_slice(string);
                }
            }
            Data::Soa(soa) => {
                out.extend_from_slice(soa.server.as_bytes());
                out.extend_from_slice(soa.mailbox.as_bytes());
                let numbers = [soa.serial, soa.refresh, soa.retry, soa.expire, soa.min_ttl];
                numbers.iter().for_each(|number| out.extend(number.to_be_bytes()));
            }
        }
    }
}

/// A record without its owner: type, class, TTL and data.
pub(crate) fn body(ttl: u32, data: &Data<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    out.extend(data.rtype().to_int().to_be_bytes());
    out.extend(Class::IN.to_int().to_be_bytes());
    out.extend(ttl.to_be_bytes());
    let before = out.len();
    out.extend([0, 0]);
    data.write(&mut out);
    let length = u16::try_from(out.len() - before - 2).unwrap_or(u16::MAX).to_be_bytes();
    if let Some(place) = out.get_mut(before..before + 2) {
        place.copy_from_slice(&length);
    }
    out
}
