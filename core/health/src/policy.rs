//! Where probes may go. A registry that connects to whatever it is told would be a port scanner with a good view of
//! the network, so the rules are asked twice: when a check is registered (by name, of the registrant), and when it
//! is probed (by the address that the name resolves to, just before connecting to that very address).

mod forms;
mod host;

use std::net::IpAddr;

use ipnet::IpNet;
use switchboard_model::{Check, Probe, Rejection, Target};
use switchboard_registry::Caller;

use crate::Config;
use crate::probe::http;
use crate::turn::CALLER;

pub use host::Host;

#[derive(Clone, Debug)]
pub struct Policy {
    allow: Box<[IpNet]>,
    deny: Box<[IpNet]>,
    allow_loopback: bool,
}

/// Whose address a check goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Aim {
    /// The address of the instance or node that it is about.
    Own,
    /// Another one, which the check names itself.
    Elsewhere,
}

/// Why nobody may connect to the address on behalf of others, whatever is configured and however it is written.
pub fn forbidden(ip: IpAddr) -> Option<&'static str> {
    match forms::plain(ip) {
        Ok(ip) => forms::all(ip).find_map(forms::forbidden),
        Err(_) => Some("another way of writing an IPv4 address"),
    }
}

impl Aim {
    pub fn of(owner_address: &str, target_host: Option<&str>) -> Aim {
        let is_own = |host: &str| match (Host::parse(host), Host::parse(owner_address)) {
            (Ok(a), Ok(b)) => a == b,
            _ => host.eq_ignore_ascii_case(owner_address),
        };
        if target_host.is_none_or(is_own) { Aim::Own } else { Aim::Elsewhere }
    }
}

impl Policy {
    pub fn new(config: &Config) -> Policy {
        Policy {
            allow: config.allow.clone().into(),
            deny: config.deny.clone().into(),
            allow_loopback: config.allow_loopback,
        }
    }

    /// Whether `caller` may have this check made of an instance or a node at `owner_address` (empty: it has none).
    /// For every write that decides where an active check goes: of the check, and of the address of whatever has
    /// active checks.
    pub fn admit_check(&self, caller: &Caller, owner_address: &str, check: &Check) -> Result<(), Rejection> {
        let Some(target) = target(&check.probe) else { return Ok(()) };
        // Our own verdicts define nothing, and have to be kept also where a target has been forbidden since.
        if caller.peer.is_none() && caller.through == CALLER.through {
            return Ok(());
        }
        if owner_address.is_empty() && target.host.is_none() {
            return Err(Rejection::invalid(
                "check.host",
                "must be given: what the check is about has no address",
            ));
        }
        if let Probe::Http(probe) = &check.probe {
            http::validate(probe)?;
        }
        let forbidden =
            |why| Rejection::Forbidden { why: format!("check {:?}: {why}", check.key.id.as_str()) };
        self.admit(caller.is_local(), owner_address, target.host.as_deref()).map_err(forbidden)
    }

    /// Whether a registrant may have a host probed. None: the owner's own address. Err says which setting to change.
    pub fn admit(
        &self,
        caller_is_local: bool,
        owner_address: &str,
        target_host: Option<&str>,
    ) -> Result<(), String> {
        let aim = Aim::of(owner_address, target_host);
        let host = Host::parse(target_host.unwrap_or(owner_address))?;
        if caller_is_local {
            return match &host {
                Host::Ip(ip) => self.vet(aim, &host, *ip).map(drop),
                // What the name stands for is looked at when it is probed.
                Host::Name(_) if aim == Aim::Own || host.is_localhost() || !self.allow.is_empty() => Ok(()),
                Host::Name(name) => Err(elsewhere(name)),
            };
        }
        if self.allow.is_empty() {
            return Err(
                "active checks from other machines are off; list the networks that they may reach in \
                        `health.allow`, or use a TTL check"
                    .to_owned(),
            );
        }
        match &host {
            Host::Ip(ip) => {
                let ip = self.vet(aim, &host, *ip)?;
                if self.is_allowed(ip) { Ok(()) } else { Err(outside(&host)) }
            }
            Host::Name(name) if host.is_localhost() && !self.allows_loopback_to_anyone() => {
                Err(outside_loopback(name))
            }
            Host::Name(_) => Ok(()),
        }
    }

