//! Asks one element.

use std::net::IpAddr;

use serde_json::Value;

use super::bind::{Operand, Test};
use super::expression::{Bytes, Operator};
use super::shape::Shape;

impl Test {
    pub(super) fn holds(&self, element: &Value) -> bool {
        self.along(&self.selector, self.shape, Some(element))
    }

    /// Follows the selector. Where it goes through a list, any item that says yes is enough, also for `!=` and `not`.
    fn along(&self, selector: &[Bytes], shape: &Shape, value: Option<&Value>) -> bool {
        let Some((name, rest)) = selector.split_first() else { return self.at(shape, value) };
        match shape {
            Shape::Struct(fields) => {
                let field = fields.iter().find(|(field, _)| field.as_bytes() == name);
                field.is_some_and(|(name, shape)| self.along(rest, shape, value.and_then(|it| it.get(*name))))
            }
            Shape::List(item) => items(value).any(|value| self.along(selector, item, Some(value))),
            Shape::Map(inner) => match member(value, name) {
                Some(value) => self.along(rest, inner, Some(value)),
                // go-bexpr meant: what does not exist equals nothing, is in nothing and is empty. It forgot `matches`,
                // which holds as well.
                None => !matches!(self.operator, Operator::Equal | Operator::IsNotEmpty | Operator::In),
            },
            Shape::Bool | Shape::Int | Shape::Uint { .. } | Shape::Text | Shape::Address => false,
            Shape::Unchecked(shape) => self.along(selector, shape, value),
        }
    }

    fn at(&self, shape: &Shape, value: Option<&Value>) -> bool {
        match self.operator {
            Operator::Equal => self.value.equals(value),
            Operator::NotEqual => !self.value.equals(value),
            Operator::In => self.value.is_in(shape, value),
            Operator::NotIn => !self.value.is_in(shape, value),
            Operator::IsEmpty => is_empty(value),
            Operator::IsNotEmpty => !is_empty(value),
            Operator::Matches => self.value.is_found_in(value),
            Operator::NotMatches => !self.value.is_found_in(value),
        }
    }
}

impl Operand {
    fn equals(&self, value: Option<&Value>) -> bool {
        match self {
            Operand::Bool(wanted) => value.and_then(Value::as_bool).unwrap_or_default() == *wanted,
            Operand::Int(wanted) => value.and_then(Value::as_i64).unwrap_or_default() == *wanted,
            Operand::Uint(wanted) => value.and_then(Value::as_u64).unwrap_or_default() == *wanted,
            Operand::Text(wanted) => text(value).as_bytes() == wanted,
            Operand::Nothing | Operand::Pattern(_) => false,
        }
    }

    fn is_in(&self, shape: &Shape, value: Option<&Value>) -> bool {
        match (shape, self) {
            (Shape::Text, Operand::Text(part)) => holds(text(value), part),
            (Shape::Map(_), Operand::Text(key)) => member(value, key).is_some(),
            (Shape::Address, Operand::Uint(byte)) => match text(value).parse() {
                Ok(IpAddr::V4(address)) => address.octets().iter().any(|it| u64::from(*it) == *byte),
                Ok(IpAddr::V6(address)) => address.octets().iter().any(|it| u64::from(*it) == *byte),
                Err(_) => false,
            },
            _ => items(value).any(|item| self.equals(Some(item))),
        }
    }

    fn is_found_in(&self, value: Option<&Value>) -> bool {
        matches!(self, Operand::Pattern(pattern) if pattern.is_match(text(value).as_bytes()))
    }
}

fn holds(text: &str, part: &[u8]) -> bool {
    match std::str::from_utf8(part) {
        Ok(part) => text.contains(part),
        Err(_) => text.as_bytes().windows(part.len()).any(|window| window == part),
    }
}

fn is_empty(value: Option<&Value>) -> bool {
    match value {
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(members)) => members.is_empty(),
        Some(Value::String(text)) => text.is_empty(),
        Some(Value::Null | Value::Bool(_) | Value::Number(_)) | None => true,
    }
}

fn text(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or_default()
}

fn items(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

fn member<'a>(value: Option<&'a Value>, key: &[u8]) -> Option<&'a Value> {
    value?.get(std::str::from_utf8(key).ok()?)
}
