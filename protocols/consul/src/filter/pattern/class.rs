//! `[...]`.

use super::{escape, said, since};

/// Reads a class from its `[` on; what is left, and the class as the crate takes it.
pub(super) fn rewrite(whole: &str) -> Result<(&str, String), String> {
    let mut rest = whole.get(1..).unwrap_or_default();
    let mut out = String::from("[");
    if let Some(negated) = rest.strip_prefix('^') {
        rest = negated;
        out.push('^');
    }
    let mut first = true;
    loop {
        // A bracket that comes first is a member.
        if let Some(after) = rest.strip_prefix(']').filter(|_| !first) {
            out.push(']');
            return Ok((after, out));
        }
        first = false;
        if let Some((after, name)) = posix(rest)? {
            out.push_str(name);
            rest = after;
        } else if let Some((after, class)) = escape::class(rest)? {
            out.push_str(&class);
            rest = after;
        } else {
            rest = range(rest, whole, &mut out)?;
        }
    }
}

fn range<'a>(start: &'a str, whole: &str, out: &mut String) -> Result<&'a str, String> {
    let (mut rest, low) = member(start, whole)?;
    let mut high = low;
    if let Some(after) = rest.strip_prefix('-').filter(|after| !after.is_empty() && !after.starts_with(']')) {
        (rest, high) = member(after, whole)?;
        if high < low {
            return Err(said("invalid character class range", since(start, rest)));
        }
    }
    escape::write(low, out);
    if high != low {
        out.push('-');
        escape::write(high, out);
    }
    Ok(rest)
}

fn member<'a>(text: &'a str, whole: &str) -> Result<(&'a str, u32), String> {
    match text.chars().next() {
        None => Err(said("missing closing ]", whole)),
        Some('\\') => escape::code(text),
        Some(next) => Ok((text.get(next.len_utf8()..).unwrap_or_default(), u32::from(next))),
    }
}

/// A class with a name, as `[:alpha:]`.
fn posix(text: &str) -> Result<Option<(&str, &str)>, String> {
    let Some(inner) = text.strip_prefix("[:") else { return Ok(None) };
    let Some((name, rest)) = inner.split_once(":]") else { return Ok(None) };
    match name.strip_prefix('^').unwrap_or(name) {
        "alnum" | "alpha" | "ascii" | "blank" | "cntrl" | "digit" | "graph" | "lower" | "print" | "punct"
        | "space" | "upper" | "word" | "xdigit" => Ok(Some((rest, since(text, rest)))),
        _ => Err(said("invalid character class range", since(text, rest))),
    }
}
