use std::ffi::OsString;
use std::path::PathBuf;

use super::*;
use crate::arguments::ConfigFlags;

/// What a key ends up as, or the error.
fn result(file: &str, environment: &[(&str, &str)], flags: ConfigFlags, key: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("switchboard.toml");
    std::fs::write(&path, file).unwrap();
    let flags = ConfigFlags { config: Some(path.clone()), ..flags };
    let environment = environment.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    let read = Layers::gather(&flags, environment).and_then(|layers| Config::read(&layers));
    match read {
        Ok(config) => {
            let value =
                key.split('.').try_fold(toml::Value::Table(config.effective), |at, key| at.get(key).cloned());
            value.map_or_else(|| "nothing".to_owned(), |value| value.to_string())
        }
        Err(failure) => failure.to_string().replace(&path.display().to_string(), "FILE"),
    }
}

fn flags(set: &[&str]) -> ConfigFlags {
    ConfigFlags { set: set.iter().map(|set| (*set).to_owned()).collect(), ..ConfigFlags::default() }
}

#[track_caller]
fn check(file: &str, environment: &[(&str, &str)], set: &[&str], key: &str, expected: &str) {
    assert_eq!(result(file, environment, flags(set), key), expected);
}

#[test]
fn flags_go_before_the_environment_and_that_before_the_file() {
    let file = "[log]\nlevel = 'warn'\n[registry]\ntick = '1s'\n";
    let environment = [("SWITCHBOARD_LOG_LEVEL", "debug")];
    check("", &[], &[], "log.level", "\"info\"");
    check(file, &[], &[], "log.level", "\"warn\"");
    check(file, &environment, &[], "log.level", "\"debug\"");
    check(file, &environment, &["log.level=trace"], "log.level", "\"trace\"");
    check(file, &environment, &["log.level=trace"], "registry.tick", "\"1s\"");
}

#[test]
fn every_flag_has_its_key() {
    let flags = || ConfigFlags {
        data_dir: Some("elsewhere".into()),
        engine: Some("memory".to_owned()),
        listen: vec!["native=127.0.0.1:1234".to_owned()],
        disable: vec!["native".to_owned()],
        log: Some("debug".to_owned()),
        log_format: Some("json".to_owned()),
        ..ConfigFlags::default()
    };
    for (key, expected) in [
        ("engine.data_dir", "\"elsewhere\""),
        ("engine.kind", "\"memory\""),
        ("native.listen", "\"127.0.0.1:1234\""),
        ("native.enabled", "false"),
        ("log.level", "\"debug\""),
        ("log.format", "\"json\""),
    ] {
        assert_eq!(result("", &[], flags(), key), expected, "{key}");
    }
}

#[test]
fn only_leaves_all_others_out() {
    let only = |name: &str| ConfigFlags { only: vec![name.to_owned()], ..ConfigFlags::default() };
    for plug in PROTOCOLS {
        let key = format!("{}.enabled", plug.name);
        let file = format!("[{}]\nenabled = false\n", plug.name);
        assert_eq!(result(&file, &[], only("native"), &key), (plug.name == "native").to_string(), "{key}");
    }
    let both = ConfigFlags { disable: vec!["native".to_owned()], ..only("native") };
    assert_eq!(result("", &[], both, "native.enabled"), "false");
    let said = result("", &[], only("nativ"), "log");
    assert!(said.starts_with("--only nativ: there is no protocol `nativ`; did you mean `native`?"), "{said}");
}

