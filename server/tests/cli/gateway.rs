//! The gateway on its own, over registries that are elsewhere.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use crate::support::{Served, run_in, switchboard, wait};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// An instance that says its name to everyone.
fn instance(name: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut head = [0; 4096];
            if stream.read(&mut head).is_ok_and(|read| read > 0) {
                let length = name.len();
                let _ = write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{name}"
                );
            }
        }
    });
    port
}

/// A gateway that runs.
struct Standing {
    child: Child,
    places: Vec<String>,
}

impl Standing {
    fn start(folder: &Path, over: &[&str]) -> Standing {
        let file = folder.join("gateway-ports");
        let _ = std::fs::remove_file(&file);
        let rest = ["--listen", "127.0.0.1:0", "--set", "gateway.admin.listen=127.0.0.1:0", "--port-file"];
        let mut command = switchboard(&[&["gateway"], over, &rest].concat());
        let log = std::fs::File::create(folder.join("gateway.log")).unwrap();
        command.arg(&file).current_dir(folder).stdout(log.try_clone().unwrap()).stderr(log);
        let child = command.spawn().unwrap();
        until("the gateway is up", || file.exists());
        let text = std::fs::read_to_string(&file).unwrap();
        let places = text.lines().map(|line| line.strip_prefix("gateway=").unwrap().to_owned()).collect();
        Standing { child, places }
    }

    /// The status and the body of an answer.
    fn get(&self, path: &str) -> (u16, String) {
        ask(&self.places[0], path)
    }

    fn says(&self, path: &str, expected: &str) {
        until(&format!("{path} says {expected}"), || self.get(path) == (200, expected.to_owned()));
    }

    fn stop(mut self) -> ExitStatus {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(told.success());
        wait(&mut self.child)
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn until(what: &str, holds: impl Fn() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn ask(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
    (status, answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
}

fn written(folder: &Path, port: u16) {
    let text = format!(r#"{{"instances":[{{"service":"users","host":"127.0.0.1","port":{port}}}]}}"#);
    std::fs::write(folder.join("next"), text).unwrap();
    std::fs::rename(folder.join("next"), folder.join("instances.json")).unwrap();
}

#[test]
fn over_a_file_that_changes() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), instance("a"));
    let gateway = Standing::start(folder.path(), &["--file", "instances.json"]);
    gateway.says("/users/x", "a");
    written(folder.path(), instance("b"));
    gateway.says("/users/x", "b");
    assert_eq!(gateway.get("/nobody/x").0, 404);
    let (status, metrics) = ask(&gateway.places[1], "/metrics");
    assert_eq!(status, 200);
    assert!(
        metrics.contains(r#"switchboard_gateway_requests_by_service_total{service="users",class="2xx"}"#),
        "{metrics}"
    );
    let (_, page) = ask(&gateway.places[1], "/status.json");
    assert!(page.contains("\"users\""), "{page}");
    assert!(gateway.stop().success());
}

/// The same service, registered once, through each way in which a registry can be asked.
#[test]
fn over_every_protocol_of_a_registry_and_on_without_it() {
    let protocols = ["consul", "dns", "etcd", "eureka"];
    let listen: Vec<String> = protocols
        .iter()
        .flat_map(|name| {
            ["--only".to_owned(), name.to_string(), "--listen".to_owned(), format!("{name}=127.0.0.1:0")]
        })
        .collect();
    let listen: Vec<&str> = listen.iter().map(String::as_str).collect();
    let served = Served::start_in(tempfile::tempdir().unwrap(), &listen);
    let port = instance("a");
    served.run(&["register", "users", &format!("127.0.0.1:{port}")]).expect(0);
    let (url, consul) = (served.url(), format!("http://{}", served.at("consul")));
    let dns = served.at("dns").to_owned();
    let kept = tempfile::tempdir().unwrap();
    let keep = kept.path().to_str().unwrap();
    let of_dns = ["--dns-srv", "{service}.service.consul", "--dns-server", &dns];
    let (etcd, eureka) = (format!("http://{}", served.at("etcd")), format!("http://{}", served.at("eureka")));
    let ways: [&[&str]; 5] = [
        &["--registry", &url, "--keep", keep],
        &["--consul", &consul],
        &["--etcd", &etcd],
        &["--eureka", &eureka, "--eureka-every", "1s"],
        &of_dns,
    ];
    let mut standing = Vec::new();
    for way in ways {
        let folder = tempfile::tempdir().unwrap();
        let gateway = Standing::start(folder.path(), way);
        gateway.says("/users/x", "a");
        standing.push((gateway, folder));
    }
    until("what is known is kept", || std::fs::read_dir(keep).is_ok_and(|files| files.count() > 0));
    drop(served);
    for (gateway, _) in &standing {
        assert_eq!(gateway.get("/users/x"), (200, "a".to_owned()));
    }
    drop(standing);
    let folder = tempfile::tempdir().unwrap();
    let gateway = Standing::start(folder.path(), &["--registry", &url, "--keep", keep]);
    gateway.says("/users/x", "a");
    // Of whom nothing was known nothing can be said.
    assert_eq!(gateway.get("/others/x").0, 503);
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| run_in(folder.path(), &[&["gateway"], arguments].concat());
    run(&[]).expect(2).err_says(&["--registry"]);
    run(&["--registry", "x", "--consul", "y"]).expect(2).err_says(&["cannot be used with"]);
    run(&["--consul", "ftp://x"]).expect(2).err_says(&["--consul", "ftp://x"]);
    run(&["--etcd", "https://x"]).expect(2).err_says(&["--etcd", "https://x"]);
    run(&["--eureka", "https://x"]).expect(2).err_says(&["--eureka", "https://x"]);
    for (flag, value, of) in [
        ("--eureka-every", "1s", "--eureka"),
        ("--etcd-prefix", "/x", "--etcd"),
        ("--dns-server", "127.0.0.1:53", "--dns-srv"),
    ] {
        run(&["--consul", "x", flag, value]).expect(2).err_says(&[flag, of]);
    }
    run(&["--dns-srv", "users.example.com"]).expect(2).err_says(&["--dns-srv", "{service}"]);
    run(&["--dns-hosts", "{service}.example.com"]).expect(2).err_says(&["--dns-hosts", "NAME:PORT"]);
    run(&["--file", "missing.json"]).expect(2).err_says(&["--file", "missing.json"]);
    let over = ["--registry", "http://127.0.0.1:1"];
    let config = |text: &str| std::fs::write(folder.path().join("switchboard.toml"), text).unwrap();
    config(
        "[gateway]\nlisten = '127.0.0.1:0'\n\n[[gateway.routes]]\nid = 'a'\npaths = ['/a/**']\nservce = 'a'\n",
    );
    run(&over).expect(2).err_says(&["switchboard.toml:7", "servce"]);
    config(
        "[gateway]\nlisten = '127.0.0.1:0'\n\n[[gateway.routes]]\nid = 'a'\npaths = ['a/**']\nservice = 'a'\n",
    );
    run(&over).expect(2).err_says(&["switchboard.toml:6", "paths"]);
    for (line, says) in [
        ("namespace = ''", "namespace"),
        ("balance.eject.max_share = 3", "from 0 to 1"),
        ("balance.panic_threshold = 3", "from 0 to 1"),
        ("retry.budget = 20", "from 0 to 1"),
        ("admin.listen = '0.0.0.0:7701'", "can be reached from other machines"),
    ] {
        config(&format!("[gateway]\nlisten = '127.0.0.1:0'\n{line}\n"));
        run(&over).expect(2).err_says(&["switchboard.toml:3", says]);
    }
}
