//! The core speaks no protocol and no encoding: a plain scan of its words.

use std::path::Path;

use crate::files;

/// Crates in which no protocol may be named, because each would then be one protocol's registry.
const NEUTRAL: &[&str] = &["core/model", "core/store", "core/registry"];

const PROTOCOLS: &[&str] = &["consul", "etcd", "eureka", "zookeeper", "nacos", "kubernetes"];

/// Violations, each as `file:line: why`.
pub(crate) fn check(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for folder in NEUTRAL {
        for path in files::below(&root.join(folder), "rs") {
            let name = files::shown(root, &path);
            let is_model = *folder == "core/model";
            found.extend(scan(&files::text(&path), is_model).iter().map(|why| format!("{name}:{why}")));
        }
    }
    found
}

fn scan(source: &str, is_model: bool) -> Vec<String> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(source.lines()) {
        // Naive about `//` inside a string, which can only hide a word, never invent one.
        let code = line.split("//").next().unwrap_or_default();
        let words = words(code);
        let protocols = PROTOCOLS.iter().filter(|protocol| words.iter().any(|word| word == **protocol));
        found.extend(protocols.map(|protocol| format!("{number}: names the protocol {protocol}")));
        if is_model && (code.contains("Serialize") || code.contains("Deserialize")) {
            found.push(format!(
                "{number}: a model type is not serializable; encodings live at a wire or on disk"
            ));
        }
    }
    found
}

/// The words of identifiers too: `EtcdKey`, `etcd_key` and `ETCD3` all say etcd, `consulted` does not say consul.
fn words(code: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut after_lower = false;
    for letter in code.chars() {
        if !letter.is_ascii_alphabetic() || (letter.is_ascii_uppercase() && after_lower) {
            words.push(String::new());
        }
        if let (true, Some(word)) = (letter.is_ascii_alphabetic(), words.last_mut()) {
            word.push(letter.to_ascii_lowercase());
        }
        after_lower = letter.is_ascii_lowercase();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_protocol_in_code_is_found() {
        for code in ["let etcd_key = 1;", "struct ConsulIndex;", "const ETCD3: u8 = 3;", "\"zookeeper\""] {
            assert_eq!(scan(code, false).len(), 1, "{code}");
        }
    }

    #[test]
    fn comments_and_longer_words_are_fine() {
        for code in ["// as etcd does", "let x = 1; // Consul's index", "fn consulted() {}"] {
            assert_eq!(scan(code, false), Vec::<String>::new(), "{code}");
        }
    }

    #[test]
    fn the_model_does_not_serialize() {
        let code = "#[derive(Debug, Serialize)]";
        assert_eq!(scan(code, true).len(), 1);
        assert_eq!(scan(code, false).len(), 0);
    }
}