    /// Whether a probe may connect to `ip`, which `host` stands for at this moment. Ok: in the form to connect to.
    pub fn vet(&self, aim: Aim, host: &Host, ip: IpAddr) -> Result<IpAddr, String> {
        let ip = forms::plain(ip)?;
        let shown = host.shown(ip);
        for form in forms::all(ip) {
            if let Some(what) = forms::forbidden(form) {
                return Err(format!("{shown} is never probed: it is {what}"));
            }
            if self.deny.iter().any(|net| net.contains(&form)) {
                return Err(format!("{shown} may not be probed: it is in `health.deny`"));
            }
            if form != ip && form.is_loopback() {
                return Err(format!("{shown} is never probed: it is a loopback address in another form"));
            }
        }
        if ip.is_loopback() {
            return self.vet_loopback(aim, host, ip).map(|()| ip);
        }
        match aim {
            _ if self.is_allowed(ip) => Ok(ip),
            Aim::Own if self.allow.is_empty() => Ok(ip),
            Aim::Own => Err(outside(host)),
            Aim::Elsewhere => Err(elsewhere(&shown)),
        }
    }

    /// Where callers elsewhere may register checks, a name that merely resolves to this machine is a way around.
    fn vet_loopback(&self, aim: Aim, host: &Host, ip: IpAddr) -> Result<(), String> {
        let shown = host.shown(ip);
        if !self.allow_loopback {
            return Err(format!("{shown} may not be probed: `health.allow_loopback` is off"));
        }
        let says_so = matches!(host, Host::Ip(_)) || host.is_localhost();
        let is_own_name = aim == Aim::Own && self.allow.is_empty();
        if says_so || is_own_name || self.is_allowed(ip) { Ok(()) } else { Err(outside_loopback(&shown)) }
    }

    fn is_allowed(&self, ip: IpAddr) -> bool {
        self.allow.iter().any(|net| net.contains(&ip) && (!ip.is_loopback() || net.network().is_loopback()))
    }

    fn allows_loopback_to_anyone(&self) -> bool {
        self.allow_loopback && self.allow.iter().any(|net| net.network().is_loopback())
    }
}

/// Where an active probe goes. None: it is not active.
pub(crate) fn target(probe: &Probe) -> Option<&Target> {
    match probe {
        Probe::Http(http) => Some(&http.target),
        Probe::Tcp { target } | Probe::Udp { target } | Probe::Grpc { target, .. } => Some(target),
        Probe::Ttl { .. } | Probe::Manual => None,
    }
}

fn outside(host: &Host) -> String {
    format!("{host} may not be probed: it is in no network of `health.allow`")
}

fn outside_loopback(shown: &str) -> String {
    format!("{shown} may not be probed: it is this machine, and `health.allow` holds no loopback network")
}

