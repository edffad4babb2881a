//! Go's regular expressions on the `regex` crate. Both descend from RE2 and differ in writing: here an expression is read
//! as Go reads it, with Go's errors, and written again so that the crate takes it to mean the same. In Go `\d`, `\w`, `\s`
//! and `\b` are ASCII, a class has neither classes inside nor `&&`, and a `{` that begins no count is a brace.
//!
//! What the crate knows beyond Go is taken: short names of scripts, as in `\p{Grek}`. What is too large by the bounds here
//! is refused with Go's words for it, though Go would take more.

mod class;
mod escape;

use std::fmt::Write;

use regex::bytes::{Regex, RegexBuilder};

/// The size of a compiled pattern, in bytes. Whole Unicode classes take some 50 KiB.
const PROGRAM_BYTES: usize = 256 * 1024;
/// How many `\p` there may be: each takes far longer to compile than to write.
const UNICODE_CLASSES: usize = 16;
/// The largest count in `{n,m}`, as in Go.
const REPEATS: u32 = 1000;
/// How deep groups may be nested; Go allows 1000.
const GROUPS: usize = 200;

pub(crate) fn compile(raw: &[u8]) -> Result<Regex, String> {
    let text = std::str::from_utf8(raw).map_err(|_| said("invalid UTF-8", &String::from_utf8_lossy(raw)))?;
    if text.matches("\\p").count() + text.matches("\\P").count() > UNICODE_CLASSES {
        return Err(said("expression too large", text));
    }
    let written = rewrite(text)?;
    let mut builder = RegexBuilder::new(&written);
    builder.size_limit(PROGRAM_BYTES).dfa_size_limit(PROGRAM_BYTES);
    builder.build().map_err(|_| said("expression too large", text))
}

fn said(what: &str, part: &str) -> String {
    format!("error parsing regexp: {what}: `{part}`")
}

fn rewrite(text: &str) -> Result<String, String> {
    let mut writer =
        Writer { whole: text, rest: text, out: String::new(), flags: String::new(), groups: 0, atom: false };
    // Where the repetition began that stands immediately before.
    let mut repeated = None;
    while let Some(next) = writer.rest.chars().next() {
        let before = writer.rest;
        let repeats = match next {
            '*' | '+' | '?' => {
                writer.take(1);
                writer.repeat(before, next.encode_utf8(&mut [0; 4]), repeated)?;
                true
            }
            '{' => match count(before) {
                Some((bytes, least, most)) => {
                    writer.take(bytes);
                    if least > REPEATS || most.is_some_and(|most| most > REPEATS || most < least) {
                        return Err(said("invalid repeat count", writer.since(before)));
                    }
                    writer.repeat(before, before.get(..bytes).unwrap_or_default(), repeated)?;
                    true
                }
                None => {
                    writer.char(next);
                    false
                }
            },
            _ => {
                writer.part(next)?;
                false
            }
        };
        repeated = repeats.then_some(before);
    }
    if writer.groups == 0 { Ok(writer.out) } else { Err(said("missing closing )", text)) }
}

struct Writer<'a> {
    whole: &'a str,
    rest: &'a str,
    out: String,
    /// A change of flags that is not written yet: for Go a repetition after it still means what stood before it.
    flags: String,
    groups: usize,
    /// Whether there is something that a repetition could mean.
    atom: bool,
}

impl<'a> Writer<'a> {
    fn part(&mut self, next: char) -> Result<(), String> {
        match next {
            '(' => return self.open(),
            ')' => {
                self.groups = self.groups.checked_sub(1).ok_or_else(|| said("unexpected )", self.whole))?;
                self.out().push(next);
                self.take(1);
                self.atom = true;
            }
            '|' => {
                self.out().push(next);
                self.take(1);
                self.atom = false;
            }
            '^' | '$' | '.' => {
                self.out().push(next);
                self.take(1);
                self.atom = true;
            }
            '[' => {
                let (rest, written) = class::rewrite(self.rest)?;
                self.written(rest, &written);
            }
            '\\' => return self.escaped(),
            _ => self.char(next),
        }
        Ok(())
    }

    fn escaped(&mut self) -> Result<(), String> {
        let after = self.rest.get(1..).unwrap_or_default();
        match after.chars().next() {
            Some('Q') => {
                let quoted = after.get(1..).unwrap_or_default();
                let (quoted, rest) = quoted.split_once("\\E").unwrap_or((quoted, ""));
                quoted.chars().for_each(|next| escape::write(u32::from(next), self.out()));
                self.atom |= !quoted.is_empty();
                self.rest = rest;
            }
            Some(edge @ ('A' | 'z')) => {
                self.written(after.get(1..).unwrap_or_default(), &format!("\\{edge}"))
            }
            Some(edge @ ('b' | 'B')) => {
                self.written(after.get(1..).unwrap_or_default(), &format!("(?-u:\\{edge})"));
            }
            _ => match escape::class(self.rest)? {
                Some((rest, written)) => self.written(rest, &written),
                None => {
                    let (rest, code) = escape::code(self.rest)?;
                    let mut written = String::new();
                    escape::write(code, &mut written);
                    self.written(rest, &written);
                }
            },
        }
        Ok(())
    }