#[test]
fn values_in_the_environment_are_toml_or_text() {
    check("", &[("SWITCHBOARD_NATIVE_INSECURE", "true")], &[], "native.insecure", "true");
    check("", &[("SWITCHBOARD_NATIVE_LIMITS_BODY_BYTES", "1000")], &[], "native.limits.body_bytes", "1000");
    check("", &[("SWITCHBOARD_NATIVE_LISTEN", "127.0.0.1:9")], &[], "native.listen", "\"127.0.0.1:9\"");
    check(
        "",
        &[("SWITCHBOARD_REGISTRY_KEEP_HISTORY", "forever")],
        &[],
        "registry.keep_history",
        "\"forever\"",
    );
    check(
        "",
        &[("SWITCHBOARD_NATIVE_TLS", "{ certificate = 'c', key = 'k' }")],
        &[],
        "native.tls.key",
        "\"k\"",
    );
    check(
        "",
        &[("SWITCHBOARD_SERVER", "http://x"), ("SWITCHBOARD_REQUIRE_ALL", "1")],
        &[],
        "log.level",
        "\"info\"",
    );
}

#[test]
fn a_misspelling_names_its_place_and_the_likely_word() {
    for (file, environment, set, expected) in [
        ("[nativ]\nlisten = ''", "", "", "FILE:1: nativ: unknown section; did you mean `native`?"),
        ("listen = ''", "", "", "FILE:1: listen: unknown section"),
        ("[native]\nlisen = ''", "", "", "FILE:2: native.lisen: unknown key; did you mean `listen`?"),
        (
            "[native.limits]\nheader = 1",
            "",
            "",
            "FILE:2: native.limits.header: unknown key; did you mean `headers`?",
        ),
        (
            "",
            "SWITCHBOARD_NATIVE_LISEN",
            "",
            "SWITCHBOARD_NATIVE_LISEN: unknown environment variable; did you mean SWITCHBOARD_NATIVE_LISTEN?",
        ),
        (
            "",
            "SWITCHBOARD_SERVR",
            "",
            "SWITCHBOARD_SERVR: unknown environment variable; did you mean SWITCHBOARD_SERVER?",
        ),
        ("", "", "log.levl=info", "--set log.levl=info: log.levl: unknown key; did you mean `level`?"),
        (
            "",
            "",
            "engine.kind=redbb",
            "--set engine.kind=redbb: engine.kind: there is no engine `redbb`; did you mean `redb`?",
        ),
        ("", "", "log", "--set log: expected SECTION.KEY=VALUE"),
    ] {
        let environment = [(environment, "1")];
        let environment = if environment[0].0.is_empty() { &[][..] } else { &environment[..] };
        let set: &[&str] = if set.is_empty() { &[] } else { &[set] };
        let said = result(file, environment, flags(set), "log");
        assert!(said.starts_with(expected), "{said}\n  does not begin with\n{expected}");
    }
}

#[test]
fn a_wrong_value_names_its_key_and_who_gave_it() {
    let file = "[registry]\ntick = 'soon'\nbrake_share = 0.5\n";
    let said = result(file, &[], flags(&[]), "log");
    assert!(said.starts_with("FILE:2: registry.tick: \"soon\" is not a duration"), "{said}");
    let said = result("", &[], flags(&["registry.brake_share=15"]), "log");
    assert_eq!(said, "--set registry.brake_share=15: registry.brake_share: expected a share from 0.0 to 1.0");
    let said = result("[native]\nenabled = 'no'", &[], flags(&[]), "log");
    assert_eq!(said, "FILE:2: native.enabled: expected true or false");
    let file = "[gateway]\n[[gateway.routes]]\nid = 'a'\npaths = ['/**']\n\nservice = 's'\n[[gateway.routes]]\nid = 'b'\n";
    let said = result(&format!("{file}paths = ['x']\nservice = 's'"), &[], flags(&[]), "log");
    assert!(said.starts_with("FILE:9: gateway.routes.1.paths: route \"b\": must begin with `/`"), "{said}");
    let said = result(&format!("{file}pathz = ['/x']"), &[], flags(&[]), "log");
    assert!(said.starts_with("FILE:9: gateway.routes.1.pathz: unknown key; did you mean `paths`?"), "{said}");
}

#[test]
fn what_is_printed_reads_back() {
    let layers = Layers::default();
    let printed = print(&effective(&layers).unwrap());
    let again: Section = printed.parse().unwrap();
    assert_eq!(again, effective(&layers).unwrap());
}
