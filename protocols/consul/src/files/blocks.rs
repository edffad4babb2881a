//! HCL as the same tree that JSON is: a block is an object under its name, several blocks of one name are a list.

use hcl::{Body, Expression, Structure};
use serde_json::{Map, Number, Value};

/// Only plain values: nothing is computed in a definition.
pub(super) fn parse(text: &str) -> Result<Value, String> {
    let body: Body = hcl::parse(text).map_err(|error| placed(&error))?;
    object(body).map(Value::Object)
}

fn placed(error: &hcl::Error) -> String {
    match error {
        hcl::Error::Parse(error) => {
            let place = error.location();
            format!("line {} column {}: {}", place.line(), place.column(), error.message())
        }
        other => other.to_string(),
    }
}

fn object(body: Body) -> Result<Map<String, Value>, String> {
    let mut fields = Map::new();
    for structure in body {
        match structure {
            Structure::Attribute(attribute) => {
                let key = attribute.key.to_string();
                let value = value(&key, attribute.expr)?;
                if fields.insert(key.clone(), value).is_some() {
                    return Err(format!("{key:?} is given twice"));
                }
            }
            Structure::Block(block) => {
                let key = block.identifier.to_string();
                if !block.labels.is_empty() {
                    return Err(format!("the block {key:?} takes no label"));
                }
                add(&mut fields, key, Value::Object(object(block.body)?));
            }
        }
    }
    Ok(fields)
}

fn add(fields: &mut Map<String, Value>, key: String, value: Value) {
    let value = match fields.remove(&key) {
        None => value,
        Some(Value::Array(mut items)) => {
            items.push(value);
            Value::Array(items)
        }
        Some(first) => Value::Array(vec![first, value]),
    };
    fields.insert(key, value);
}

fn value(key: &str, expression: Expression) -> Result<Value, String> {
    Ok(match expression {
        Expression::Null => Value::Null,
        Expression::Bool(value) => Value::Bool(value),
        Expression::Number(number) => {
            let whole = number.as_i64().map(Number::from).or_else(|| number.as_u64().map(Number::from));
            whole.or_else(|| number.as_f64().and_then(Number::from_f64)).map_or(Value::Null, Value::Number)
        }
        Expression::String(text) => Value::String(text),
        Expression::Array(items) => {
            Value::Array(items.into_iter().map(|item| value(key, item)).collect::<Result<_, _>>()?)
        }
        Expression::Object(pairs) => {
            let mut fields = Map::new();
            for (name, item) in pairs {
                let name = match name {
                    hcl::ObjectKey::Identifier(name) => name.to_string(),
                    hcl::ObjectKey::Expression(Expression::String(name)) => name,
                    _ => return Err(format!("{key:?}: a key has to be a plain word")),
                };
                let item = value(&name, item)?;
                fields.insert(name, item);
            }
            Value::Object(fields)
        }
        _ => return Err(format!("{key:?}: only plain values are taken, nothing that is computed")),
    })
}
