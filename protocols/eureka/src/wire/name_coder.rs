//! Any text as the name of an XML element, in XStream's way: `_` is `__`, `$` is `_-`, and whatever may not stand in a
//! name is `_.` with four hexadecimal digits.

pub(crate) fn escape_name(text: &str) -> String {
    let mut name = String::with_capacity(text.len());
    for (i, c) in text.chars().enumerate() {
        match c {
            '_' => name.push_str("__"),
            '$' => name.push_str("_-"),
            c if c.is_ascii_alphabetic() => name.push(c),
            c if i > 0 && (c.is_ascii_digit() || matches!(c, '-' | '.')) => name.push(c),
            c => {
                let mut units = [0; 2];
                for unit in c.encode_utf16(&mut units) {
                    name.push_str(&format!("_.{unit:04x}"));
                }
            }
        }
    }
    name
}

/// Undoes `escape_name`. What is no escape stays as it is.
pub(crate) fn unescape_name(name: &str) -> String {
    if !name.contains('_') {
        return name.to_owned();
    }
    let mut units: Vec<u16> = Vec::with_capacity(name.len());
    let mut rest = name;
    while let Some(c) = rest.chars().next() {
        let tail = rest.get(1..).unwrap_or_default();
        let (unit, used) = match (c, tail.chars().next()) {
            ('_', Some('_')) => (u16::from(b'_'), 2),
            ('_', Some('-')) => (u16::from(b'$'), 2),
            ('_', Some('.')) => match tail.get(1..5).map(|hex| u16::from_str_radix(hex, 16)) {
                Some(Ok(unit)) => (unit, 6),
                _ => (u16::from(b'_'), 1),
            },
            _ => {
                let mut buffer = [0; 2];
                units.extend_from_slice(c.encode_utf16(&mut buffer));
                rest = rest.get(c.len_utf8()..).unwrap_or_default();
                continue;
            }
        };
        units.push(unit);
        rest = rest.get(used..).unwrap_or_default();
    }
    String::from_utf16_lossy(&units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_as_xstream_does() {
        assert_eq!(escape_name("management.port"), "management.port");
        assert_eq!(escape_name("versions_delta"), "versions__delta");
        assert_eq!(escape_name("a$b"), "a_-b");
        assert_eq!(escape_name("1 a"), "_.0031_.0020a");
        assert_eq!(unescape_name("a_b"), "a_b");
    }

    proptest::proptest! {
        #[test]
        fn any_text_comes_back(text in "\\PC{0,12}") {
            let name = escape_name(&text);
            proptest::prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.".contains(&b)));
            proptest::prop_assert_eq!(unescape_name(&name), text);
        }

        #[test]
        fn any_name_is_read_somehow(name in "[a-f0-9_.$é-]{0,12}") {
            unescape_name(&name);
        }
    }
}
