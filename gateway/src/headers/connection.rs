use http::HeaderMap;
use http::header::{self, HeaderName};

use crate::refusal::Refusal;

/// The header fields that a request's `Connection` names as being for this hop only.
#[derive(Debug, Default)]
pub(crate) struct Nominated(Vec<HeaderName>);

/// More than any honest client names.
const MOST: usize = 9;

/// Fields that routing, or whoever is behind us, relies on. Who could have them taken off could pass for someone else.
const NEVER: [&str; 12] = [
    "host",
    "content-length",
    "content-type",
    "authorization",
    "cookie",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "via",
];

impl Nominated {
    pub(crate) fn read(headers: &HeaderMap) -> Result<Nominated, Refusal> {
        let mut names = Vec::new();
        for token in tokens(headers) {
            if token.is_empty() {
                continue;
            }
            if names.len() == MOST {
                return Err(Refusal::malformed(format!("Connection names more than {MOST} fields")));
            }
            let name = HeaderName::from_bytes(token)
                .map_err(|_| Refusal::malformed("Connection names what is no header field"))?;
            if NEVER.contains(&name.as_str()) {
                return Err(Refusal::malformed(format!("Connection may not name {name}")));
            }
            names.push(name);
        }
        Ok(Nominated(names))
    }

    pub(crate) fn names(&self) -> &[HeaderName] {
        &self.0
    }

    pub(crate) fn has(&self, name: &HeaderName) -> bool {
        self.0.contains(name)
    }
}

/// What can be read of it: an answer comes from where nobody is to be refused any more.
pub(super) fn lenient(headers: &HeaderMap) -> Vec<HeaderName> {
    tokens(headers).filter_map(|token| HeaderName::from_bytes(token).ok()).collect()
}

fn tokens(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let values = headers.get_all(header::CONNECTION).into_iter();
    values.flat_map(|value| value.as_bytes().split(|b| *b == b',')).map(<[u8]>::trim_ascii)
}

#[cfg(test)]
mod tests {
    use super::super::tests::map;
    use super::*;

    fn read(value: &str) -> Result<usize, Refusal> {
        Nominated::read(&map(&[("connection", value)])).map(|nominated| nominated.names().len())
    }

    #[test]
    fn clients_may_not_have_fields_taken_off_that_others_rely_on() {
        for name in NEVER {
            assert!(read(name).is_err(), "{name}");
            assert!(read(&format!("close, {}", name.to_uppercase())).is_err(), "{name}");
        }
    }

    #[test]
    fn what_is_no_field_name_is_refused() {
        for bad in [":path", "a b", "x\u{7f}", "a;b", "\"x\"", "x/y"] {
            let Ok(value) = http::HeaderValue::from_bytes(bad.as_bytes()) else { continue };
            let headers = HeaderMap::from_iter([(header::CONNECTION, value)]);
            assert!(Nominated::read(&headers).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn nine_fields_are_enough_for_everyone() {
        let names = |n: usize| (0..n).map(|i| format!("x-{i}")).collect::<Vec<_>>().join(",");
        assert_eq!(read(&names(9)), Ok(9));
        assert!(read(&names(10)).is_err());
        assert_eq!(read("close,, ,keep-alive"), Ok(2));
    }
}
