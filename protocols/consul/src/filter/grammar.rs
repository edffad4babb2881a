//! The grammar of go-bexpr 0.1.2, rule by rule, as a parsing expression grammar without lexer: every alternative that
//! go-bexpr tries is tried here in the same order, because the trying shows in its errors. It tries most of them
//! many times over, which changes nothing; here each is tried once, so that time is linear in the expression.

use super::NESTING;
use super::comparison::{comparison, end, gap, space};
use super::expression::{Expression, Match};
use super::scan::Scan;

type Parsed = Expression<Match>;

/// Reads an expression; the error is what go-bexpr's parser says.
pub(super) fn parse(text: &str) -> Result<Parsed, String> {
    let mut reader = Reader { scan: Scan::new(text), nesting: 0, too_deep: false };
    let read = reader.input();
    if reader.too_deep {
        return Err(format!("parentheses are nested deeper than {NESTING}"));
    }
    reader.scan.finish(read)
}

struct Reader<'a> {
    scan: Scan<'a>,
    nesting: usize,
    too_deep: bool,
}

impl Reader<'_> {
    fn input(&mut self) -> Option<Parsed> {
        gap(&mut self.scan);
        if let Some(read) = self.whole(|reader| {
            let read = reader.grouped()?;
            gap(&mut reader.scan);
            end(&mut reader.scan)?;
            Some(read)
        }) {
            return Some(read);
        }
        let read = self.either()?;
        gap(&mut self.scan);
        end(&mut self.scan)?;
        Some(read)
    }

    fn either(&mut self) -> Option<Parsed> {
        let terms = self.chain("or", Self::both)?;
        Some(joined(terms, Expression::Any))
    }

    fn both(&mut self) -> Option<Parsed> {
        let terms = self.chain("and", Self::negation)?;
        Some(joined(terms, Expression::All))
    }

    /// Terms with a word between them. A word that no term follows is not taken.
    fn chain(&mut self, word: &'static str, term: fn(&mut Self) -> Option<Parsed>) -> Option<Vec<Parsed>> {
        let mut terms = vec![term(self)?];
        while let Some(next) = self.whole(|reader| {
            space(&mut reader.scan)?;
            reader.scan.literal(word)?;
            space(&mut reader.scan)?;
            term(reader)
        }) {
            terms.push(next);
        }
        Some(terms)
    }

    /// Any number of `not`. Where nothing follows them the last is a selector of that name, and so on backwards.
    fn negation(&mut self) -> Option<Parsed> {
        let mut starts = vec![self.scan.at];
        while self.scan.whole(|scan| scan.literal("not").and_then(|()| space(scan))).is_some() {
            starts.push(self.scan.at);
        }
        while let Some(start) = starts.pop() {
            self.scan.at = start;
            let Some(read) = self.group() else { continue };
            let negated = starts.len() % 2 == 1;
            return Some(if negated { Expression::Not(Box::new(read)) } else { read });
        }
        None
    }

    fn group(&mut self) -> Option<Parsed> {
        let start = self.scan.at;
        let mut unclosed = None;
        if let Some(read) = self.whole(|reader| {
            let read = reader.open_group()?;
            unclosed = Some(reader.scan.at);
            reader.scan.literal(")")?;
            Some(read)
        }) {
            return Some(read);
        }
        if let Some(read) = comparison(&mut self.scan) {
            return Some(Expression::Leaf(read));
        }
        self.scan.at = start;
        unclosed.and_then(|at| self.scan.wrong(at, "grouping", "Unmatched parentheses"))
    }

    fn grouped(&mut self) -> Option<Parsed> {
        let read = self.open_group()?;
        self.scan.literal(")")?;
        Some(read)
    }

    fn open_group(&mut self) -> Option<Parsed> {
        self.scan.literal("(")?;
        gap(&mut self.scan);
        if self.nesting == NESTING {
            self.too_deep = true;
            return None;
        }
        self.nesting += 1;
        let read = self.either();
        self.nesting -= 1;
        gap(&mut self.scan);
        read
    }

    fn whole<T>(&mut self, rule: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        let start = self.scan.at;
        let read = rule(self);
        if read.is_none() {
            self.scan.at = start;
        }
        read
    }
}

fn joined(mut terms: Vec<Parsed>, join: fn(Vec<Parsed>) -> Parsed) -> Parsed {
    match terms.pop() {
        Some(only) if terms.is_empty() => only,
        last => {
            terms.extend(last);
            join(terms)
        }
    }
}
