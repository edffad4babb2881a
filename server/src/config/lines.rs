use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The line of every key of a file, by its full path; the elements of a list are numbered from 0.
pub(super) fn of(text: &str) -> BTreeMap<String, usize> {
    let mut lines = BTreeMap::new();
    if let Ok(table) = DeTable::parse(text) {
        walk(text, "", table.get_ref(), &mut lines);
    }
    lines
}

fn walk(text: &str, above: &str, table: &DeTable<'_>, lines: &mut BTreeMap<String, usize>) {
    for (key, value) in table {
        let path =
            if above.is_empty() { key.get_ref().to_string() } else { format!("{above}.{}", key.get_ref()) };
        lines.insert(path.clone(), line(text, key.span().start));
        below(text, &path, value, lines);
    }
}

fn below(text: &str, path: &str, value: &Spanned<DeValue<'_>>, lines: &mut BTreeMap<String, usize>) {
    match value.get_ref() {
        DeValue::Table(table) => walk(text, path, table, lines),
        DeValue::Array(array) => {
            for (i, element) in array.iter().enumerate() {
                let path = format!("{path}.{i}");
                lines.insert(path.clone(), line(text, element.span().start));
                below(text, &path, element, lines);
            }
        }
        _ => {}
    }
}

fn line(text: &str, at: usize) -> usize {
    1 + text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    #[test]
    fn keys_know_their_lines() {
        let lines = super::of("a = 1\n[b]\nc = 2\n\n[[b.d]]\ne = 3\n[[b.d]]\nf = [\n1,\n2]\n");
        for (path, line) in [("a", 1), ("b.c", 3), ("b.d.0.e", 6), ("b.d.1", 7), ("b.d.1.f.1", 10)] {
            assert_eq!(lines.get(path), Some(&line), "{path} in {lines:?}");
        }
        assert!(super::of("a = ").is_empty());
    }
}
