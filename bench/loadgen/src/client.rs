//! A small HTTP/1.1 client: prebuilt request bytes in, status and body out, one request outstanding per
//! connection. It shares the cores with the server it measures, so it does no more than the protocol demands.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;

const FIRST_INBOX_BYTES: usize = 16 * 1024;
const LARGEST_REPLY_BYTES: usize = 32 * 1024 * 1024;
const MOST_HEADERS: usize = 32;

pub(crate) struct Connection {
    stream: TcpStream,
    inbox: Vec<u8>,
}

/// A reply borrows the connection's buffer until the next exchange.
pub(crate) struct Reply<'a> {
    pub(crate) status: u16,
    pub(crate) content_type: &'a str,
    /// Consul's `X-Consul-Index`.
    pub(crate) index: Option<u64>,
    pub(crate) body: &'a [u8],
}

impl Reply<'_> {
    pub(crate) fn is_fine(&self) -> bool {
        matches!(self.status, 200 | 204)
    }
}

impl Connection {
    pub(crate) async fn open(target: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(target).await.context("connect")?;
        // Without it a request of two segments waits for a delayed acknowledgement.
        stream.set_nodelay(true)?;
        Ok(Self { stream, inbox: vec![0; FIRST_INBOX_BYTES] })
    }

    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Reply<'_>> {
        self.stream.write_all(request).await.context("write the request")?;
        let mut filled = 0;
        let head = loop {
            filled = self.receive(filled).await?;
            if let Some(head) = Head::parse(self.inbox.get(..filled).unwrap_or_default())? {
                break head;
            }
        };
        let end = match head.body {
            Length::Known(bytes) => {
                let end = head.bytes + bytes;
                while filled < end {
                    filled = self.receive(filled).await?;
                }
                ensure!(filled == end, "{} bytes after the end of the reply", filled - end);
                end
            }
            Length::Chunked => {
                let mut chunks = Chunks { from: head.bytes, to: head.bytes };
                while !chunks.gather(&mut self.inbox, filled)? {
                    filled = self.receive(filled).await?;
                }
                chunks.to
            }
        };
        let (from, to) = head.content_type;
        Ok(Reply {
            status: head.status,
            content_type: self.inbox.get(from..to).map(std::str::from_utf8).transpose()?.unwrap_or_default(),
            index: head.index,
            body: self.inbox.get(head.bytes..end).unwrap_or_default(),
        })
    }

    async fn receive(&mut self, filled: usize) -> Result<usize> {
        if filled == self.inbox.len() {
            ensure!(filled < LARGEST_REPLY_BYTES, "the reply is larger than {LARGEST_REPLY_BYTES} bytes");
            self.inbox.resize(filled * 2, 0);
        }
        let free = self.inbox.get_mut(filled..).unwrap_or_default();
        match self.stream.read(free).await.context("read the reply")? {
            0 => bail!("the server closed the connection"),
            count => Ok(filled + count),
        }
    }
}

/// What the client needs to know of a reply's head. Positions, not slices: the inbox may still grow.
struct Head {
    status: u16,
    bytes: usize,
    body: Length,
    index: Option<u64>,
    content_type: (usize, usize),
}

/// How the end of a body is known.
#[derive(Clone, Copy)]
enum Length {
    Known(usize),
    Chunked,
}

/// A chunked body that is being put together at the place where it begins.
struct Chunks {
    from: usize,
    to: usize,
}

impl Chunks {
    /// Takes the chunks that are whole; whether the last one was among them.
    fn gather(&mut self, inbox: &mut [u8], filled: usize) -> Result<bool> {
        loop {
            let rest = inbox.get(self.from..filled).unwrap_or_default();
            let Some(line) = rest.windows(2).position(|pair| pair == b"\r\n") else { return Ok(false) };
            let size = std::str::from_utf8(rest.get(..line).unwrap_or_default())?;
            let size = usize::from_str_radix(size.trim(), 16).context("the size of a chunk")?;
            let data = self.from + line + 2;
            if filled < data + size + 2 {
                return Ok(false);
            }
            inbox.copy_within(data..data + size, self.to);
            self.to += size;
            self.from = data + size + 2;
            if size == 0 {
                ensure!(filled == self.from, "{} bytes after the end of the reply", filled - self.from);
                return Ok(true);
            }
        }
    }
}

impl Head {
    fn parse(bytes: &[u8]) -> Result<Option<Self>> {
        let mut headers = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(length) = response.parse(bytes).context("not an HTTP reply")? else {
            return Ok(None);
        };
        let (mut body, mut index) = (None, None);
        let mut content_type = (0, 0);
        for header in response.headers.iter() {
            if header.name.eq_ignore_ascii_case("content-length") {
                body = Some(Length::Known(std::str::from_utf8(header.value)?.trim().parse()?));
            } else if header.name.eq_ignore_ascii_case("transfer-encoding") {
                body = Some(Length::Chunked);
            } else if header.name.eq_ignore_ascii_case("x-consul-index") {
                index = Some(std::str::from_utf8(header.value)?.trim().parse()?);
            } else if header.name.eq_ignore_ascii_case("content-type") {
                let from = header.value.as_ptr().addr() - bytes.as_ptr().addr();
                content_type = (from, from + header.value.len());
            }
        }
        let status = response.code.context("a reply without a status")?;
        let body = if status == 204 { Some(Length::Known(0)) } else { body };
        let body = body.context("a reply without a length: its end cannot be seen")?;
        Ok(Some(Self { status, bytes: length, body, index, content_type }))
    }
}

/// The same client for the steps that come one after the other: readiness, preparation, single changes.
pub(crate) struct Caller {
    runtime: Runtime,
    connection: Connection,
}

pub(crate) struct OwnedReply {
    pub(crate) content_type: String,
    pub(crate) index: Option<u64>,
    pub(crate) body: Vec<u8>,
}

impl Caller {
    pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

    pub(crate) fn open(target: SocketAddr) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let connection = runtime.block_on(Connection::open(target))?;
        Ok(Self { runtime, connection })
    }

    /// Anything but 200 and 204 is an error that carries the beginning of the server's words.
    pub(crate) fn call(&mut self, request: &[u8]) -> Result<OwnedReply> {
        let exchange = self.connection.exchange(request);
        let reply = self
            .runtime
            .block_on(async { tokio::time::timeout(Self::PATIENCE, exchange).await })
            .context("no reply in time")??;
        ensure!(reply.is_fine(), "{}", refusal(&reply));
        let (content_type, body) = (reply.content_type.to_owned(), reply.body.to_vec());
        Ok(OwnedReply { content_type, index: reply.index, body })
    }
}

pub(crate) fn refusal(reply: &Reply<'_>) -> String {
    let words: String = String::from_utf8_lossy(reply.body).chars().take(200).collect();
    format!("status {}: {words}", reply.status)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As it is after so many bytes of it have arrived.
    fn gathered(text: &str, arrived: usize) -> Option<String> {
        let mut inbox = text.as_bytes().to_vec();
        let mut chunks = Chunks { from: 0, to: 0 };
        let is_whole = chunks.gather(&mut inbox, arrived).unwrap();
        is_whole.then(|| String::from_utf8(inbox.get(..chunks.to).unwrap().to_vec()).unwrap())
    }

    #[test]
    fn chunks_are_put_together_when_the_last_has_arrived() {
        let text = "4\r\nabcd\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n";
        assert_eq!(gathered(text, text.len()), Some("abcd0123456789abcdef".to_owned()));
        for arrived in 0..text.len() {
            assert_eq!(gathered(text, arrived), None, "after {arrived} bytes");
        }
    }
}
