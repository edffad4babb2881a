//! What a recipe's fenced blocks say. Pure.
//!
//! The first word after a fence is the language, for whoever shows the page; then comes what the block is, and a name:
//! `rust file: PATH` is a whole file, `diff patch: PATH` lines added to one, `text talk: NAME` a conversation over a socket,
//! and `sh run: NAME` commands, each followed by comments with words that it must answer.

use std::collections::BTreeMap;

use anyhow::{Context, bail};

/// A block that means something to a machine.
#[derive(Debug, PartialEq)]
pub(super) struct Block {
    pub(super) kind: Kind,
    /// A path, or a name.
    pub(super) name: String,
    pub(super) text: String,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    File,
    Patch,
    Talk,
    Run,
}

/// Files by their path within the project.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

pub(super) fn blocks(page: &str) -> anyhow::Result<Vec<Block>> {
    let mut found = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let fence = line.len() - line.trim_start_matches('`').len();
        if fence < 3 {
            continue;
        }
        let mut text = String::new();
        // As in Markdown, a longer fence may hold shorter ones.
        let closes = |line: &str| line.len() >= fence && line.bytes().all(|byte| byte == b'`');
        loop {
            match lines.next() {
                Some(line) if closes(line) => break,
                Some(line) => text.extend([line, "\n"]),
                None => bail!("a fence is never closed: {line}"),
            }
        }
        let label = line.trim_start_matches('`').split_once(' ').map_or("", |(_, label)| label);
        let kind = match label.split_once(": ") {
            Some(("file", _)) => Kind::File,
            Some(("patch", _)) => Kind::Patch,
            Some(("talk", _)) => Kind::Talk,
            Some(("run", _)) => Kind::Run,
            _ => continue,
        };
        let name = label.split_once(": ").map_or("", |(_, name)| name.trim()).to_owned();
        found.push(Block { kind, name, text });
    }
    Ok(found)
}

/// Writes what the blocks say over the project's files. Returns how many lines were added to files that were there.
pub(super) fn follow(files: &mut Files, blocks: &[Block]) -> anyhow::Result<usize> {
    let mut added = 0;
    for block in blocks {
        let name = &block.name;
        match block.kind {
            Kind::File if files.contains_key(name) => bail!("{name} is there already"),
            Kind::File => drop(files.insert(name.clone(), block.text.clone().into_bytes())),
            Kind::Patch => {
                let file = files.get_mut(name).with_context(|| format!("{name} is not there"))?;
                let patched = patched(std::str::from_utf8(file)?, &block.text);
                *file = patched.with_context(|| format!("the patch of {name} does not fit it"))?.into_bytes();
                added += block.text.lines().filter(|line| line.starts_with('+')).count();
            }
            Kind::Talk | Kind::Run => {}
        }
    }
    Ok(added)
}

/// Lines that begin with a space must be there, next to each other and once; lines that begin with `+` are added between.
fn patched(text: &str, patch: &str) -> Option<String> {
    let wanted: Vec<&str> = patch.lines().filter_map(|line| line.strip_prefix(' ')).collect();
    let lines: Vec<&str> = text.lines().collect();
    let fits = |at: &usize| lines.get(*at..).is_some_and(|rest| rest.starts_with(&wanted));
    let mut places = (0..lines.len()).filter(fits);
    let (at, None) = (places.next()?, places.next()) else { return None };
    let (before, rest) = lines.split_at_checked(at)?;
    let (_, after) = rest.split_at_checked(wanted.len())?;
    let new = patch.lines().map(|line| line.get(1..).unwrap_or_default());
    let all = before.iter().copied().chain(new).chain(after.iter().copied());
    Some(all.flat_map(|line| [line, "\n"]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_with_a_label_are_found_and_others_are_not() {
        let page = "# Page\n```sh\nls\n```\n````md file: a/README.md\n```sh\nls\n```\n````\n```text talk: roll\n> x\n```\n";
        let block =
            |kind, name: &str, text: &str| Block { kind, name: name.to_owned(), text: text.to_owned() };
        let expected =
            [block(Kind::File, "a/README.md", "```sh\nls\n```\n"), block(Kind::Talk, "roll", "> x\n")];
        assert_eq!(blocks(page).unwrap(), expected);
        assert!(blocks("```rust file: a.rs\nfn a() {}\n").is_err());
    }

    #[test]
    fn a_patch_adds_lines_where_its_context_is() {
        assert_eq!(patched("a\nb\nc\n", " b\n+x\n c\n").as_deref(), Some("a\nb\nx\nc\n"));
    }

    #[test]
    fn a_patch_whose_context_is_missing_or_everywhere_does_not_fit() {
        assert_eq!(patched("a\nb\n", " c\n+x\n"), None);
        assert_eq!(patched("a\nb\na\n", " a\n+x\n"), None);
        assert_eq!(patched("a\nb\nc\n", " a\n c\n+x\n"), None);
    }

    #[test]
    fn lines_that_are_added_elsewhere_are_counted() {
        let mut files = Files::from([("list.rs".to_owned(), b"one\n".to_vec())]);
        let page = "```rust file: new.rs\nfn f() {}\n```\n```diff patch: list.rs\n one\n+two\n```\n";
        assert_eq!(follow(&mut files, &blocks(page).unwrap()).unwrap(), 1);
        assert_eq!(files["list.rs"], b"one\ntwo\n");
        assert_eq!(files["new.rs"], b"fn f() {}\n");
    }
}
