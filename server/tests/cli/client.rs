use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::Stdio;

use serde_json::Value;

use crate::support::{Served, run_in, switchboard, wait};

#[test]
fn an_instance_from_registration_to_its_end() {
    let served = Served::start();
    let id = "user-service-192.168.1.100-8080";
    let register =
        ["register", "user-service", "192.168.1.100:8080", "--ttl", "30s", "--meta", "version=v1.2"];
    let said = served.run(&register).expect(0);
    assert!(said.out.starts_with(&format!("registered {id}")), "{}", said.out);
    assert!(served.run(&register).expect(0).out.starts_with("already registered"));

    let services = served.run(&["services"]).expect(0).out;
    assert_eq!(services, "SERVICE       SERVED  INSTANCES  REVISION\nuser-service  1       1          1\n");
    let found = served.run(&["services", "--json"]).expect(0).json();
    assert_eq!(found["services"][0]["service"], "user-service");

    let table = served.run(&["instances", "user-service"]).expect(0).out;
    for word in [id, "192.168.1.100:8080", "passing", "version=v1.2"] {
        assert!(table.contains(word), "no {word:?} in {table}");
    }
    let found = served.run(&["instances", "user-service", "--meta", "version=v2", "--json"]).expect(0).json();
    assert_eq!(found["instances"].as_array().unwrap().len(), 0);

    let said = served.run(&["health", "user-service"]).expect(0);
    assert!(said.out.contains("heartbeats"), "{}", said.out);
    served.run(&["deregister", id]).expect(0);
    served.run(&["deregister", id]).expect(4).err_says(&[id, "does not exist"]);
    served.run(&["health", "user-service"]).expect(4);

    let seen = served.run(&["watch", "user-service", "--since", "0", "--count", "2", "--json"]).expect(0);
    let kinds: Vec<Value> = seen.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((&kinds[0]["kind"], &kinds[1]["kind"]), (&"registered".into(), &"deregistered".into()));
}

#[test]
fn a_body_is_sent_as_it_is() {
    let served = Served::start();
    let article = r#"{"service":"user-service","host":"192.168.1.100","port":8080,
        "metadata":{"version":"v1.2","region":"east"},"ttl":30}"#;
    std::fs::write(served.folder.path().join("article.json"), article).unwrap();
    let said = served.run(&["register", "--body", "article.json", "--json"]).expect(0).json();
    assert_eq!(said["id"], "user-service-192.168.1.100-8080");
}

#[test]
fn a_watch_tells_changes_as_they_happen_and_survives_a_restart() {
    let served = Served::start();
    let mut watch = switchboard(&["watch", "--count", "2", "--since", "0", "--server", &served.url()])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    served.run(&["register", "web", "10.0.0.1:80"]).expect(0);
    let line = lines.next().unwrap().unwrap();
    assert!(line.ends_with("web-10.0.0.1-80  registered, passing"), "{line}");

    let listen = format!("native={}", served.address);
    let served = Served::start_in(served.stop(), &["--listen", &listen]);
    served.run(&["deregister", "web-10.0.0.1-80"]).expect(0);
    let line = lines.next().unwrap().unwrap();
    assert!(line.ends_with("web-10.0.0.1-80  deregistered, was passing"), "{line}");
    assert!(wait(&mut watch).success());
}

#[test]
fn a_kept_registration_ends_with_its_keeper() {
    let served = Served::start();
    let mut keeper =
        switchboard(&["register", "web", "10.0.0.1:80", "--ttl", "2s", "--keep", "--server", &served.url()])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
    BufReader::new(keeper.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(4));
    let found = served.run(&["instances", "web", "--healthy", "--json"]).expect(0).json();
    assert_eq!(found["instances"].as_array().unwrap().len(), 1, "it lapsed in spite of its heartbeats");
    let id = keeper.id().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    assert!(wait(&mut keeper).success());
    served.run(&["health", "web"]).expect(4);
}

