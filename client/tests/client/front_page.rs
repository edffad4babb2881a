//! The ten lines of the front page, run.

use std::time::Duration;

use switchboard::{HttpClient, Native, Registrar, Registration};

use crate::calls::Backend;
use crate::sources::native_body;
use crate::support::{Api, Server};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_front_page_runs() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::start().await;
    let api = Api::at(server.native);
    let backend = Backend::start("one").await;
    let user_service =
        switchboard::Instance::new("user-service", "one", "127.0.0.1", backend.address.port())?;
    api.call(http::Method::POST, "/v1/register", Some(native_body(&user_service))).await;
    let url = format!("http://{}", server.native);
    // The front page from here
    let registry = Native::at(&url)?;
    let me = Registrar::start(registry.clone(), Registration::new("greeter", "10.0.0.5", 8080)?);
    let http = HttpClient::new(registry.source());
    let user = http.get("http://user-service/users/1").await?.text().await?;
    // to here; but leaving is what it ends with.
    assert!(user.contains("/users/1"), "{user}");
    me.registered().await;
    let greeters =
        async || api.get("/v1/services/greeter?status=any").await["instances"].as_array().unwrap().len();
    assert_eq!(greeters().await, 1);
    me.leave(Duration::from_millis(10)).await;
    assert_eq!(greeters().await, 0);
    Ok(())
}

/// What is printed there is what is run here.
#[test]
fn the_front_page_is_what_was_run() {
    let run = include_str!("front_page.rs");
    let begin = run.find("// The front page from here").unwrap();
    let run = run[begin..run.find("// to here;").unwrap()].replace("&url", "\"http://127.0.0.1:7700\"");
    let lines: Vec<&str> = run.lines().skip(1).map(str::trim).filter(|line| !line.is_empty()).collect();
    for page in [include_str!("../../src/lib.rs"), include_str!("../../README.md")] {
        let block = page.split("```").nth(1).unwrap();
        let block: Vec<&str> = block
            .lines()
            .map(|line| line.trim_start_matches("//!").trim())
            .map(|line| line.split("// ").next().unwrap_or_default().trim())
            .filter(|line| line.starts_with("let "))
            .collect();
        assert_eq!(block, lines);
        assert!(page.contains("me.leave(std::time::Duration::from_secs(5)).await;"));
    }
}

/// The table of go-kit's defects names tests that there are.
#[test]
fn the_tests_that_the_readme_names_are_there() {
    let sources = [
        include_str!("calls.rs"),
        include_str!("defects.rs"),
        include_str!("etcd.rs"),
        include_str!("peers.rs"),
        include_str!("registrars.rs"),
        include_str!("../../src/consul.rs"),
        include_str!("../../src/dns.rs"),
        include_str!("../../../core/discover/src/suite.rs"),
        include_str!("../../../core/discover/tests/discover.rs"),
        include_str!("../../../core/balance/tests/balance/threads.rs"),
    ];
    let rows = include_str!("../../README.md").lines().filter(|line| line.starts_with("| K"));
    let mut count = 0;
    for row in rows {
        count += 1;
        let named: Vec<&str> = row.rsplit('|').nth(1).unwrap().split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "{row}");
        for name in named {
            let is_there = sources.iter().any(|source| source.contains(&format!("fn {name}(")));
            assert!(is_there, "there is no test {name}");
        }
    }
    assert_eq!(count, 24);
}

/// Whatever a user of the crate meets has an example that is compiled.
#[test]
fn every_public_item_has_a_doc_test() {
    let page = include_str!("../../src/lib.rs");
    let exported = page.split("pub use ").skip(1).flat_map(|exported| {
        let names = exported.split(';').next().unwrap_or_default().rsplit("::").next().unwrap_or_default();
        names.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|name| !name.is_empty())
    });
    let in_modules =
        ["Balanced", "Protocol", "Judgement", "Plain", "Idempotent", "Metrics", "Measured", "Measure"];
    let wanted: std::collections::BTreeSet<&str> = exported.chain(in_modules).collect();
    assert!(wanted.len() > 80, "{wanted:?}");
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    for folder in ["src", "../core/discover/src", "../core/balance/src", "../core/model/src"] {
        read_all(&root.join(folder), &mut sources);
    }
    let lines: Vec<&str> = sources.lines().collect();
    for name in wanted {
        let is_item = |line: &&str| {
            let rest = line.strip_prefix("pub ").unwrap_or_default();
            let rest = rest.strip_prefix("async ").unwrap_or(rest);
            let rest = ["struct ", "enum ", "trait ", "fn "].iter().find_map(|kind| rest.strip_prefix(kind));
            let rest = rest.and_then(|rest| rest.strip_prefix(name)).unwrap_or_default();
            rest.starts_with(['<', '(', ' ', ':', ';'])
        };
        // The model has words of its own that are called like those of other crates: one of them is the one.
        let places = lines.iter().enumerate().filter(|(_, line)| is_item(line)).map(|(place, _)| place);
        let has_example = |place: usize| {
            let above = lines[..place].iter().rev();
            above
                .take_while(|line| line.starts_with("///") || line.starts_with("#["))
                .any(|line| line.contains("```"))
        };
        assert!(places.into_iter().any(has_example), "{name} has no doc test");
    }
}

fn read_all(folder: &std::path::Path, sources: &mut String) {
    for entry in folder.read_dir().unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, sources);
        } else {
            sources.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}
