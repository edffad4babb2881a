//! A cursor over an expression that remembers why it got no further, as the parsers do that pigeon generates for Go: the
//! error names everything that was tried at the furthest point, inside negative lookaheads with the sense reversed.

use std::collections::BTreeSet;

use super::quote::quote;

/// More errors than these are not gathered: one is enough to refuse.
const ERRORS: usize = 64;

/// Something that was tried at the furthest point.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Want {
    Literal(&'static str),
    Class(&'static str),
    Any,
}

pub(super) struct Scan<'a> {
    text: &'a str,
    pub(super) at: usize,
    /// Inside an odd number of negative lookaheads.
    inverted: bool,
    furthest: usize,
    /// What was wanted there, and whether it was unwanted instead.
    wanted: BTreeSet<(bool, Want)>,
    errors: Vec<String>,
}

impl<'a> Scan<'a> {
    pub(super) fn new(text: &'a str) -> Scan<'a> {
        Scan { text, at: 0, inverted: false, furthest: 0, wanted: BTreeSet::new(), errors: Vec::new() }
    }

    /// Takes exactly this.
    pub(super) fn literal(&mut self, literal: &'static str) -> Option<()> {
        let found = self.rest().starts_with(literal);
        self.tried(found, Want::Literal(literal));
        self.advance(found, literal.len())
    }

    /// Takes one character of a class, which has this name in errors.
    pub(super) fn class(&mut self, name: &'static str, has: fn(char) -> bool) -> Option<()> {
        let next = self.rest().chars().next().filter(|next| has(*next));
        self.tried(next.is_some(), Want::Class(name));
        self.advance(next.is_some(), next.map_or(0, char::len_utf8))
    }

    /// Takes one character, whichever.
    pub(super) fn any(&mut self) -> Option<()> {
        let next = self.rest().chars().next();
        self.tried(next.is_some(), Want::Any);
        self.advance(next.is_some(), next.map_or(0, char::len_utf8))
    }

    /// Takes the whole of it, or nothing.
    pub(super) fn whole<T>(&mut self, rule: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let start = self.at;
        let read = rule(self);
        if read.is_none() {
            self.at = start;
        }
        read
    }

    /// Succeeds if the rule would, and takes nothing.
    pub(super) fn ahead<T>(&mut self, rule: impl FnOnce(&mut Self) -> Option<T>) -> Option<()> {
        let start = self.at;
        let read = rule(self);
        self.at = start;
        read.map(|_| ())
    }

    /// Succeeds if the rule would not, and takes nothing.
    pub(super) fn not_ahead<T>(&mut self, rule: impl FnOnce(&mut Self) -> Option<T>) -> Option<()> {
        self.inverted = !self.inverted;
        let read = self.ahead(rule);
        self.inverted = !self.inverted;
        if read.is_none() { Some(()) } else { None }
    }

    /// What has been taken since.
    pub(super) fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Says that something is wrong at a place, whatever else is tried. Always nothing, for rules to end with.
    pub(super) fn wrong<T>(&mut self, at: usize, rule: &str, what: &str) -> Option<T> {
        if self.errors.len() < ERRORS {
            let (line, column) = self.position(at);
            let error = format!("{line}:{column} ({at}): rule \"{rule}\": {what}");
            if !self.errors.contains(&error) {
                self.errors.push(error);
            }
        }
        None
    }

    /// What was read, unless something was wrong on the way.
    pub(super) fn finish<T>(self, read: Option<T>) -> Result<T, String> {
        match read {
            Some(read) if self.errors.is_empty() => Ok(read),
            None if self.errors.is_empty() => Err(self.no_match()),
            _ => Err(self.errors.join("\n")),
        }
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn advance(&mut self, found: bool, bytes: usize) -> Option<()> {
        if !found {
            return None;
        }
        self.at += bytes;
        Some(())
    }

    fn tried(&mut self, found: bool, want: Want) {
        if found != self.inverted || self.at < self.furthest {
            return;
        }
        if self.at > self.furthest {
            self.furthest = self.at;
            self.wanted.clear();
        }
        self.wanted.insert((self.inverted, want));
    }

    fn no_match(&self) -> String {
        let end = (true, Want::Any);
        let others = self.wanted.iter().filter(|want| **want != end);
        let mut names: Vec<String> = others.map(|(unwanted, want)| name(*unwanted, *want)).collect();
        names.sort();
        if self.wanted.contains(&end) {
            names.push("EOF".to_owned());
        }
        let (line, column) = if self.furthest == 0 { (1, 1) } else { self.position(self.furthest) };
        let names = match names.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
            None => String::new(),
        };
        format!("{line}:{column} ({}): no match found, expected: {names}", self.furthest)
    }

    /// Line and column as Go's generated parsers count: in characters, a line feed being column 0 of the next line.
    fn position(&self, at: usize) -> (usize, usize) {
        let (mut line, mut column) = (1, 0);
        for (_, next) in self.text.char_indices().take_while(|(start, _)| *start <= at) {
            column += 1;
            if next == '\n' {
                (line, column) = (line + 1, 0);
            }
        }
        if at >= self.text.len() {
            column += 1;
        }
        (line, column)
    }
}

fn name(unwanted: bool, want: Want) -> String {
    let name = match want {
        Want::Literal(literal) => quote(literal.as_bytes()),
        Want::Class(name) => name.to_owned(),
        Want::Any => ".".to_owned(),
    };
    if unwanted { format!("!{name}") } else { name }
}
