use serde::Serialize;
use serde::de::DeserializeOwned;

/// A section of the configuration, as a protocol or an engine is handed it.
pub type Section = toml::Table;

/// What is wrong with a configuration value. `key` is its full path.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {why}")]
pub struct ConfigError {
    pub key: String,
    pub why: String,
}

/// Reads a section as `T`, whose unknown keys are errors; a likely misspelling is named.
pub fn from_section<T: DeserializeOwned>(name: &str, section: &Section) -> Result<T, ConfigError> {
    section.clone().try_into().map_err(|error: toml::de::Error| {
        let message = error.message().to_owned();
        let (unknown, known) = unknown_field(&message);
        match unknown {
            Some(unknown) => {
                let near = nearest(unknown, known.iter().copied());
                let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
                let why = format!("unknown key{hint} Known keys: {}", known.join(", "));
                ConfigError { key: format!("{name}.{unknown}"), why }
            }
            None => ConfigError { key: located(name, &error, section), why: message },
        }
    })
}

/// Writes a section with every value that is in force.
pub fn to_section<T: Serialize>(value: &T) -> Section {
    Section::try_from(value).unwrap_or_default()
}

/// The known word that is likely meant.
pub(crate) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    known
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len() / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Serde says it as: unknown field `x`, expected one of `a`, `b`.
fn unknown_field(message: &str) -> (Option<&str>, Vec<&str>) {
    let Some(rest) = message.strip_prefix("unknown field `") else { return (None, Vec::new()) };
    let mut quoted = rest.split('`').step_by(2);
    (quoted.next(), quoted.filter(|word| !word.is_empty()).collect())
}

/// The parser knows the place in the text; here there is no text, so the key whose value it choked on is searched.
fn located(name: &str, _error: &toml::de::Error, section: &Section) -> String {
    match section.len() {
        1 => section.keys().next().map(|key| format!("{name}.{key}")).unwrap_or_else(|| name.to_owned()),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Default, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    #[allow(dead_code)]
    struct Sample {
        listen: String,
        insecure: bool,
    }

    #[test]
    fn a_misspelled_key_is_named_with_the_likely_one() {
        let section: Section = toml::from_str("lisen = 'x'").unwrap();
        let error = from_section::<Sample>("native", &section).unwrap_err();
        assert_eq!(error.key, "native.lisen");
        assert!(error.why.contains("did you mean `listen`?"), "{error}");
    }

    #[test]
    fn a_value_of_the_wrong_type_is_named() {
        let section: Section = toml::from_str("insecure = 3").unwrap();
        let error = from_section::<Sample>("native", &section).unwrap_err();
        assert_eq!(error.key, "native.insecure");
    }
}
