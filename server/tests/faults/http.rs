//! Just enough HTTP/1.1 to tell an answer from a connection that broke.

use std::io::{BufRead, BufReader, Error, ErrorKind, Result, Write};
use std::net::TcpStream;

use serde_json::Value;

use crate::process::PATIENCE;

/// One connection that is kept, and made anew after it broke.
pub(crate) struct Client {
    address: String,
    connection: Option<BufReader<TcpStream>>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// What the registry says its revision is.
    pub(crate) revision: Option<u64>,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Answer {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }
}

impl Client {
    pub(crate) fn new(address: &str) -> Client {
        Client { address: address.to_owned(), connection: None }
    }

    #[track_caller]
    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.ask("GET", path, b"").unwrap().expect(200)
    }

    #[track_caller]
    pub(crate) fn post(&mut self, path: &str, body: &Value) -> Answer {
        self.ask("POST", path, body.to_string().as_bytes()).unwrap().expect(200)
    }

    /// Err: nobody knows whether it was done.
    pub(crate) fn ask(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Answer> {
        let answer = self.exchange(method, path, body);
        if answer.is_err() {
            self.connection = None;
        }
        answer
    }

    fn exchange(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Answer> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            missing => missing.insert(connect(&self.address)?),
        };
        let length = body.len();
        let mut request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {}\r\naccept: application/json\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n",
            self.address
        )
        .into_bytes();
        request.extend_from_slice(body);
        connection.get_mut().write_all(&request)?;
        read(connection)
    }
}

fn connect(address: &str) -> Result<BufReader<TcpStream>> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(BufReader::new(stream))
}

fn read(from: &mut impl BufRead) -> Result<Answer> {
    let cut = || Error::new(ErrorKind::UnexpectedEof, "half an answer");
    let status = line(from)?.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(cut)?;
    let (mut revision, mut length) = (None, 0);
    loop {
        let header = line(from)?;
        if header.is_empty() {
            break;
        }
        let (name, value) = header.split_once(':').ok_or_else(cut)?;
        let number = value.trim().parse::<u64>();
        match name.to_ascii_lowercase().as_str() {
            "switchboard-revision" => revision = number.ok(),
            "content-length" => length = number.map_err(|_| cut())? as usize,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body)?;
    Ok(Answer { status, revision, body })
}

fn line(from: &mut impl BufRead) -> Result<String> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    match line.strip_suffix("\r\n") {
        Some(whole) => Ok(whole.to_owned()),
        None => Err(Error::new(ErrorKind::UnexpectedEof, "half a line")),
    }
}
