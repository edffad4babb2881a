//! From a request's head to the service that is meant. Pure.

mod condition;
mod locator;
mod pattern;
mod rewrite;
mod table;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use switchboard_model::Metadata;

use crate::config::{self, Protocol};

pub(crate) use locator::{Exposure, Locator, protocol};
pub(crate) use pattern::PathPattern;
pub(crate) use rewrite::Rewrite;
pub(crate) use table::{Asked, Meant, Table, vet};

/// What holds for whoever comes this way.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) id: Arc<str>,
    pub(crate) target: Target,
    pub(crate) rewrite: Rewrite,
    pub(crate) settings: Settings,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) preserve_host: bool,
    /// The name of the instances' port; None: their first.
    pub(crate) port: Option<Arc<str>>,
    pub(crate) protocol: Option<Protocol>,
    pub(crate) first_byte: Option<Duration>,
    pub(crate) idle: Option<Duration>,
    pub(crate) total: Option<Duration>,
    pub(crate) attempts: usize,
}

/// Zero means no limit.
pub(crate) fn limit(span: switchboard_facade::Span) -> Option<Duration> {
    Some(span.0).filter(|span| !span.is_zero())
}

impl Settings {
    pub(crate) fn new(config: &config::Config) -> Settings {
        Settings {
            preserve_host: config.preserve_host,
            port: None,
            protocol: None,
            first_byte: limit(config.timeouts.first_byte),
            idle: limit(config.timeouts.idle),
            total: limit(config.timeouts.total),
            attempts: config.retry.attempts.max(1),
        }
    }
}

#[derive(Debug)]
pub(crate) enum Target {
    /// One part, or several by weight.
    Services(Box<[Part]>),
    /// Addresses that are in no registry, as a service of the route's own.
    Fixed(Box<[Address]>),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Part {
    /// In lower case.
    pub(crate) service: Arc<str>,
    pub(crate) subset: Subset,
    pub(crate) weight: u32,
}

/// Instances that say this about themselves.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Subset(BTreeMap<String, String>);

impl Subset {
    pub(crate) fn new(wanted: BTreeMap<String, String>) -> Subset {
        Subset(wanted)
    }

    pub(crate) fn is_everyone(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn has(&self, metadata: &Metadata) -> bool {
        self.0.iter().all(|(key, value)| metadata.get(key) == Some(value))
    }
}

impl std::fmt::Display for Subset {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pairs: Vec<String> = self.0.iter().map(|(key, value)| format!("{key}={value}")).collect();
        f.write_str(&pairs.join(","))
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Address {
    pub(crate) host: Box<str>,
    pub(crate) port: u16,
    pub(crate) protocol: Option<Protocol>,
}

impl Target {
    /// Chooses a part by weight. `roll` is any number.
    pub(crate) fn part(&self, roll: u32) -> Option<&Part> {
        let Target::Services(parts) = self else { return None };
        let total: u32 = parts.iter().map(|part| part.weight).sum();
        let mut left = roll.checked_rem(total)?;
        parts.iter().find(|part| {
            let here = left < part.weight;
            left = left.saturating_sub(part.weight);
            here
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_get_their_share() {
        let part =
            |service: &str, weight| Part { service: service.into(), subset: Subset::default(), weight };
        let target = Target::Services([part("old", 90), part("none", 0), part("new", 10)].into());
        let count =
            |name: &str| (0..1000).filter(|roll| &*target.part(*roll).unwrap().service == name).count();
        assert_eq!((count("old"), count("none"), count("new")), (900, 0, 100));
    }
}
