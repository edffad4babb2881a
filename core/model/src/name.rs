use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use crate::Rejection;
use crate::words::text_limit;

/// The namespace of whoever names none.
pub const DEFAULT_NAMESPACE: &str = "default";

/// What protocols that need a node call the one of instances which name none.
pub const NODELESS: &str = "switchboard";

/// The name of a namespace, a service or a node.
///
/// Names compare without ASCII case and keep the case they were first written in. A name is 1 to 255 characters of
/// printable text: no control characters and none that change the direction of text, so that a name can become
/// a header, a DNS label, a log line or a page without escaping surprises.
///
/// ```
/// use switchboard_model::Name;
///
/// let name = Name::parse("service", "User-Service")?;
/// assert_eq!(name, Name::parse("service", "user-service")?);
/// assert_eq!(name.as_str(), "User-Service");
/// assert!(Name::parse("service", "").is_err());
/// # Ok::<(), switchboard_model::Rejection>(())
/// ```
#[derive(Clone)]
pub struct Name(Arc<str>);

impl Name {
    /// `field` is how a rejection calls the place where the name stood.
    pub fn parse(field: &str, text: &str) -> Result<Name, Rejection> {
        printable(field, text)?;
        Ok(Name(Arc::from(text)))
    }

    /// Like [`Name::parse`], for text that is shared already.
    pub fn shared(field: &str, text: Arc<str>) -> Result<Name, Rejection> {
        printable(field, &text)?;
        Ok(Name(text))
    }

    pub fn default_namespace() -> Name {
        Name(Arc::from(DEFAULT_NAMESPACE))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The spelling under which the name is compared.
    pub fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }

    pub fn starts_with(&self, prefix: &str) -> bool {
        self.0.as_bytes().get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix.as_bytes()))
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Name) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0 || self.0.eq_ignore_ascii_case(&other.0)
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Name) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Name) -> Ordering {
        if Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0 {
            return Ordering::Equal;
        }
        let fold = u8::to_ascii_lowercase;
        self.0.as_bytes().iter().map(fold).cmp(other.0.as_bytes().iter().map(fold))
    }
}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        for byte in self.0.bytes() {
            state.write_u8(byte.to_ascii_lowercase());
        }
        state.write_u8(0xff);
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The id of an instance or a check. Unlike a [`Name`] it is compared byte for byte.
///
/// ```
/// use switchboard_model::Id;
///
/// assert_ne!(Id::parse("id", "A")?, Id::parse("id", "a")?);
/// # Ok::<(), switchboard_model::Rejection>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(Arc<str>);

impl Id {
    /// In characters; names are no longer.
    pub const LONGEST: usize = 255;

    pub fn parse(field: &str, text: &str) -> Result<Id, Rejection> {
        printable(field, text)?;
        Ok(Id(Arc::from(text)))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Id {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A service within its namespace.
///
/// ```
/// use switchboard_model::{Name, ServiceKey};
///
/// let users = ServiceKey { namespace: Name::default_namespace(), service: Name::parse("service", "users")? };
/// # Ok::<(), switchboard_model::Rejection>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceKey {
    pub namespace: Name,
    pub service: Name,
}

/// A node within its namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeKey {
    pub namespace: Name,
    pub node: Name,
}

fn printable(field: &str, text: &str) -> Result<(), Rejection> {
    if text.is_empty() {
        return Err(Rejection::invalid(field, "must not be empty"));
    }
    text_limit(field, text, Id::LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::parse("service", text).unwrap()
    }

    #[test]
    fn names_compare_without_case_and_keep_their_spelling() {
        assert_eq!(name("User-Service"), name("user-service"));
        assert_eq!(name("User-Service").as_str(), "User-Service");
        assert!(name("a") < name("B"));
        assert!(name("ab") > name("A"));
        assert!(name("User-Service").starts_with("user-"));
    }

    #[test]
    fn control_and_direction_characters_are_refused() {
        for bad in ["", "a\nb", "a\0b", "a\u{202e}b", "\u{7f}", &"x".repeat(256)] {
            assert!(Name::parse("service", bad).is_err(), "{bad:?} was accepted");
        }
    }

    proptest::proptest! {
        #[test]
        fn order_agrees_with_the_folded_spelling(a in "[a-zA-Z~_.-]{1,6}", b in "[a-zA-Z~_.-]{1,6}") {
            assert_eq!(name(&a).cmp(&name(&b)), a.to_ascii_lowercase().cmp(&b.to_ascii_lowercase()));
        }
    }
}
