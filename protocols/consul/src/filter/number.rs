//! Values as `strconv` reads them: integers with Go's prefixes and underscores, booleans with their short forms.

use super::quote::quote;

const SYNTAX: &str = "invalid syntax";
const RANGE: &str = "value out of range";

pub(super) fn parse_bool(text: &[u8]) -> Result<bool, String> {
    match text {
        b"1" | b"t" | b"T" | b"true" | b"TRUE" | b"True" => Ok(true),
        b"0" | b"f" | b"F" | b"false" | b"FALSE" | b"False" => Ok(false),
        _ => Err(failed("ParseBool", text, SYNTAX)),
    }
}

pub(super) fn parse_int(text: &[u8]) -> Result<i64, String> {
    let digits = text.strip_prefix(b"-").or(text.strip_prefix(b"+")).unwrap_or(text);
    let sign = if text.starts_with(b"-") { -1 } else { 1 };
    let value = magnitude(digits, 64).map_err(|why| failed("ParseInt", text, why))?;
    i64::try_from(sign * i128::from(value)).map_err(|_| failed("ParseInt", text, RANGE))
}

pub(super) fn parse_uint(text: &[u8], bits: u32) -> Result<u64, String> {
    magnitude(text, bits).map_err(|why| failed("ParseUint", text, why))
}

fn failed(function: &str, text: &[u8], why: &str) -> String {
    format!("strconv.{function}: parsing {}: {why}", quote(text))
}

fn magnitude(text: &[u8], bits: u32) -> Result<u64, &'static str> {
    let (base, digits) = match text {
        [] => return Err(SYNTAX),
        [b'0', b'b' | b'B', digits @ ..] if !digits.is_empty() => (2, digits),
        [b'0', b'o' | b'O', digits @ ..] if !digits.is_empty() => (8, digits),
        [b'0', b'x' | b'X', digits @ ..] if !digits.is_empty() => (16, digits),
        [b'0', digits @ ..] => (8, digits),
        digits => (10, digits),
    };
    let most = u64::MAX >> 64_u32.saturating_sub(bits);
    let mut value: u64 = 0;
    for byte in digits.iter().filter(|byte| **byte != b'_') {
        let digit = char::from(*byte).to_digit(base).ok_or(SYNTAX)?;
        let more = value.checked_mul(u64::from(base)).and_then(|value| value.checked_add(u64::from(digit)));
        value = more.filter(|value| *value <= most).ok_or(RANGE)?;
    }
    // What stands before the digits, a prefix or a zero, counts as a digit.
    let first = digits.len() == text.len() && digits.first() == Some(&b'_');
    let last = digits.last() == Some(&b'_');
    let doubled = digits.windows(2).any(|pair| pair == b"__");
    if first || last || doubled { Err(SYNTAX) } else { Ok(value) }
}