#[test]
fn long_lists_are_read_to_their_end() {
    let served = Served::start_in(tempfile::tempdir().unwrap(), &["--engine", "memory"]);
    // More than the registry tells at once.
    let many = 2_345;
    let mut stream = TcpStream::connect(&served.address).unwrap();
    let mut answers = stream.try_clone().unwrap();
    let reader = std::thread::spawn(move || answers.read_to_string(&mut String::new()).unwrap());
    for number in 1..=many {
        let body = format!("{{\"service\":\"web\",\"host\":\"10.0.0.1\",\"port\":{number}}}");
        let last = if number == many { "connection: close\r\n" } else { "" };
        let head =
            format!("content-type: application/json\r\ncontent-length: {}\r\n{last}\r\n{body}", body.len());
        write!(stream, "POST /v1/register HTTP/1.1\r\nhost: x\r\n{head}").unwrap();
    }
    reader.join().unwrap();
    for command in [&["instances", "web", "--json"][..], &["instances", "--json"]] {
        let found = served.run(command).expect(0).json();
        let instances = found["instances"].as_array().unwrap();
        let ids: BTreeSet<&str> = instances.iter().map(|instance| instance["id"].as_str().unwrap()).collect();
        assert_eq!((instances.len(), ids.len()), (many, many), "{command:?}");
        assert!(found.get("next").is_none());
    }
}

#[test]
fn whether_it_is_ready_is_an_exit_code() {
    let served = Served::start();
    served.run(&["health"]).expect(0);
    let ready = served.run(&["health", "--json"]).expect(0).json();
    assert_eq!(ready["ready"], true);
    let url = served.url();
    let folder = served.stop();
    let said = run_in(folder.path(), &["health", "--server", &url]).expect(3);
    said.err_says(&["cannot reach a registry", "switchboard serve", "SWITCHBOARD_SERVER"]);
}

#[test]
fn a_refusal_says_why() {
    let served = Served::start();
    served.run(&["register", "web", "10.0.0.1:http"]).expect(2).err_says(&["192.168.1.100:8080"]);
    served.run(&["register", "web", "10.0.0.1:80", "--check", "smoke"]).expect(2).err_says(&["http:/path"]);
    served.run(&["register", "", "10.0.0.1:80"]).expect(1).err_says(&["service"]);
    served.run(&["instances", "--status", "funny"]).expect(1).err_says(&["critical"]);
    served.run(&["instances", "--meta", "novalue"]).expect(2).err_says(&["KEY=VALUE"]);
    run_in(served.folder.path(), &["services", "--server", "localhost"])
        .expect(2)
        .err_says(&["http://127.0.0.1:7700"]);
}

#[test]
fn the_doctor_finds_nothing_wrong_with_a_registry_that_runs() {
    let served = Served::start();
    let listen = format!("native={}", served.address);
    let said = served.run(&["doctor", "--only", "native", "--listen", &listen, "--json"]).expect(0).json();
    let findings = said["findings"].as_array().unwrap();
    let level = |what: &str| findings.iter().find(|it| it["what"] == what).unwrap()["level"].clone();
    for what in ["config", "data", "port", "server", "clock"] {
        assert_eq!(level(what), "ok", "{said:#}");
    }
}

#[test]
fn what_belongs_to_the_shell() {
    let served = Served::start();
    let folder = served.folder.path();
    for shell in ["bash", "zsh", "fish"] {
        assert!(run_in(folder, &["completions", shell]).expect(0).out.contains("deregister"), "{shell}");
    }
    let version = run_in(folder, &["version", "--json"]).expect(0).json();
    assert_eq!(version["protocols"][0], "native");
    let help = run_in(folder, &["--help"]).expect(0).out;
    for words in ["Examples:", "Exit codes:", "doctor", "completions"] {
        assert!(help.contains(words), "no {words:?} in {help}");
    }
    run_in(folder, &["sevre"]).expect(2).err_says(&["serve"]);
}
