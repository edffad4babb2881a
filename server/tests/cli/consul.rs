use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crate::support::Served;

const PATIENCE: Duration = Duration::from_secs(30);

fn http(address: &str, head: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "{head} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The data of the last record in an answer to a question for addresses, if there is an answer.
fn look_up(server: &str, name: &str) -> Option<[u8; 4]> {
    let mut query = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(&query, server).unwrap();
    let mut answer = [0; 512];
    let length = socket.recv(&mut answer).unwrap();
    let answers = u16::from_be_bytes([answer[6], answer[7]]);
    (answers == 1).then(|| answer[length - 4..length].try_into().unwrap())
}

#[test]
fn services_from_files_are_found_by_a_prepared_query_over_dns() {
    let folder = tempfile::tempdir().unwrap();
    let definitions = folder.path().join("services");
    std::fs::create_dir(&definitions).unwrap();
    let define = |text: &str| std::fs::write(definitions.join("web.hcl"), text).unwrap();
    define("service {\n  name = \"web\"\n  address = \"10.0.0.7\"\n  port = 80\n}\n");
    let arguments = [
        "--only",
        "consul",
        "--only",
        "dns",
        "--listen",
        "consul=127.0.0.1:0",
        "--listen",
        "dns=127.0.0.1:0",
        "--consul-services",
        "services",
    ];
    let mut served = Served::start_in(folder, &arguments);
    let (consul, dns) = (served.at("consul").to_owned(), served.at("dns").to_owned());
    let until = |what: &dyn Fn() -> bool| {
        let begin = Instant::now();
        while !what() {
            assert!(begin.elapsed() < PATIENCE, "it never came");
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    until(&|| look_up(&dns, "web.service.consul") == Some([10, 0, 0, 7]));
    let created = http(&consul, "POST /v1/query", r#"{"Name":"front","Service":{"Service":"web"}}"#);
    assert!(created.starts_with("HTTP/1.1 200"), "{created}");
    assert_eq!(look_up(&dns, "front.query.consul"), Some([10, 0, 0, 7]));
    assert_eq!(look_up(&dns, "other.query.consul"), None);

    define("service {\n  name = \"web\"\n  address = \"10.0.0.8\"\n  port = 80\n}\n");
    served.signal("HUP");
    until(&|| look_up(&dns, "front.query.consul") == Some([10, 0, 0, 8]));
    define("service {\n  nam = \"web\"\n}\n");
    let answer = http(&consul, "PUT /v1/agent/reload", "");
    assert!(answer.contains("web.hcl: service, line 2: unknown field \"nam\""), "{answer}");
    assert_eq!(look_up(&dns, "front.query.consul"), Some([10, 0, 0, 8]), "what it brought stays");
    let err = served.wrote("err");
    assert!(
        err.contains("web.hcl: service, line 2") && err.contains("what it brought earlier stays"),
        "{err}"
    );
    served.signal("TERM");
    assert!(served.wait().success());
}
