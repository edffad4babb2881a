use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A duration as people write it: `5s`, `250ms`, `1m30s`, or a number of seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span(pub Duration);

impl Span {
    pub const fn seconds(seconds: u64) -> Span {
        Span(Duration::from_secs(seconds))
    }

    pub const fn millis(millis: u64) -> Span {
        Span(Duration::from_millis(millis))
    }

    /// Reads `5s`, `250ms` and their like; a bare number counts as seconds.
    pub fn parse(text: &str) -> Result<Span, String> {
        let expected = || format!("{text:?} is not a duration; write it like \"5s\", \"250ms\" or \"1m30s\"");
        if let Ok(seconds) = text.parse::<f64>() {
            return Span::from_seconds(seconds).ok_or_else(expected);
        }
        let signed: jiff::SignedDuration = text.parse().map_err(|_| expected())?;
        Duration::try_from(signed).map(Span).map_err(|_| expected())
    }

    pub fn from_seconds(seconds: f64) -> Option<Span> {
        Duration::try_from_secs_f64(seconds).ok().map(Span)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, millis) = (self.0.as_secs(), self.0.subsec_millis());
        match (seconds, millis) {
            (0, 0) => f.write_str("0s"),
            (0, millis) => write!(f, "{millis}ms"),
            (seconds, 0) if seconds % 3600 == 0 => write!(f, "{}h", seconds / 3600),
            (seconds, 0) if seconds % 60 == 0 => write!(f, "{}m", seconds / 60),
            (seconds, 0) => write!(f, "{seconds}s"),
            (seconds, millis) => write!(f, "{seconds}s{millis}ms"),
        }
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
        struct Visitor;

        impl serde::de::Visitor<'_> for Visitor {
            type Value = Span;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as \"5s\", \"250ms\" or a number of seconds")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Span, E> {
                Span::parse(text).map_err(E::custom)
            }

            fn visit_f64<E: serde::de::Error>(self, seconds: f64) -> Result<Span, E> {
                let unexpected = serde::de::Unexpected::Float(seconds);
                Span::from_seconds(seconds).ok_or_else(|| E::invalid_value(unexpected, &self))
            }

            fn visit_u64<E: serde::de::Error>(self, seconds: u64) -> Result<Span, E> {
                Ok(Span(Duration::from_secs(seconds)))
            }

            fn visit_i64<E: serde::de::Error>(self, seconds: i64) -> Result<Span, E> {
                let unexpected = serde::de::Unexpected::Signed(seconds);
                u64::try_from(seconds).map(Span::seconds).map_err(|_| E::invalid_value(unexpected, &self))
            }
        }

        deserializer.deserialize_any(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, millis) in
            [("5s", 5_000), ("250ms", 250), ("1m30s", 90_000), ("2", 2_000), ("0.5", 500), ("1h", 3_600_000)]
        {
            assert_eq!(Span::parse(text).unwrap().0, Duration::from_millis(millis), "{text}");
        }
        for bad in ["", "soon", "-5s", "-1", "5 parsecs", "NaN", "1e300"] {
            assert!(Span::parse(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn what_is_written_reads_back() {
        for millis in [1, 250, 1_000, 1_250, 60_000, 90_000, 3_600_000] {
            let span = Span::millis(millis);
            assert_eq!(Span::parse(&span.to_string()).unwrap(), span);
        }
    }
}