fn elsewhere(shown: &str) -> String {
    format!(
        "{shown} may not be probed: it is not the own address of what is checked; \
         to probe other addresses, list their network in `health.allow`"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(allow: &[&str], deny: &[&str], allow_loopback: bool) -> Policy {
        let nets = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Policy::new(&Config { allow: nets(allow), deny: nets(deny), allow_loopback, ..Config::default() })
    }

    const LOCAL: bool = true;
    const REMOTE: bool = false;

    /// `because` is a part of the refusal; empty: admitted.
    #[track_caller]
    fn admit(policy: &Policy, is_local: bool, owner: &str, target: Option<&str>, because: &str) {
        match policy.admit(is_local, owner, target) {
            Ok(()) => assert_eq!(because, "", "{target:?} of {owner} was admitted"),
            Err(why) => assert!(!because.is_empty() && why.contains(because), "{target:?} of {owner}: {why}"),
        }
    }

    #[track_caller]
    fn vet(policy: &Policy, aim: Aim, host: &str, ip: &str, because: &str) {
        match policy.vet(aim, &Host::parse(host).unwrap(), ip.parse().unwrap()) {
            Ok(_) => assert_eq!(because, "", "{host} as {ip} was let through"),
            Err(why) => assert!(!because.is_empty() && why.contains(because), "{host} as {ip}: {why}"),
        }
    }

    #[test]
    fn by_default_only_this_machine_registers_active_checks_of_own_addresses() {
        let policy = policy(&[], &[], true);
        admit(&policy, LOCAL, "10.0.0.9", None, "");
        admit(&policy, LOCAL, "10.0.0.9", Some("10.0.0.9"), "");
        admit(&policy, LOCAL, "db.internal", None, "");
        admit(&policy, LOCAL, "db.internal", Some("DB.internal."), "");
        admit(&policy, LOCAL, "10.0.0.9", Some("localhost"), "");
        admit(&policy, LOCAL, "10.0.0.9", Some("127.0.0.1"), "");
        admit(&policy, LOCAL, "10.0.0.9", Some("10.0.0.10"), "health.allow");
        admit(&policy, LOCAL, "10.0.0.9", Some("other.internal"), "health.allow");
        admit(&policy, REMOTE, "10.0.0.9", None, "health.allow");
        admit(&policy, REMOTE, "127.0.0.1", None, "health.allow");
    }

    #[test]
    fn allowed_networks_open_the_door_and_hold_everyone_to_them() {
        let policy = policy(&["10.0.0.0/8", "2001:db8::/32"], &["10.66.0.0/16"], true);
        admit(&policy, REMOTE, "10.0.0.9", None, "");
        admit(&policy, REMOTE, "2001:db8::1", Some("10.0.0.10"), "");
        admit(&policy, REMOTE, "db.internal", None, "");
        admit(&policy, REMOTE, "192.168.0.1", None, "health.allow");
        admit(&policy, REMOTE, "10.66.0.1", None, "health.deny");
        admit(&policy, LOCAL, "192.168.0.1", None, "health.allow");
        vet(&policy, Aim::Own, "db.internal", "10.0.0.9", "");
        vet(&policy, Aim::Elsewhere, "db.internal", "10.0.0.9", "");
        vet(&policy, Aim::Own, "db.internal", "192.168.0.1", "health.allow");
        vet(&policy, Aim::Elsewhere, "db.internal", "::ffff:10.66.0.1", "health.deny");
    }

    #[test]
    fn loopback_is_for_those_who_are_there() {
        let narrow = policy(&["10.0.0.0/8", "0.0.0.0/0"], &[], true);
        admit(&narrow, REMOTE, "127.0.0.1", None, "health.allow");
        admit(&narrow, REMOTE, "10.0.0.1", Some("localhost"), "health.allow");
        admit(&narrow, REMOTE, "10.0.0.1", Some("localhost."), "health.allow");
        admit(&narrow, REMOTE, "::1", None, "health.allow");
        admit(&narrow, LOCAL, "127.0.0.1", None, "");
        vet(&narrow, Aim::Own, "rebound.example", "127.0.0.1", "health.allow");
        vet(&narrow, Aim::Own, "127.0.0.1", "127.0.0.1", "");
        let wide = policy(&["127.0.0.0/8"], &[], true);
        admit(&wide, REMOTE, "127.0.0.1", None, "");
        admit(&wide, REMOTE, "localhost", None, "");
        let off = policy(&["127.0.0.0/8"], &[], false);
        admit(&off, LOCAL, "127.0.0.1", None, "health.allow_loopback");
        admit(&off, REMOTE, "127.0.0.1", None, "health.allow_loopback");
        let default = policy(&[], &[], true);
        vet(&default, Aim::Own, "myhost", "127.0.1.1", "");
        vet(&default, Aim::Elsewhere, "other", "127.0.1.1", "health.allow");
    }

    #[test]
    fn an_address_that_nobody_may_probe_is_refused_in_every_form() {
        let policy = policy(&["0.0.0.0/0", "::/0", "169.254.0.0/16"], &[], true);
        for ip in [
            "0.0.0.0",
            "0.1.2.3",
            "169.254.169.254",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "::",
            "fe80::1",
            "fd00:ec2::254",
            "fd20:ce::254",
            "ff02::1",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b::7f00:1",
            "64:ff9b:1::a9fe:a9fe",
            "2002:a9fe:a9fe::1",
            "2002:7f00:1::",
            "2001:0:1:2:3:4:5:6",
            "2001:db8::5efe:169.254.169.254",
            "2001:db8::200:5efe:127.0.0.1",
            "::ffff:0:169.254.169.254",
        ] {
            vet(&policy, Aim::Own, "x.example", ip, "never probed");
        }
        vet(&policy, Aim::Own, "x.example", "64:ff9b::808:808", "");
    }
}
