//! Licence expressions as crates write them: `MIT OR Apache-2.0`, `(A OR B) AND C`, the old `MIT/Apache-2.0`.

/// Whether the expression can be satisfied with allowed licences only. `None` where it cannot be read.
pub(crate) fn satisfied(expression: &str, allowed: &[String]) -> Option<bool> {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let mut words = spaced.split_whitespace().peekable();
    let verdict = any_of(&mut words, allowed)?;
    words.next().is_none().then_some(verdict)
}

type Words<'a> = std::iter::Peekable<std::str::SplitWhitespace<'a>>;

fn any_of(words: &mut Words<'_>, allowed: &[String]) -> Option<bool> {
    let mut verdict = all_of(words, allowed)?;
    while words.next_if_eq(&"OR").is_some() {
        // Not short-circuited: the words have to be consumed either way.
        verdict |= all_of(words, allowed)?;
    }
    Some(verdict)
}

fn all_of(words: &mut Words<'_>, allowed: &[String]) -> Option<bool> {
    let mut verdict = one(words, allowed)?;
    while words.next_if_eq(&"AND").is_some() {
        verdict &= one(words, allowed)?;
    }
    Some(verdict)
}

fn one(words: &mut Words<'_>, allowed: &[String]) -> Option<bool> {
    let word = words.next()?;
    if word == "(" {
        let verdict = any_of(words, allowed)?;
        return (words.next()? == ")").then_some(verdict);
    }
    if matches!(word, ")" | "OR" | "AND" | "WITH") {
        return None;
    }
    let licence = match words.next_if_eq(&"WITH") {
        Some(_) => format!("{word} WITH {}", words.next()?),
        None => word.to_owned(),
    };
    // `MPL-2.0+` offers MPL-2.0 or any later one: allowed where MPL-2.0 is.
    Some(
        allowed.contains(&licence)
            || licence.strip_suffix('+').is_some_and(|exact| allowed.iter().any(|a| a == exact)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(expression: &str, expected: Option<bool>) {
        let allowed = ["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "ISC"].map(str::to_owned);
        assert_eq!(satisfied(expression, &allowed), expected, "{expression}");
    }

    #[test]
    fn expressions() {
        check("MIT", Some(true));
        check("GPL-3.0", Some(false));
        check("GPL-3.0 OR MIT", Some(true));
        check("GPL-3.0 AND MIT", Some(false));
        check("MIT/Apache-2.0", Some(true));
        check("(MIT OR GPL-3.0) AND ISC", Some(true));
        check("MIT AND (GPL-3.0 OR ISC AND BSL-1.0)", Some(false));
        check("Apache-2.0 WITH LLVM-exception OR GPL-3.0", Some(true));
        check("MIT WITH some-exception", Some(false));
        check("ISC+", Some(true));
        check("GPL-2.0+", Some(false));
    }

    #[test]
    fn what_cannot_be_read_is_not_a_licence() {
        check("", None);
        check("MIT OR", None);
        check("(MIT", None);
        check("MIT Apache-2.0", None);
    }
}
