use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// A path with places for anything: `/users/{id}/**`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct PathPattern {
    segments: Box<[Segment]>,
    /// Ends in `**`: whatever follows.
    open: bool,
    text: Box<str>,
}

#[derive(Clone, Debug, PartialEq)]
enum Segment {
    Is(Box<str>),
    /// `*`, or `{name}`.
    Any,
}

impl PathPattern {
    pub(crate) fn parse(text: &str) -> Result<PathPattern, String> {
        let rest = text.strip_prefix('/').ok_or("must begin with `/`")?;
        let mut open = false;
        let mut segments = Vec::new();
        let parts: Vec<&str> = rest.split('/').collect();
        for (i, part) in parts.iter().enumerate() {
            let last = i + 1 == parts.len();
            match *part {
                "**" if last => open = true,
                "**" => return Err("`**` may stand at the end only".to_owned()),
                "*" => segments.push(Segment::Any),
                part if part.starts_with('{') && part.ends_with('}') => segments.push(Segment::Any),
                part if part.contains(['*', '{', '}']) => {
                    return Err(format!("{part:?}: `*` and `{{name}}` stand for whole segments"));
                }
                part => segments.push(Segment::Is(decoded(part).into())),
            }
        }
        Ok(PathPattern { segments: segments.into(), open, text: text.into() })
    }

    pub(crate) fn matches(&self, path: &str) -> bool {
        let mut given = path.strip_prefix('/').unwrap_or(path).split('/');
        for segment in &self.segments {
            match (segment, given.next()) {
                (_, None) => return false,
                (Segment::Any, Some("")) => return false,
                (Segment::Any, Some(_)) => {}
                (Segment::Is(wanted), Some(given)) if decoded(given) == **wanted => {}
                (Segment::Is(_), Some(_)) => return false,
            }
        }
        self.open || given.next().is_none()
    }

    /// The first segment, where it is always the same.
    pub(crate) fn first(&self) -> Option<&str> {
        match self.segments.first()? {
            Segment::Is(first) => Some(first),
            Segment::Any => None,
        }
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

/// A segment as it is meant. Bytes that are no text stay as they are written.
pub(crate) fn decoded(segment: &str) -> Cow<'_, str> {
    if !segment.contains('%') {
        return Cow::Borrowed(segment);
    }
    percent_decode_str(segment).decode_utf8().unwrap_or(Cow::Borrowed(segment))
}

/// A host name, where `*.example.com` stands for every name below it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct HostPattern {
    /// In lower case.
    name: Box<str>,
    below: bool,
}

impl HostPattern {
    pub(crate) fn parse(text: &str) -> Result<HostPattern, String> {
        let lower = text.to_ascii_lowercase();
        let (name, below) = match lower.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (lower.as_str(), false),
        };
        if name.is_empty() || name.contains(['*', '/', ' ', '@']) {
            return Err(format!("{text:?} is no host name; `*` stands for the first labels only"));
        }
        if name.contains(':') && !name.starts_with('[') {
            return Err(format!("{text:?}: hosts are compared without their port"));
        }
        Ok(HostPattern { name: name.into(), below })
    }

    /// `host` is in lower case and without port.
    pub(crate) fn matches(&self, host: &str) -> bool {
        if self.below {
            let labels = host.strip_suffix(&*self.name).and_then(|rest| rest.strip_suffix('.'));
            labels.is_some_and(|labels| !labels.is_empty())
        } else {
            host == &*self.name
        }
    }

    /// The one host that matches.
    pub(crate) fn exact(&self) -> Option<&str> {
        (!self.below).then_some(&self.name)
    }
}

impl std::fmt::Display for HostPattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}{}", if self.below { "*." } else { "" }, self.name)
    }
}

/// A host without its port, in lower case and without the dot at its end.
pub(crate) fn bare(host: &str) -> Cow<'_, str> {
    let end = match (host.rfind(']'), host.rfind(':')) {
        (Some(bracket), Some(colon)) if colon < bracket => host.len(),
        (_, Some(colon)) => colon,
        (_, None) => host.len(),
    };
    let host = host.get(..end).unwrap_or(host);
    let host = host.strip_suffix('.').unwrap_or(host);
    if host.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(host.to_ascii_lowercase())
    } else {
        Cow::Borrowed(host)
    }
}

/// A name where each `*` stands for any text. Compared without ASCII case, as names are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Glob(Box<[Box<str>]>);

impl Glob {
    pub(crate) fn parse(text: &str) -> Glob {
        Glob(text.to_ascii_lowercase().split('*').map(Box::from).collect())
    }

    /// `name` is in lower case.
    pub(crate) fn matches(&self, name: &str) -> bool {
        let Some((first, rest)) = self.0.split_first() else { return false };
        let Some(mut left) = name.strip_prefix(&**first) else { return false };
        let Some((last, middle)) = rest.split_last() else { return left.is_empty() };
        for piece in middle {
            let Some(at) = left.find(&**piece) else { return false };
            left = left.get(at + piece.len()..).unwrap_or_default();
        }
        left.ends_with(&**last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn path(pattern: &str, yes: &[&str], no: &[&str]) {
        let pattern = PathPattern::parse(pattern).unwrap();
        yes.iter().for_each(|path| assert!(pattern.matches(path), "{path}"));
        no.iter().for_each(|path| assert!(!pattern.matches(path), "{path}"));
    }

    #[test]
    fn paths_match_by_segment() {
        path("/**", &["/", "/a", "/a/b"], &[]);
        path("/a/**", &["/a", "/a/", "/a/b/c"], &["/", "/ab", "/b/a", "/A"]);
        path("/a/{id}", &["/a/1", "/a/%20"], &["/a", "/a/", "/a/1/2"]);
        path("/a/*/c/**", &["/a/b/c", "/a/b/c/d"], &["/a/c", "/a//c"]);
        path("/a b", &["/a%20b"], &["/a+b"]);
        path("/", &["/"], &["/a"]);
        for bad in ["a", "/**/a", "/a*", "/x{y}", ""] {
            assert!(PathPattern::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn hosts_match_whole_or_below() {
        let host = |pattern: &str, host: &str| HostPattern::parse(pattern).unwrap().matches(&bare(host));
        assert!(host("Api.example", "API.example:8080") && host("api.example", "api.example."));
        assert!(host("[::1]", "[::1]:80") && host("[::1]", "[::1]"));
        assert!(host("*.example", "a.b.example:1"));
        assert!(
            !host("*.example", "example") && !host("*.example", ".example") && !host("*.ample", "a.example")
        );
        for bad in ["", "*", "a.*", "a:80", "*.*.x"] {
            assert!(HostPattern::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn globs_match_names() {
        let glob = |pattern: &str, name: &str| Glob::parse(pattern).matches(name);
        assert!(
            glob("*", "") && glob("*", "x") && glob("Web", "web") && glob("a*c", "abc") && glob("a*c", "ac")
        );
        assert!(glob("*-service", "user-service") && glob("a*b*c", "a1b2b3c"));
        assert!(!glob("web", "webs") && !glob("a*a", "a") && !glob("*x", "xy") && !glob("a*b*c", "acb"));
    }
}
