use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::support::{Served, run_in, switchboard, wait};

#[test]
fn the_panel_says_what_listens_where_and_what_is_insecure() {
    let served = Served::start();
    let panel = served.wrote("out");
    for words in [&served.url(), "redb: durable", "switchboard-data", "this machine only"] {
        assert!(panel.contains(words), "no {words:?} in {panel}");
    }
    assert!(!panel.contains("warning"), "{panel}");

    let open = ["--listen", "native=0.0.0.0:0", "--set", "native.insecure=true", "--engine", "memory"];
    let served = Served::start_in(tempfile::tempdir().unwrap(), &open);
    let panel = served.wrote("out");
    for words in
        ["reachable from other machines, without TLS", "memory forgets everything", "other machines, too"]
    {
        assert!(panel.contains(words), "no {words:?} in {panel}");
    }
}

#[test]
fn both_signals_stop_it_cleanly_and_the_records_are_there_again() {
    let mut folder = tempfile::tempdir().unwrap();
    for (signal, instances) in [("TERM", 0), ("INT", 1)] {
        let mut served = Served::start_in(folder, &[]);
        let found = served.run(&["instances", "--json"]).expect(0).json();
        assert_eq!(found["instances"].as_array().unwrap().len(), instances);
        served.run(&["register", "web", "10.0.0.1:80"]).expect(0);
        served.signal(signal);
        assert!(served.wait().success(), "{}", served.wrote("err"));
        assert!(served.wrote("err").contains(&format!("SIG{signal}: stopping")), "{}", served.wrote("err"));
        folder = std::mem::replace(&mut served.folder, tempfile::tempdir().unwrap());
    }
}

#[test]
fn watchers_do_not_keep_it_from_stopping() {
    let mut served = Served::start();
    let mut stream = TcpStream::connect(&served.address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET /v1/watch HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n").unwrap();
    let mut some = [0; 64];
    assert!(stream.read(&mut some).unwrap() > 0);
    served.signal("TERM");
    assert!(served.wait().success(), "{}", served.wrote("err"));
}

#[test]
fn a_second_signal_stops_it_at_once() {
    let mut served = Served::start();
    // A request that never ends keeps the first signal busy.
    let mut stream = TcpStream::connect(&served.address).unwrap();
    write!(stream, "POST /v1/register HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 9\r\n\r\n{{").unwrap();
    std::thread::sleep(Duration::from_millis(300));
    served.signal("TERM");
    std::thread::sleep(Duration::from_millis(300));
    served.signal("TERM");
    assert_eq!(served.wait().code(), Some(1), "{}", served.wrote("err"));
    assert!(served.wrote("err").contains("SIGTERM again"), "{}", served.wrote("err"));
}

#[test]
fn logs_can_be_json() {
    let served = Served::start_in(tempfile::tempdir().unwrap(), &["--log-format", "json"]);
    let log = served.wrote("err");
    let line: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!((&line["level"], &line["message"]), (&"INFO".into(), &"ready".into()));
}

#[test]
fn a_server_without_any_protocol_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let port_file = folder.path().join("ports");
    let mut child =
        switchboard(&["serve", "--only", "native", "--disable", "native", "--port-file", "ports"])
            .current_dir(&folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
    while !port_file.exists() {
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(std::fs::read_to_string(port_file).unwrap(), "");
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    assert!(wait(&mut child).success());
    let mut panel = String::new();
    child.stdout.take().unwrap().read_to_string(&mut panel).unwrap();
    assert!(panel.contains("every protocol is disabled"), "{panel}");
}

#[test]
fn over_tls_the_certificate_has_to_be_known() {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(folder.path().join("server.pem"), made.cert.pem()).unwrap();
    std::fs::write(folder.path().join("server.key"), made.signing_key.serialize_pem()).unwrap();
    let tls = "native.tls={ certificate = 'server.pem', key = 'server.key' }";
    let served = Served::start_in(folder, &["--set", tls]);
    assert!(served.wrote("out").contains(&format!("https://{}", served.address)), "{}", served.wrote("out"));

    let url = format!("https://{}", served.address);
    let folder = served.folder.path();
    run_in(folder, &["health", "--server", &url, "--ca", "server.pem"]).expect(0);
    run_in(folder, &["health", "--server", &url]).expect(2).err_says(&["--ca FILE"]);
    let other = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    std::fs::write(folder.join("other.pem"), other.cert.pem()).unwrap();
    let said = run_in(folder, &["health", "--server", &url, "--ca", "other.pem"]).expect(3);
    said.err_says(&["certificate"]);
}
