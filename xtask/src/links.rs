//! Relative links in the project's pages lead somewhere.

use std::path::Path;

use crate::files;

/// The number of links looked at, and the broken ones, each as `page:line: why`.
pub(crate) fn check(root: &Path) -> (usize, Vec<String>) {
    let mut seen = 0;
    let mut broken = Vec::new();
    for page in files::below(root, "md") {
        let name = files::shown(root, &page);
        let folder = page.parent().unwrap_or(root);
        for (number, link) in links(&files::text(&page)) {
            seen += 1;
            if let Some(why) = why_broken(root, folder, &page, &link) {
                broken.push(format!("{name}:{number}: {link}: {why}"));
            }
        }
    }
    (seen, broken)
}

fn why_broken(root: &Path, folder: &Path, page: &Path, link: &str) -> Option<&'static str> {
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = match path.strip_prefix('/') {
        _ if path.is_empty() => page.to_owned(),
        Some(from_root) => root.join(from_root),
        None => folder.join(path),
    };
    if !target.exists() {
        return Some("no such file");
    }
    let is_page = target.extension().is_some_and(|extension| extension == "md");
    let missing =
        is_page && !anchor.is_empty() && !anchors(&files::text(&target)).iter().any(|found| found == anchor);
    missing.then_some("no such heading")
}

/// Targets of `[text](target)` that stay inside the project, with their line numbers.
fn links(page: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (number, line) in prose(page) {
        for rest in line.split("](").skip(1) {
            let target = rest.split([')', ' ']).next().unwrap_or_default();
            let leaves = target.contains("://") || target.starts_with("mailto:");
            if !target.is_empty() && !leaves {
                found.push((number, target.to_owned()));
            }
        }
    }
    found
}

/// Headings as they are spelled in a link.
fn anchors(page: &str) -> Vec<String> {
    let headings = prose(page).into_iter().filter(|(_, line)| line.starts_with('#'));
    headings.map(|(_, line)| slug(line.trim_start_matches('#').trim())).collect()
}

fn slug(heading: &str) -> String {
    let kept = heading.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
    kept.map(|letter| if letter == ' ' { '-' } else { letter.to_ascii_lowercase() }).collect()
}

/// Numbered lines outside fenced code, with inline code blanked out.
fn prose(page: &str) -> Vec<(usize, String)> {
    // The length of the fence that is open: a longer fence may hold shorter ones.
    let mut open = 0;
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(page.lines()) {
        let line_fence = line.trim_start().bytes().take_while(|byte| *byte == b'`').count();
        if open > 0 {
            open = if line_fence >= open { 0 } else { open };
        } else if line_fence >= 3 {
            open = line_fence;
        } else {
            let is_heading = line.starts_with('#');
            let without_code = line.split('`').step_by(2).collect::<Vec<_>>().join("");
            // A heading's code is part of its name.
            lines.push((number, if is_heading { line.to_owned() } else { without_code }));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_found_outside_code() {
        let page = "see [a](docs/a.md) and [b](#b \"title\")\n```\n[c](c.md)\n```\n`[d](d.md)` [e](https://e.example/)";
        assert_eq!(links(page), [(1, "docs/a.md".to_owned()), (1, "#b".to_owned())]);
    }

    #[test]
    fn a_longer_fence_may_hold_shorter_ones() {
        let page = "````md\n```\n[a](a.md)\n```\n[b](b.md)\n````\n[c](c.md)";
        assert_eq!(links(page), [(7, "c.md".to_owned())]);
    }

    #[test]
    fn headings_become_anchors() {
        assert_eq!(anchors("# The line\n## `plan` and fold (pure)\n"), ["the-line", "plan-and-fold-pure"]);
    }
}