    fn repeat(&mut self, before: &str, operator: &str, repeated: Option<&str>) -> Result<(), String> {
        let lazy = self.rest.starts_with('?');
        self.take(usize::from(lazy));
        if let Some(repeated) = repeated {
            return Err(said("invalid nested repetition operator", self.since(repeated)));
        }
        if !self.atom {
            return Err(said("missing argument to repetition operator", self.since(before)));
        }
        self.out.push_str(operator);
        self.out.push_str(if lazy { "?" } else { "" });
        Ok(())
    }

    /// A group, named or not, or a change of flags for the rest of the group around it.
    fn open(&mut self) -> Result<(), String> {
        let start = self.rest;
        let named =
            start.strip_prefix("(?P<").or(start.strip_prefix("(?<")).filter(|named| !named.is_empty());
        let opening = match (named, start.strip_prefix("(?")) {
            (_, None) => {
                self.take(1);
                "(".to_owned()
            }
            (Some(named), Some(_)) => {
                let Some((name, rest)) = named.split_once('>') else {
                    return Err(said("invalid named capture", start));
                };
                self.rest = rest;
                if name.is_empty() || !name.chars().all(|next| next == '_' || next.is_ascii_alphanumeric()) {
                    return Err(said("invalid named capture", self.since(start)));
                }
                "(".to_owned()
            }
            (None, Some(flags)) => {
                let (rest, flags, closes) = read_flags(start, flags)?;
                self.rest = rest;
                if closes {
                    if !flags.is_empty() {
                        push(&mut self.flags, format_args!("(?{flags})"));
                    }
                    return Ok(());
                }
                format!("(?{flags}:")
            }
        };
        self.out().push_str(&opening);
        self.groups += 1;
        self.atom = false;
        if self.groups > GROUPS {
            return Err(said("expression nests too deeply", self.whole));
        }
        Ok(())
    }

    /// Where everything but a repetition is written.
    fn out(&mut self) -> &mut String {
        self.out.push_str(&std::mem::take(&mut self.flags));
        &mut self.out
    }

    fn char(&mut self, next: char) {
        escape::write(u32::from(next), self.out());
        self.take(next.len_utf8());
        self.atom = true;
    }

    fn written(&mut self, rest: &'a str, written: &str) {
        self.out().push_str(written);
        self.rest = rest;
        self.atom = true;
    }

    fn take(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }

    /// From a place before here up to here.
    fn since<'b>(&self, start: &'b str) -> &'b str {
        since(start, self.rest)
    }
}

/// What `start` has more than `rest`, which is its end.
fn since<'b>(start: &'b str, rest: &str) -> &'b str {
    start.get(..start.len() - rest.len()).unwrap_or(start)
}

/// A count, `{n}`, `{n,}` or `{n,m}`, with its length. What does not look like one is none.
fn count(text: &str) -> Option<(usize, u32, Option<u32>)> {
    let (inner, _) = text.strip_prefix('{')?.split_once('}')?;
    let (least, most) = match inner.split_once(',') {
        None => (decimal(inner)?, Some(decimal(inner)?)),
        Some((least, "")) => (decimal(least)?, None),
        Some((least, most)) => (decimal(least)?, Some(decimal(most)?)),
    };
    Some((inner.len() + 2, least, most))
}

fn decimal(digits: &str) -> Option<u32> {
    let plain = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    let leading_zero = digits.len() > 1 && digits.starts_with('0');
    (plain && !leading_zero).then(|| digits.parse().unwrap_or(u32::MAX))
}

/// Flags up to the `:` or `)` after them, as the crate takes them: each once. Whether it was the `)`.
fn read_flags<'a>(start: &str, text: &'a str) -> Result<(&'a str, String, bool), String> {
    let mut flags: Vec<(char, bool)> = Vec::new();
    let (mut on, mut seen) = (true, false);
    let mut rest = text;
    loop {
        let next = rest.chars().next().unwrap_or_default();
        rest = rest.get(next.len_utf8()..).unwrap_or_default();
        match next {
            'i' | 'm' | 's' | 'U' => {
                flags.retain(|(flag, _)| *flag != next);
                flags.push((next, on));
                seen = true;
            }
            '-' if on => (on, seen) = (false, false),
            ':' | ')' if on || seen => {
                let with = |wanted| flags.iter().filter(move |(_, on)| *on == wanted).map(|(flag, _)| *flag);
                let (set, cleared): (String, String) = (with(true).collect(), with(false).collect());
                let written = if cleared.is_empty() { set } else { format!("{set}-{cleared}") };
                return Ok((rest, written, next == ')'));
            }
            _ => return Err(said("invalid or unsupported Perl syntax", since(start, rest))),
        }
    }
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = text.write_fmt(what);
}
