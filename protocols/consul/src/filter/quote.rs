//! Go's quoted strings. They are bytes: an escape can name one that is no UTF-8.

use std::fmt::Write;

/// As `strconv.Quote` writes it.
pub(super) fn quote(text: &[u8]) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for chunk in text.utf8_chunks() {
        chunk.valid().chars().for_each(|next| quote_char(next, &mut quoted));
        for byte in chunk.invalid() {
            push(&mut quoted, format_args!("\\x{byte:02x}"));
        }
    }
    quoted.push('"');
    quoted
}

fn quote_char(next: char, quoted: &mut String) {
    match next {
        '"' | '\\' => quoted.extend(['\\', next]),
        '\x07' => quoted.push_str("\\a"),
        '\x08' => quoted.push_str("\\b"),
        '\x0c' => quoted.push_str("\\f"),
        '\n' => quoted.push_str("\\n"),
        '\r' => quoted.push_str("\\r"),
        '\t' => quoted.push_str("\\t"),
        '\x0b' => quoted.push_str("\\v"),
        '\0'..=' ' | '\x7f' if next != ' ' => push(quoted, format_args!("\\x{:02x}", u32::from(next))),
        _ if is_printable(next) => quoted.push(next),
        '\0'..='\u{ffff}' => push(quoted, format_args!("\\u{:04x}", u32::from(next))),
        _ => push(quoted, format_args!("\\U{:08x}", u32::from(next))),
    }
}

/// Letters, marks, numbers, punctuation, symbols and the space. Rust's debug form draws the same line, except that it
/// escapes a mark which has nothing before it to stand on.
fn is_printable(next: char) -> bool {
    matches!(next, '\'' | ' ') || format!("a{next}").escape_debug().nth(1) == Some(next)
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = text.write_fmt(what);
}

/// As `strconv.Unquote` reads a literal with its quotes on; nothing where that fails.
pub(super) fn unquote(literal: &str) -> Option<Vec<u8>> {
    if let Some(raw) = literal.strip_prefix('`') {
        return Some(raw.strip_suffix('`')?.bytes().filter(|byte| *byte != b'\r').collect());
    }
    let mut rest = literal.strip_prefix('"')?.strip_suffix('"')?.chars();
    let mut text = Vec::with_capacity(literal.len());
    while let Some(next) = rest.next() {
        match next {
            '\n' | '"' => return None,
            '\\' => unescape(&mut rest, &mut text)?,
            next => push_char(next, &mut text),
        }
    }
    Some(text)
}

fn unescape(rest: &mut std::str::Chars<'_>, text: &mut Vec<u8>) -> Option<()> {
    let kind = rest.next()?;
    match kind {
        'a' => text.push(0x07),
        'b' => text.push(0x08),
        'f' => text.push(0x0c),
        'n' => text.push(b'\n'),
        'r' => text.push(b'\r'),
        't' => text.push(b'\t'),
        'v' => text.push(0x0b),
        '\\' | '"' => push_char(kind, text),
        'x' => text.push(u8::try_from(digits(rest, 2, 16, 0)?).ok()?),
        'u' => push_char(char::from_u32(digits(rest, 4, 16, 0)?)?, text),
        'U' => push_char(char::from_u32(digits(rest, 8, 16, 0)?)?, text),
        '0'..='7' => text.push(u8::try_from(digits(rest, 2, 8, kind.to_digit(8)?)?).ok()?),
        _ => return None,
    }
    Some(())
}

fn digits(rest: &mut std::str::Chars<'_>, count: usize, base: u32, first: u32) -> Option<u32> {
    let mut value = first;
    for _ in 0..count {
        value = value.checked_mul(base)?.checked_add(rest.next()?.to_digit(base)?)?;
    }
    Some(value)
}

fn push_char(next: char, text: &mut Vec<u8>) {
    text.extend_from_slice(next.encode_utf8(&mut [0; 4]).as_bytes());
}
