//! Which tests of a foreign suite run here, and what is expected of each.
//!
//! A file of lines: first what to run and how (`package`, `tags`, `launch`, `alone`, `quick`, `set`), then sections with names
//! of tests:
//!
//! ```text
//! package github.com/hashicorp/consul/api
//! launch consul
//!
//! [run]
//! [fails] why they fail here, and are expected to
//! [awaits] what has to be built first
//! [out] what they are about, that is none of this project's
//! ```

use std::collections::BTreeMap;

#[derive(Debug, Default)]
pub(crate) struct Tests {
    pub(crate) package: String,
    /// Build tags.
    pub(crate) tags: String,
    /// The program that the suite starts by itself.
    pub(crate) launch: Option<String>,
    /// Where a server must listen, for suites with a fixed address: such as `etcd=2379`.
    pub(crate) alone: Option<String>,
    /// How the names of the tests begin that have their place in every run; none: all of them have.
    quick: Vec<String>,
    /// Variables of the suite, by the variable of ours that they are given.
    pub(crate) set: Vec<(String, String)>,
    pub(crate) expected: BTreeMap<String, Expected>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Expected {
    Pass,
    Fail(String),
    Awaits(String),
    Out(String),
}

impl Tests {
    pub(crate) fn parse(text: &str) -> Result<Tests, String> {
        let mut tests = Tests::default();
        let mut section = None;
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        for line in lines {
            if let Some(head) = line.strip_prefix('[') {
                section = Some(expected(head).ok_or_else(|| format!("no such section: [{head}"))?);
                continue;
            }
            let Some(expected) = &section else {
                let (word, value) = line.split_once(' ').unwrap_or((line, ""));
                tests.direct(word, value.trim())?;
                continue;
            };
            if tests.expected.insert(line.to_owned(), expected.clone()).is_some() {
                return Err(format!("{line} is listed twice"));
            }
        }
        Ok(tests)
    }

    fn direct(&mut self, word: &str, value: &str) -> Result<(), String> {
        match word {
            "package" => value.clone_into(&mut self.package),
            "tags" => value.clone_into(&mut self.tags),
            "quick" => self.quick.extend(value.split_whitespace().map(str::to_owned)),
            "alone" => self.alone = Some(value.to_owned()),
            "launch" => self.launch = Some(value.to_owned()),
            "set" => {
                let (theirs, ours) = value.split_once(' ').ok_or_else(|| format!("set {value} to what?"))?;
                self.set.push((theirs.to_owned(), ours.trim().to_owned()));
            }
            _ => return Err(format!("{word} says nothing here")),
        }
        Ok(())
    }

    /// The tests that are run: all that can be, or the quick ones.
    pub(crate) fn chosen(&self, whole: bool) -> impl Iterator<Item = &str> {
        let runs = |expected: &Expected| matches!(expected, Expected::Pass | Expected::Fail(_));
        let all =
            self.expected.iter().filter(move |(_, expected)| runs(expected)).map(|(name, _)| name.as_str());
        all.filter(move |name| {
            whole || self.quick.is_empty() || self.quick.iter().any(|quick| name.starts_with(quick))
        })
    }
}

fn expected(head: &str) -> Option<Expected> {
    let (word, why) = head.split_once(']')?;
    let why = why.trim().to_owned();
    match word {
        "run" => Some(Expected::Pass),
        "fails" => Some(Expected::Fail(why)),
        "awaits" => Some(Expected::Awaits(why)),
        "out" => Some(Expected::Out(why)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_say_what_is_expected() {
        let tests = Tests::parse(
            "package a/b\nalone etcd=1\nset X Y\nquick TestA\n\n[run]\nTestA\nTestC\n# why\n[out] mesh\nTestB\n",
        )
        .unwrap();
        assert_eq!((tests.package.as_str(), tests.set.len()), ("a/b", 1));
        assert_eq!(tests.alone.as_deref(), Some("etcd=1"));
        assert_eq!(tests.chosen(false).collect::<Vec<_>>(), ["TestA"]);
        assert_eq!(tests.chosen(true).collect::<Vec<_>>(), ["TestA", "TestC"]);
        assert_eq!(tests.expected["TestB"], Expected::Out("mesh".into()));
        assert!(Tests::parse("[run]\nTestA\n[fails] x\nTestA").is_err());
        assert!(Tests::parse("[ran]\n").is_err());
    }
}
