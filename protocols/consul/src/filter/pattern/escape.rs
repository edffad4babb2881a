//! What a backslash begins.

use regex::Regex;

use super::{push, said, since};

/// Writes a character so that it means itself, inside a class and outside.
pub(super) fn write(code: u32, out: &mut String) {
    match char::from_u32(code) {
        Some(plain) if plain.is_ascii_alphanumeric() => out.push(plain),
        Some(_) => push(out, format_args!("\\x{{{code:x}}}")),
        // A surrogate, which no text has.
        None => out.push_str("[^\\x00-\\x{10ffff}]"),
    }
}

/// A class of characters, if it is one.
pub(super) fn class(text: &str) -> Result<Option<(&str, String)>, String> {
    let mut chars = text.chars();
    let (Some('\\'), Some(kind)) = (chars.next(), chars.next()) else { return Ok(None) };
    let written = match kind {
        'd' => "[0-9]",
        'D' => "[^0-9]",
        's' => "[\\t\\n\\x0c\\r ]",
        'S' => "[^\\t\\n\\x0c\\r ]",
        'w' => "[0-9A-Za-z_]",
        'W' => "[^0-9A-Za-z_]",
        'p' | 'P' => return unicode(text, kind, chars.as_str()).map(Some),
        _ => return Ok(None),
    };
    Ok(Some((chars.as_str(), written.to_owned())))
}

fn unicode<'a>(text: &'a str, kind: char, after: &'a str) -> Result<(&'a str, String), String> {
    let (name, rest) = match after.strip_prefix('{') {
        Some(braced) => braced.split_once('}').ok_or_else(|| said("invalid character class range", text))?,
        None => after.split_at_checked(after.chars().next().map_or(0, char::len_utf8)).unwrap_or_default(),
    };
    let (positive, name) = match name.strip_prefix('^') {
        Some(name) => (kind == 'P', name),
        None => (kind == 'p', name),
    };
    let plain = name.chars().all(|next| next.is_ascii_alphanumeric() || matches!(next, '_' | '-' | ' '));
    let written = format!("\\{}{{{name}}}", if positive { 'p' } else { 'P' });
    if !plain || Regex::new(&written).is_err() {
        return Err(said("invalid character class range", since(text, rest)));
    }
    Ok((rest, written))
}

/// The one character that is meant.
pub(super) fn code(text: &str) -> Result<(&str, u32), String> {
    let mut chars = text.chars();
    chars.next();
    let Some(kind) = chars.next() else { return Err(said("trailing backslash at end of expression", "")) };
    let code = match kind {
        'a' => Some(7),
        'f' => Some(0x0c),
        'n' => Some(u32::from('\n')),
        'r' => Some(u32::from('\r')),
        't' => Some(u32::from('\t')),
        'v' => Some(0x0b),
        'x' => hexadecimal(&mut chars),
        // One digit other than zero would refer back.
        '0' => Some(octal(0, &mut chars)),
        '1'..='7' if chars.as_str().starts_with(|next| matches!(next, '0'..='7')) => {
            Some(octal(kind.to_digit(8).unwrap_or_default(), &mut chars))
        }
        _ if kind.is_ascii() && !kind.is_ascii_alphanumeric() => Some(u32::from(kind)),
        _ => None,
    };
    let code = code.ok_or_else(|| said("invalid escape sequence", since(text, chars.as_str())))?;
    Ok((chars.as_str(), code))
}

fn octal(first: u32, chars: &mut std::str::Chars<'_>) -> u32 {
    let mut code = first;
    for _ in 0..2 {
        let Some(digit) = chars.clone().next().and_then(|next| next.to_digit(8)) else { break };
        chars.next();
        code = code * 8 + digit;
    }
    code
}

/// Two digits, or any number of them in braces.
fn hexadecimal(chars: &mut std::str::Chars<'_>) -> Option<u32> {
    let first = chars.next()?;
    if first != '{' {
        // Both are read before they are looked at, which shows in the error.
        let second = chars.next()?;
        return Some(first.to_digit(16)? * 16 + second.to_digit(16)?);
    }
    let mut code = None;
    loop {
        match chars.next()? {
            '}' => return code,
            next => {
                let value: u32 = code.unwrap_or(0) * 16 + next.to_digit(16)?;
                code = Some(value).filter(|value| *value <= u32::from(char::MAX));
                code?;
            }
        }
    }
}
