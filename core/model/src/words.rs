use std::sync::Arc;

use bytes::Bytes;

use crate::Rejection;

/// Refuses text that is too long or that could not be printed safely.
pub fn text_limit(field: &str, text: &str, limit: usize) -> Result<(), Rejection> {
    printable(field, text, limit, |c| !c.is_control())
}

/// The same for text that people write in lines: notes, and values of metadata.
pub(crate) fn lines_limit(field: &str, text: &str, limit: usize) -> Result<(), Rejection> {
    printable(field, text, limit, |c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'))
}

fn printable(field: &str, text: &str, limit: usize, fits: impl Fn(char) -> bool) -> Result<(), Rejection> {
    if text.len() > limit {
        return Err(Rejection::invalid(
            field,
            format!("is {} bytes long; at most {limit} allowed", text.len()),
        ));
    }
    match text.chars().find(|&c| !fits(c) || turns_text(c)) {
        Some(c) => {
            Err(Rejection::invalid(field, format!("holds the unprintable character U+{:04X}", u32::from(c))))
        }
        None => Ok(()),
    }
}

/// Bidirectional overrides and isolates: they make two different names look the same.
fn turns_text(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Labels of an instance, in the order they were given, each once.
///
/// ```
/// use switchboard_model::Tags;
///
/// let tags = Tags::new(["v2".into(), "eu".into(), "v2".into()])?;
/// assert_eq!(tags.iter().map(|tag| &**tag).collect::<Vec<_>>(), ["v2", "eu"]);
/// assert!(tags.contains("eu"));
/// # Ok::<(), switchboard_model::Rejection>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tags(Box<[Arc<str>]>);

impl Tags {
    /// More than anyone has asked for, and few enough that one instance is no burden.
    pub const MAX: usize = 1024;

    pub fn new(tags: impl IntoIterator<Item = Arc<str>>) -> Result<Tags, Rejection> {
        let mut kept: Vec<Arc<str>> = Vec::new();
        for tag in tags {
            text_limit("tags", &tag, 255)?;
            if !kept.contains(&tag) {
                kept.push(tag);
            }
            if kept.len() > Tags::MAX {
                return Err(Rejection::Limit { what: "tags".into(), limit: Tags::MAX as u64 });
            }
        }
        Ok(Tags(kept.into()))
    }

    /// Lets `share` replace each text by an equal one.
    pub fn share(&mut self, share: &mut dyn FnMut(&mut Arc<str>)) {
        self.0.iter_mut().for_each(share);
    }

    pub fn contains(&self, tag: &str) -> bool {
        self.0.iter().any(|have| &**have == tag)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<str>> {
        self.0.iter()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Key-value pairs that users attach to an instance or a node, sorted by key.
///
/// ```
/// use switchboard_model::Metadata;
///
/// let metadata = Metadata::new([("version".into(), "2.1".into())])?;
/// assert_eq!(metadata.get("version"), Some("2.1"));
/// # Ok::<(), switchboard_model::Rejection>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata(Box<[(Arc<str>, Arc<str>)]>);

impl Metadata {
    pub const MAX: usize = 128;

    pub fn new(pairs: impl IntoIterator<Item = (Arc<str>, Arc<str>)>) -> Result<Metadata, Rejection> {
        let mut kept: Vec<(Arc<str>, Arc<str>)> = pairs.into_iter().collect();
        if kept.len() > Metadata::MAX {
            return Err(Rejection::Limit { what: "metadata pairs".into(), limit: Metadata::MAX as u64 });
        }
        for (key, value) in &kept {
            if key.is_empty() {
                return Err(Rejection::invalid("metadata", "holds an empty key"));
            }
            text_limit("metadata key", key, 128)?;
            lines_limit(&format!("metadata.{key}"), value, 4096)?;
        }
        kept.sort_by(|a, b| a.0.cmp(&b.0));
        if let Some(twice) = kept.windows(2).find(|pair| matches!(pair, [a, b] if a.0 == b.0)) {
            let key = twice.first().map(|(key, _)| key.to_string()).unwrap_or_default();
            return Err(Rejection::invalid(format!("metadata.{key}"), "is given twice"));
        }
        Ok(Metadata(kept.into()))
    }

    /// Lets `share` replace each text by an equal one.
    pub fn share(&mut self, share: &mut dyn FnMut(&mut Arc<str>)) {
        for (key, value) in &mut self.0 {
            share(key);
            share(value);
        }
    }

    pub fn get(&self, key: &str) -> Option<&str> {
        let at = self.0.binary_search_by(|(have, _)| (**have).cmp(key)).ok()?;
        self.0.get(at).map(|(_, value)| &**value)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>)> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What a protocol said about a record in words that the model has no noun for, kept so that the same protocol
/// can say it back. The key is the protocol's name, the value is that protocol's own encoding; nobody else
/// reads it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Annex(Option<Box<[Word]>>);

/// A protocol's name and its words.
type Word = (Arc<str>, Bytes);

impl Annex {
    pub const MAX_BYTES: usize = 64 * 1024;

    pub fn new(words: impl IntoIterator<Item = (Arc<str>, Bytes)>) -> Result<Annex, Rejection> {
        let kept: Box<[Word]> = words.into_iter().collect();
        if kept.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() > Annex::MAX_BYTES {
            return Err(Rejection::Limit { what: "annex bytes".into(), limit: Annex::MAX_BYTES as u64 });
        }
        Ok(Annex((!kept.is_empty()).then_some(kept)))
    }

    /// The same with other words of one protocol, and what the others said as it was.
    pub fn with(&self, protocol: &str, words: Option<Bytes>) -> Result<Annex, Rejection> {
        let others = self.iter().filter(|(name, _)| &***name != protocol);
        let others = others.map(|(name, bytes)| (name.clone(), bytes.clone()));
        Annex::new(others.chain(words.map(|words| (Arc::from(protocol), words))))
    }

    pub fn get(&self, protocol: &str) -> Option<&Bytes> {
        self.iter().find(|(name, _)| &***name == protocol).map(|(_, bytes)| bytes)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Bytes)> {
        self.0.iter().flatten().map(|(name, bytes)| (name, bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_have_lines_and_names_may_not() {
        let pair = |key: &str, value: &str| Metadata::new([(key.into(), value.into())]);
        assert!(pair("a", "one\r\n\ttwo").is_ok());
        assert!(pair("a", "bell\u{7}").is_err() && pair("a\nb", "").is_err());
    }

    #[test]
    fn metadata_is_sorted_and_refuses_a_key_given_twice() {
        let metadata = Metadata::new([("b".into(), "2".into()), ("a".into(), "1".into())]).unwrap();
        assert_eq!(metadata.get("a"), Some("1"));
        assert_eq!(metadata.iter().next().map(|(key, _)| &**key), Some("a"));
        assert!(Metadata::new([("a".into(), "1".into()), ("a".into(), "2".into())]).is_err());
    }

    #[test]
    fn a_protocol_changes_its_own_words_and_nobody_elses() {
        let both = Annex::default().with("a", Some("1".into())).unwrap().with("b", Some("2".into())).unwrap();
        let changed = both.with("a", Some("3".into())).unwrap();
        assert_eq!(
            (changed.get("a").unwrap(), changed.get("b").unwrap()),
            (&Bytes::from("3"), &Bytes::from("2"))
        );
        assert_eq!(changed.with("a", None).unwrap(), Annex::new([("b".into(), "2".into())]).unwrap());
    }

    #[test]
    fn tags_keep_their_order_and_lose_repeats() {
        let tags = Tags::new(["b".into(), "a".into(), "b".into()]).unwrap();
        assert_eq!(tags.iter().map(|tag| &**tag).collect::<Vec<_>>(), ["b", "a"]);
    }
}
