//! The rules of the grammar below `and`, `or`, `not` and parentheses.

use super::expression::{Bytes, Match, Operator};
use super::quote::unquote;
use super::scan::Scan;

pub(super) fn comparison(scan: &mut Scan<'_>) -> Option<Match> {
    None.or_else(|| scan.whole(selector_operator_value))
        .or_else(|| scan.whole(selector_operator))
        .or_else(|| scan.whole(value_operator_selector))
}

fn selector_operator_value(scan: &mut Scan<'_>) -> Option<Match> {
    let selector = selector(scan)?;
    let operator = None
        .or_else(|| symbol(scan, "==", Operator::Equal))
        .or_else(|| symbol(scan, "!=", Operator::NotEqual))
        .or_else(|| words(scan, &["contains"], true, Operator::In))
        .or_else(|| words(scan, &["not", "contains"], true, Operator::NotIn))
        .or_else(|| words(scan, &["matches"], true, Operator::Matches))
        .or_else(|| words(scan, &["not", "matches"], true, Operator::NotMatches))?;
    let value = Some(value(scan)?);
    Some(Match { selector, operator, value })
}

fn selector_operator(scan: &mut Scan<'_>) -> Option<Match> {
    let selector = selector(scan)?;
    let operator = None
        .or_else(|| words(scan, &["is", "empty"], false, Operator::IsEmpty))
        .or_else(|| words(scan, &["is", "not", "empty"], false, Operator::IsNotEmpty))?;
    Some(Match { selector, operator, value: None })
}

fn value_operator_selector(scan: &mut Scan<'_>) -> Option<Match> {
    let value = Some(value(scan)?);
    let operator = None
        .or_else(|| words(scan, &["in"], true, Operator::In))
        .or_else(|| words(scan, &["not", "in"], true, Operator::NotIn))?;
    if let Some(selector) = selector(scan) {
        return Some(Match { selector, operator, value });
    }
    scan.not_ahead(selector)?;
    let at = scan.at;
    scan.wrong(at, "match", "Invalid selector")
}

fn symbol(scan: &mut Scan<'_>, symbol: &'static str, operator: Operator) -> Option<Operator> {
    scan.whole(|scan| {
        gap(scan);
        scan.literal(symbol)?;
        gap(scan);
        Some(operator)
    })
}

fn words(
    scan: &mut Scan<'_>,
    words: &[&'static str],
    then_space: bool,
    operator: Operator,
) -> Option<Operator> {
    scan.whole(|scan| {
        for word in words {
            space(scan)?;
            scan.literal(word)?;
        }
        if then_space {
            space(scan)?;
        }
        Some(operator)
    })
}

fn selector(scan: &mut Scan<'_>) -> Option<Vec<Bytes>> {
    let mut names = vec![identifier(scan)?];
    loop {
        let dotted = scan.whole(|scan| scan.literal(".").and_then(|()| identifier(scan)));
        match dotted.or_else(|| index(scan)) {
            Some(name) => names.push(name),
            None => return Some(names),
        }
    }
}

fn identifier(scan: &mut Scan<'_>) -> Option<Bytes> {
    let start = scan.at;
    scan.class("[a-zA-Z]", |next| next.is_ascii_alphabetic())?;
    while scan.class("[a-zA-Z0-9_]", |next| next.is_ascii_alphanumeric() || next == '_').is_some() {}
    Some(scan.since(start).as_bytes().to_vec())
}

fn index(scan: &mut Scan<'_>) -> Option<Bytes> {
    let closed = scan.whole(|scan| {
        let name = open_index(scan)?;
        scan.literal("]")?;
        Some(name)
    });
    closed.or_else(|| scan.whole(not_an_index)).or_else(|| scan.whole(unclosed_index))
}

fn open_index(scan: &mut Scan<'_>) -> Option<Bytes> {
    scan.literal("[")?;
    gap(scan);
    let name = string(scan)?;
    gap(scan);
    Some(name)
}

fn not_an_index(scan: &mut Scan<'_>) -> Option<Bytes> {
    scan.literal("[")?;
    gap(scan);
    scan.not_ahead(string)?;
    let at = scan.at;
    scan.wrong(at, "index", "Invalid index")
}

fn unclosed_index(scan: &mut Scan<'_>) -> Option<Bytes> {
    open_index(scan)?;
    scan.not_ahead(|scan| scan.literal("]"))?;
    let at = scan.at;
    scan.wrong(at, "index", "Unclosed index expression")
}

fn value(scan: &mut Scan<'_>) -> Option<Bytes> {
    None.or_else(|| selector(scan).map(|names| names.join(&b'.')))
        .or_else(|| number(scan))
        .or_else(|| string(scan))
}

fn number(scan: &mut Scan<'_>) -> Option<Bytes> {
    let start = scan.at;
    let read = scan.whole(|scan| {
        digits(scan)?;
        scan.ahead(after_number)
    });
    if read.is_some() {
        return Some(scan.since(start).as_bytes().to_vec());
    }
    scan.whole(|scan| {
        digits(scan)?;
        scan.not_ahead(after_number)?;
        let at = scan.at;
        scan.wrong(at, "number", "Invalid number literal")
    })
}

fn digits(scan: &mut Scan<'_>) -> Option<()> {
    let _ = scan.literal("-");
    if scan.literal("0").is_none() {
        scan.class("[1-9]", |next| matches!(next, '1'..='9'))?;
        while digit(scan).is_some() {}
    }
    let _ = scan.whole(|scan| {
        scan.literal(".")?;
        digit(scan)?;
        while digit(scan).is_some() {}
        Some(())
    });
    Some(())
}

fn digit(scan: &mut Scan<'_>) -> Option<()> {
    scan.class("[0-9]", |next| next.is_ascii_digit())
}

fn after_number(scan: &mut Scan<'_>) -> Option<()> {
    None.or_else(|| space(scan)).or_else(|| end(scan)).or_else(|| scan.literal(")"))
}

fn string(scan: &mut Scan<'_>) -> Option<Bytes> {
    let start = scan.at;
    let closed = None.or_else(|| quoted(scan, "`", true)).or_else(|| quoted(scan, "\"", true));
    if closed.is_some() {
        return Some(unquote(scan.since(start)).unwrap_or_else(|| {
            // Go on as if it were empty: the error stands whatever comes.
            let _: Option<()> = scan.wrong(start, "string", "invalid syntax");
            Bytes::new()
        }));
    }
    scan.whole(|scan| {
        None.or_else(|| quoted(scan, "`", false)).or_else(|| quoted(scan, "\"", false))?;
        end(scan)?;
        let at = scan.at;
        scan.wrong(at, "string", "Unterminated string literal")
    })
}

fn quoted(scan: &mut Scan<'_>, mark: &'static str, closed: bool) -> Option<()> {
    scan.whole(|scan| {
        scan.literal(mark)?;
        while scan.whole(|scan| scan.not_ahead(|scan| scan.literal(mark)).and_then(|()| scan.any())).is_some()
        {
        }
        if closed { scan.literal(mark) } else { Some(()) }
    })
}

pub(super) fn gap(scan: &mut Scan<'_>) {
    let _ = space(scan);
}

pub(super) fn space(scan: &mut Scan<'_>) -> Option<()> {
    let mut one = || scan.class("[ \\t\\r\\n]", |next| matches!(next, ' ' | '\t' | '\r' | '\n'));
    one()?;
    while one().is_some() {}
    Some(())
}

pub(super) fn end(scan: &mut Scan<'_>) -> Option<()> {
    scan.not_ahead(Scan::any)
}
