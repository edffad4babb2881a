//! Numbers and durations as JSON has them.

use std::time::Duration;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use switchboard_facade::Span;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

/// A duration: a number of seconds, or text such as `5s` and `250ms`. Written as a number of seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Seconds(pub(crate) Duration);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Seconds, D::Error> {
        Span::deserialize(deserializer).map(|span| Seconds(span.0))
    }
}

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.subsec_nanos() {
            0 => serializer.serialize_u64(self.0.as_secs()),
            _ => serializer.serialize_f64(self.0.as_secs_f64()),
        }
    }
}

/// As it is written; what is read is described in `describe.rs`.
impl PartialSchema for Seconds {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::Number).description(Some("A number of seconds.")).into()
    }
}

impl ToSchema for Seconds {}

/// Reads a whole number of type `T`; `8080.0` is one, too, as JSON makes no difference.
pub(crate) fn whole<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<u64>,
{
    struct Whole<T>(std::marker::PhantomData<T>);

    impl<T: TryFrom<u64>> Visitor<'_> for Whole<T> {
        type Value = T;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            let bits = std::mem::size_of::<T>() * 8;
            write!(f, "a whole number from 0 to 2^{bits} - 1")
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
            T::try_from(number).map_err(|_| E::invalid_value(de::Unexpected::Unsigned(number), &self))
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
            let unsigned = u64::try_from(number);
            unsigned
                .map_err(|_| E::invalid_value(de::Unexpected::Signed(number), &self))
                .and_then(|n| self.visit_u64(n))
        }

        fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
            if number.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(&number) {
                return self.visit_u64(number as u64);
            }
            Err(E::invalid_value(de::Unexpected::Float(number), &self))
        }
    }

    deserializer.deserialize_any(Whole(std::marker::PhantomData))
}

/// Like [`whole`], for a field that may be absent. `null` is not a number.
pub(crate) fn some_whole<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<u64>,
{
    whole(deserializer).map(Some)
}

/// A field that may be absent, but not `null`.
pub(crate) fn some<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}
