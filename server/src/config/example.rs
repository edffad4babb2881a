use std::fmt::Write;

use super::sections::SECTIONS;
use crate::plugs::{ENGINES, PROTOCOLS};

/// The commented example file: every key with its default.
pub(crate) fn example() -> String {
    let mut text = String::from(
        "# Switchboard's configuration: every key with its default. Save it as `switchboard.toml` where `switchboard\n\
         # serve` is started, or name it with `--config`. Keep only what differs: what is missing has its default.\n\
         #\n\
         # The environment goes before this file, and flags go before both:\n\
         #   SWITCHBOARD_LOG_LEVEL=debug switchboard serve\n\
         #   switchboard serve --set log.level=debug\n\
         # Durations are written like \"5s\", \"250ms\" or \"1m30s\"; a bare number counts seconds.\n",
    );
    for section in SECTIONS {
        add(&mut text, section.name, section.about, section.example);
    }
    for plug in ENGINES {
        let about = format!("The engine `{}`: {}.", plug.name, plug.about);
        add(&mut text, plug.name, &about, plug.example);
    }
    for plug in PROTOCOLS {
        let example = format!("# Whether it is spoken at all.\nenabled = true\n{}", plug.example);
        let about = format!("The protocol `{}`: {}.", plug.name, plug.about);
        add(&mut text, plug.name, &about, &example);
    }
    text
}

fn add(text: &mut String, name: &str, about: &str, example: &str) {
    // Writing to a string does not fail.
    let _ = write!(text, "\n# {about}\n[{name}]\n{}\n", example.trim_end());
}

#[cfg(test)]
mod tests {
    use switchboard_facade::Section;

    use super::*;
    use crate::config::{Layers, effective};

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../switchboard.example.toml");

    #[test]
    fn the_example_file_is_what_the_plugs_say() {
        if std::env::var_os("REGENERATE").is_some() {
            std::fs::write(FILE, example()).unwrap();
        }
        let file = std::fs::read_to_string(FILE).unwrap_or_default();
        assert!(file == example(), "switchboard.example.toml is out of date; run `REGENERATE=1 cargo test`");
    }

    #[test]
    fn the_example_says_every_key_with_its_default() {
        let example: Section = example().parse().unwrap();
        let default = effective(&Layers::default()).unwrap();
        let keys = |table: &Section| {
            let mut keys = Vec::new();
            leaves(table, "", &mut keys);
            keys.sort_by(|a, b| a.0.cmp(&b.0));
            keys
        };
        let (said, meant) = (keys(&example), keys(&default));
        let names =
            |keys: &[(String, toml::Value)]| keys.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>();
        assert_eq!(names(&said), names(&meant));
        for (said, meant) in said.iter().zip(&meant) {
            assert_eq!(said, meant);
        }
    }

    fn leaves(table: &Section, prefix: &str, into: &mut Vec<(String, toml::Value)>) {
        for (key, value) in table {
            let path = format!("{prefix}{key}");
            match value {
                toml::Value::Table(below) => leaves(below, &format!("{path}."), into),
                value => into.push((path, value.clone())),
            }
        }
    }
}
