use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::process::Reaped;

/// Three instances that all gateways stand before: nginx, answering 1 KiB.
pub(super) struct Site {
    pub(super) ports: [u16; 3],
    _servers: Vec<Reaped>,
}

impl Site {
    pub(super) fn start(folder: &Path) -> anyhow::Result<Site> {
        let ports = [free_port()?, free_port()?, free_port()?];
        let mut servers = Vec::new();
        for port in ports {
            let body = "x".repeat(1024);
            let text = format!(
                "daemon off; master_process off; pid {0}/site-{port}.pid; error_log {0}/site-{port}.log;\n\
                 events {{ worker_connections 4096; }}\n\
                 http {{ access_log off; keepalive_requests 100000000; client_body_temp_path {0}/site-body;\n\
                 server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ return 200 \"{body}\"; }} }} }}\n",
                folder.display()
            );
            let file = folder.join(format!("site-{port}.conf"));
            std::fs::write(&file, text)?;
            servers.push(start(Command::new("nginx").arg("-c").arg(&file), folder, &format!("site-{port}"))?);
            answers(port, "/")?;
        }
        Ok(Site { ports, _servers: servers })
    }
}

pub(super) fn start(command: &mut Command, folder: &Path, name: &str) -> anyhow::Result<Reaped> {
    let log = std::fs::File::create(folder.join(format!("{name}.out")))?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Ok(Reaped(command.spawn().with_context(|| format!("cannot start {name}"))?))
}

pub(super) fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Waits until a path answers with 200.
pub(super) fn answers(port: u16, path: &str) -> anyhow::Result<()> {
    let until = Instant::now() + Duration::from_secs(60);
    while Instant::now() < until {
        if ask(port, "GET", path, "").is_ok_and(|status| status == 200) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("nothing answers at 127.0.0.1:{port}{path}")
}

/// One request on a connection of its own; the status of the answer.
pub(super) fn ask(port: u16, method: &str, path: &str, body: &str) -> anyhow::Result<u16> {
    let mut stream =
        TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), Duration::from_secs(2))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(head.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let status = answer.split_whitespace().nth(1).and_then(|status| status.parse().ok());
    status.with_context(|| format!("no answer: {answer:?}"))
}
