//! Consul's `?filter=` expressions: go-bexpr 0.1.2, with its texts, over the JSON of what is filtered.
//!
//! `scan`, `grammar` and `comparison` read an expression as go-bexpr's parser does, down to which of the things that could
//! have stood at the furthest point are named in the error; `bind` holds it against a [`Shape`]; `evaluate` asks one
//! element. `quote`, `number` and `pattern` are the corners of Go that show in values and errors. [`shapes`] are the targets
//! that Consul filters.
//!
//! What differs from Consul on purpose: an expression is bounded ([`EXPRESSION_BYTES`], [`NESTING`], [`PATTERNS`]); and a
//! part that an element does not have (the `Proxy` of an ordinary service in `agent/services`) counts as its zero value,
//! where Consul's handler panics and drops the connection.

mod bind;
mod comparison;
mod evaluate;
mod expression;
mod grammar;
mod number;
mod pattern;
mod quote;
mod scan;
mod shape;
pub(crate) mod shapes;
#[cfg(test)]
mod tests;

use std::fmt;

use serde_json::Value;

use self::bind::Test;
use self::expression::Expression;
pub(crate) use self::pattern::compile as go_regex;
pub(crate) use self::shape::Shape;

/// How long an expression may be. Consul has no bound of its own; lists of a few hundred names fit.
pub(crate) const EXPRESSION_BYTES: usize = 16 * 1024;

/// How deep parentheses may be nested. Consul's time to parse grows tenfold with every level, so nobody comes near.
pub(crate) const NESTING: usize = 64;

/// How many regular expressions there may be in one expression: each may take some memory.
pub(crate) const PATTERNS: usize = 32;

/// An expression that fits a shape.
#[derive(Clone, Debug)]
pub(crate) struct Filter {
    /// Of a target that is not checked beforehand the error is kept for the first element.
    expression: Result<Expression<Test>, FilterError>,
}

/// Why there is no answer, in the words that Consul answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FilterError(String);

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for FilterError {}

impl FilterError {
    fn creating(why: &str) -> FilterError {
        FilterError(format!("Failed to create boolean expression evaluator: {why}"))
    }
}

impl Filter {
    /// Reads an expression over elements of a shape. In Consul no expression and an empty one are no filter at all; that is
    /// the caller's to see.
    pub(crate) fn parse(text: &str, shape: &'static Shape) -> Result<Filter, FilterError> {
        if text.len() > EXPRESSION_BYTES {
            let (is, most) = (text.len(), EXPRESSION_BYTES);
            return Err(FilterError::creating(&format!(
                "the expression has {is} bytes, the limit is {most}"
            )));
        }
        let expression = grammar::parse(text).map_err(|why| FilterError::creating(&why))?;
        if expression.count(&|found| found.operator.takes_pattern()) > PATTERNS {
            return Err(FilterError::creating(&format!(
                "the expression has more than {PATTERNS} regular expressions"
            )));
        }
        let expression = match shape {
            Shape::Unchecked(shape) => {
                expression.bind(&|found| bind::bind(found, shape)).map_err(FilterError)
            }
            shape => {
                let bound = expression.bind(&|found| bind::bind(found, shape));
                Ok(bound.map_err(|why| FilterError::creating(&why))?)
            }
        };
        Ok(Filter { expression })
    }

    /// Whether an element matches, given as the JSON that Consul would answer. What the JSON omits is the zero value.
    pub(crate) fn matches(&self, element: &Value) -> Result<bool, FilterError> {
        let expression = self.expression.as_ref().map_err(Clone::clone)?;
        Ok(expression.holds(&|test| test.holds(element)))
    }
}
