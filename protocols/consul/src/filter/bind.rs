//! Holds a match against a shape: is there such a field, can it be asked that, is the value one of its kind.

use regex::bytes::Regex;

use super::expression::{Bytes, Match, Operator};
use super::number::{parse_bool, parse_int, parse_uint};
use super::pattern;
use super::quote::quote;
use super::shape::{BYTE, Shape};

/// A match that fits its shape.
#[derive(Clone, Debug)]
pub(super) struct Test {
    pub(super) shape: &'static Shape,
    /// Leads through `shape` to something that has `operator`.
    pub(super) selector: Vec<Bytes>,
    pub(super) operator: Operator,
    pub(super) value: Operand,
}

/// A value in the kind of what it is compared with.
#[derive(Clone, Debug)]
pub(super) enum Operand {
    Nothing,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Text(Bytes),
    Pattern(Regex),
}

pub(super) fn bind(found: Match, shape: &'static Shape) -> Result<Test, String> {
    let Match { selector, operator, value } = found;
    let mut target = shape;
    for (depth, name) in selector.iter().enumerate() {
        let named = || quote(&selector.iter().take(depth + 1).cloned().collect::<Vec<_>>().join(&b'.'));
        target = target.part(name).ok_or_else(|| format!("Selector {} is not valid", named()))?;
    }
    let named = quote(&selector.join(&b'.'));
    if !has(target, operator) {
        return Err(format!("Invalid match operator \"{}\" for selector {named}", operator.name()));
    }
    let value = match value {
        None => Operand::Nothing,
        Some(raw) => {
            let value = coerce(&raw, target);
            value.map_err(|why| {
                format!("Failed to coerce value {} for selector {named}: {why}", quote(&raw))
            })?
        }
    };
    let value = match (operator, value) {
        (Operator::Matches | Operator::NotMatches, Operand::Text(raw)) => {
            let compiled = pattern::compile(&raw);
            let why = |why| format!("Failed to compile regular expression {}: {why}", quote(&raw));
            Operand::Pattern(compiled.map_err(why)?)
        }
        (_, value) => value,
    };
    Ok(Test { shape, selector, operator, value })
}

fn has(target: &Shape, operator: Operator) -> bool {
    let (equality, membership, emptiness, pattern) = match target {
        Shape::Bool | Shape::Int | Shape::Uint { .. } => (true, false, false, false),
        Shape::Text => (true, true, false, true),
        Shape::Address | Shape::Map(_) => (false, true, true, false),
        Shape::List(item) => (false, item.is_primitive(), true, false),
        Shape::Struct(_) | Shape::Unchecked(_) => (false, false, false, false),
    };
    match operator {
        Operator::Equal | Operator::NotEqual => equality,
        Operator::In | Operator::NotIn => membership,
        Operator::IsEmpty | Operator::IsNotEmpty => emptiness,
        Operator::Matches | Operator::NotMatches => pattern,
    }
}

fn coerce(raw: &[u8], target: &Shape) -> Result<Operand, String> {
    match target {
        Shape::Bool => parse_bool(raw).map(Operand::Bool),
        Shape::Int => parse_int(raw).map(Operand::Int),
        Shape::Uint { bits } => parse_uint(raw, *bits).map(Operand::Uint),
        Shape::Text | Shape::Map(_) => Ok(Operand::Text(raw.to_vec())),
        Shape::Address => coerce(raw, &BYTE),
        Shape::List(item) => coerce(raw, item),
        // They have no operator with a value.
        Shape::Struct(_) | Shape::Unchecked(_) => Ok(Operand::Nothing),
    }
}
