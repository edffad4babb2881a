use std::fmt;

/// A name as it stands in a message: each label behind its length, and the root at the end.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DomainName(Box<[u8]>);

/// Bytes of a name, and of one label.
const LONGEST: usize = 255;
const LONGEST_LABEL: usize = 63;

impl DomainName {
    /// The labels, and then `domain`; None: that is too long, or a label is empty.
    pub(crate) fn below<'a>(
        labels: impl IntoIterator<Item = &'a [u8]>,
        domain: &DomainName,
    ) -> Option<DomainName> {
        let mut bytes = Vec::new();
        for label in labels {
            let length = u8::try_from(label.len()).ok()?;
            if label.is_empty() || label.len() > LONGEST_LABEL {
                return None;
            }
            bytes.push(length);
            bytes.extend_from_slice(label);
        }
        bytes.extend_from_slice(&domain.0);
        (bytes.len() <= LONGEST).then(|| DomainName(bytes.into()))
    }

    /// From text such as `web-01.example.com`, with or without the dot at the end.
    pub(crate) fn parse(text: &str) -> Option<DomainName> {
        let text = text.strip_suffix('.').unwrap_or(text);
        let root = DomainName(Box::new([0]));
        if text.is_empty() {
            return Some(root);
        }
        DomainName::below(text.split('.').map(str::as_bytes), &root)
    }

    /// A name that is spelled out, and nothing behind it.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<DomainName> {
        let length: usize = split(bytes)?.iter().map(|label| label.len() + 1).sum::<usize>() + 1;
        (length == bytes.len() && length <= LONGEST).then(|| DomainName(bytes.into()))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As names compare: without case.
    pub(crate) fn is(&self, other: &DomainName) -> bool {
        self.0.eq_ignore_ascii_case(&other.0)
    }

    pub(crate) fn labels(&self) -> Vec<&[u8]> {
        split(&self.0).unwrap_or_default()
    }
}

/// The labels of a name that is spelled out at the beginning of `bytes`; None: it is not.
pub(crate) fn split(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut labels = Vec::with_capacity(8);
    loop {
        let (length, rest) = bytes.split_first()?;
        match usize::from(*length) {
            0 => return Some(labels),
            length if length <= LONGEST_LABEL => {
                let (label, rest) = rest.split_at_checked(length)?;
                labels.push(label);
                bytes = rest;
            }
            _ => return None,
        }
    }
}

impl fmt::Display for DomainName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for label in self.labels() {
            write!(f, "{}.", label.escape_ascii())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_encoded_and_bounded() {
        let consul = DomainName::parse("consul.").unwrap();
        assert_eq!(consul.as_bytes(), b"\x06consul\0");
        let below = |labels: &[&str]| DomainName::below(labels.iter().map(|label| label.as_bytes()), &consul);
        assert_eq!(below(&["web", "service"]).unwrap().to_string(), "web.service.consul.");
        let long = "x".repeat(63);
        assert!(below(&[&long]).is_some());
        assert!(below(&[&format!("{long}x")]).is_none());
        assert!(below(&[&long, &long, &long, &long]).is_none());
        assert!(below(&["web", ""]).is_none());
        assert_eq!(DomainName::parse("").unwrap().as_bytes(), [0]);
        assert!(DomainName::parse("a..b").is_none());
    }
}
