//! Where a request goes. Resources lie below `/eureka`, with or without a version, and with or without a namespace:
//! `/eureka/apps`, `/eureka/v2/apps`, `/eureka/blue/apps`, `/eureka/blue/v2/apps`; and, for servers that used to be the
//! only thing on their host, `/apps` and `/v2/apps`.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use switchboard_model::DEFAULT_NAMESPACE;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place<'a> {
    pub(crate) namespace: Cow<'a, str>,
    /// Version 1, which has fewer statuses.
    pub(crate) is_first_version: bool,
    pub(crate) resource: Resource<'a>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Resource<'a> {
    Apps,
    Delta,
    App { app: Cow<'a, str> },
    Instance { app: Cow<'a, str>, id: Cow<'a, str> },
    Status { app: Cow<'a, str>, id: Cow<'a, str> },
    Metadata { app: Cow<'a, str>, id: Cow<'a, str> },
    ById { id: Cow<'a, str> },
    Vip { vip: Cow<'a, str>, secure: bool },
    Batch,
    AutoScaling,
    ServerStatus,
    Overrides,
    Dashboard,
    LastN,
}

impl Resource<'_> {
    /// As the header `Allow` says them.
    pub(crate) fn methods(&self) -> &'static str {
        match self {
            Resource::App { .. } => "GET,POST",
            Resource::Instance { .. } => "GET,PUT,DELETE",
            Resource::Status { .. } => "PUT,DELETE",
            Resource::Metadata { .. } | Resource::AutoScaling => "PUT",
            Resource::Batch => "POST",
            Resource::Apps
            | Resource::Delta
            | Resource::ById { .. }
            | Resource::Vip { .. }
            | Resource::ServerStatus
            | Resource::Overrides
            | Resource::Dashboard
            | Resource::LastN => "GET",
        }
    }
}

/// None: there is nothing there.
pub(crate) fn find(path: &str) -> Option<Place<'_>> {
    let mut segments = Vec::with_capacity(8);
    for segment in path.strip_prefix('/')?.split('/') {
        segments.push(percent_decode_str(segment).decode_utf8().ok()?);
    }
    // Many clients end their paths with a slash.
    while segments.last().is_some_and(|last| last.is_empty()) {
        segments.pop();
    }
    let mut rest: &[Cow<'_, str>] = &segments;
    let below_eureka = match rest {
        [first, tail @ ..] if first == "eureka" => {
            rest = tail;
            true
        }
        _ => false,
    };
    let mut namespace = Cow::Borrowed(DEFAULT_NAMESPACE);
    if let ([first, tail @ ..], true) = (rest, below_eureka)
        && version(first).is_none()
        && !is_resource(first)
        && !tail.is_empty()
    {
        namespace.clone_from(first);
        rest = tail;
    }
    let mut is_first_version = false;
    if let [first, tail @ ..] = rest
        && let Some(number) = version(first)
    {
        is_first_version = number == 1;
        rest = tail;
    }
    Some(Place { namespace, is_first_version, resource: resource(rest)? })
}

fn version(segment: &str) -> Option<u8> {
    match segment {
        "v1" | "V1" => Some(1),
        "v2" | "V2" => Some(2),
        _ => None,
    }
}

fn is_resource(segment: &str) -> bool {
    let known =
        ["apps", "instances", "vips", "svips", "peerreplication", "asg", "status", "serverinfo", "lastn"];
    known.contains(&segment)
}

fn resource<'a>(rest: &[Cow<'a, str>]) -> Option<Resource<'a>> {
    let mut words = [""; 4];
    for (word, segment) in words.iter_mut().zip(rest) {
        *word = segment;
    }
    let words = words.get(..rest.len())?;
    if words.iter().any(|word| word.is_empty()) {
        return None;
    }
    // What stands at this place, still borrowed from the path where nothing in it was escaped.
    let at = |place: usize| rest.get(place).cloned().unwrap_or_default();
    Some(match words {
        [] => Resource::Dashboard,
        ["lastn"] => Resource::LastN,
        ["apps"] => Resource::Apps,
        ["apps", "delta"] => Resource::Delta,
        ["apps", _] => Resource::App { app: at(1) },
        ["apps", _, _] => Resource::Instance { app: at(1), id: at(2) },
        ["apps", _, _, "status"] => Resource::Status { app: at(1), id: at(2) },
        ["apps", _, _, "metadata"] => Resource::Metadata { app: at(1), id: at(2) },
        ["instances", _] => Resource::ById { id: at(1) },
        ["vips", _] => Resource::Vip { vip: at(1), secure: false },
        ["svips", _] => Resource::Vip { vip: at(1), secure: true },
        ["peerreplication", "batch"] => Resource::Batch,
        ["asg", _, "status"] => Resource::AutoScaling,
        ["status"] => Resource::ServerStatus,
        ["serverinfo", "statusoverrides"] => Resource::Overrides,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, namespace: &str, resource: Resource<'_>) {
        let place = find(path).unwrap_or_else(|| panic!("{path} is nowhere"));
        assert_eq!((&*place.namespace, place.resource), (namespace, resource), "{path}");
    }

    #[test]
    fn all_bases_lead_to_the_same() {
        for base in ["/eureka/apps", "/eureka/v2/apps", "/eureka/V1/apps", "/v2/apps", "/apps"] {
            for end in ["", "/"] {
                check(&format!("{base}{end}"), "default", Resource::Apps);
            }
        }
        check("/eureka/apps/delta/", "default", Resource::Delta);
        check("/eureka/apps/DELTA", "default", Resource::App { app: "DELTA".into() });
        check("/", "default", Resource::Dashboard);
        check("/eureka/", "default", Resource::Dashboard);
        assert!(find("/eureka/v1/apps").is_some_and(|place| place.is_first_version));
    }

    #[test]
    fn another_word_below_eureka_is_a_namespace() {
        check("/eureka/blue/apps/", "blue", Resource::Apps);
        check("/eureka/blue/v2/vips/a,b", "blue", Resource::Vip { vip: "a,b".into(), secure: false });
        assert_eq!(find("/blue/apps"), None);
        assert_eq!(find("/eureka/blue/green/apps"), None);
    }

    #[test]
    fn ids_are_unescaped_one_segment_at_a_time() {
        let instance = Resource::Instance { app: "PY-APP".into(), id: "127.0.0.1:py-app:9090".into() };
        check("/eureka/apps/PY-APP/127.0.0.1%3Apy-app%3A9090", "default", instance);
        let slash = Resource::Status { app: "A".into(), id: "a/b".into() };
        check("/eureka/apps/A/a%2Fb/status", "default", slash);
        assert_eq!(find("/eureka/apps/A/%ff"), None);
        assert_eq!(find("/eureka/apps//x"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_path_is_somewhere_or_nowhere(path in "[a-z0-9/%.:-]{0,40}") {
            find(&path);
        }
    }
}
