//! Server-sent events as they come off a socket: HTTP head, chunks, lines. It keeps the revision and the kind of
//! an event and forgets its data, because ten thousand readers share the cores with the server.

use anyhow::{Context, Result, ensure};

/// Enough for `id: REVISION` and `event: NAME`; the rest of a line is counted and dropped.
const KEPT_LINE_BYTES: usize = 64;

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) revision: u64,
    /// Its size on the stream, without the framing of chunks.
    pub(crate) bytes: usize,
}

/// The head of the reply in `bytes` and whether chunks follow; None until it is complete.
pub(crate) fn parse_head(bytes: &[u8]) -> Result<Option<(usize, Reader)>> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(length) = response.parse(bytes).context("not an HTTP reply")? else {
        return Ok(None);
    };
    ensure!(response.code == Some(200), "status {} to a watch", response.code.unwrap_or(0));
    let value = |name: &str| {
        let found = response.headers.iter().find(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| header.value.to_ascii_lowercase()).unwrap_or_default()
    };
    ensure!(value("content-type").starts_with(b"text/event-stream"), "the watch is not a stream of events");
    let framing = if value("transfer-encoding") == b"chunked" { Framing::Size(0) } else { Framing::None };
    Ok(Some((length, Reader::new(framing))))
}

pub(crate) struct Reader {
    framing: Framing,
    line: Vec<u8>,
    id: u64,
    is_change: bool,
    bytes: usize,
}

enum Framing {
    /// The stream ends with the connection.
    None,
    Size(usize),
    /// After the size, up to the end of its line.
    SizeEnd(usize),
    Data(usize),
    /// The line end after the data of a chunk.
    DataEnd,
}

impl Reader {
    fn new(framing: Framing) -> Self {
        Self { framing, line: Vec::with_capacity(KEPT_LINE_BYTES), id: 0, is_change: false, bytes: 0 }
    }

    /// Calls `on_change` for every complete `change` event; others (progress, comments) are passed over.
    pub(crate) fn feed(&mut self, mut input: &[u8], mut on_change: impl FnMut(Event)) -> Result<()> {
        while let Some((&first, rest)) = input.split_first() {
            match self.framing {
                Framing::None => {
                    self.text(input, &mut on_change);
                    return Ok(());
                }
                Framing::Size(size) => {
                    input = rest;
                    self.framing = match char::from(first).to_digit(16) {
                        Some(digit) => Framing::Size(size.saturating_mul(16).saturating_add(digit as usize)),
                        None if first == b'\n' => chunk_of(size)?,
                        None => Framing::SizeEnd(size),
                    };
                }
                Framing::SizeEnd(size) => {
                    input = rest;
                    if first == b'\n' {
                        self.framing = chunk_of(size)?;
                    }
                }
                Framing::Data(left) => {
                    let (data, after) = input.split_at(left.min(input.len()));
                    self.text(data, &mut on_change);
                    input = after;
                    self.framing =
                        if data.len() == left { Framing::DataEnd } else { Framing::Data(left - data.len()) };
                }
                Framing::DataEnd => {
                    input = rest;
                    if first == b'\n' {
                        self.framing = Framing::Size(0);
                    }
                }
            }
        }
        Ok(())
    }

    fn text(&mut self, text: &[u8], on_change: &mut impl FnMut(Event)) {
        self.bytes += text.len();
        let mut left = text.len();
        for piece in text.split_inclusive(|byte| *byte == b'\n') {
            left -= piece.len();
            let content = piece.strip_suffix(b"\n");
            let room = KEPT_LINE_BYTES - self.line.len();
            let bytes = content.unwrap_or(piece);
            self.line.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
            if content.is_some() {
                self.end_of_line(left, on_change);
            }
        }
    }

    /// `left` bytes of the piece just counted belong to the next event.
    fn end_of_line(&mut self, left: usize, on_change: &mut impl FnMut(Event)) {
        let line = self.line.trim_ascii_end();
        if line.is_empty() {
            if self.is_change {
                on_change(Event { revision: self.id, bytes: self.bytes - left });
            }
            self.is_change = false;
            self.bytes = left;
        } else if let Some(id) = line.strip_prefix(b"id:") {
            self.id = std::str::from_utf8(id).ok().and_then(|id| id.trim().parse().ok()).unwrap_or(0);
        } else if let Some(name) = line.strip_prefix(b"event:") {
            self.is_change = name.trim_ascii() == b"change";
        }
        self.line.clear();
    }
}

fn chunk_of(size: usize) -> Result<Framing> {
    ensure!(size > 0, "the server ended the stream");
    Ok(Framing::Data(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whatever way the network cuts the stream, the events are the same.
    #[test]
    fn every_cut_gives_the_same_events() {
        let body = "id: 7\nevent: change\ndata: {\"a\":1}\n\n: keep-alive\n\nid: 8\nevent: progress\ndata: {}\n\nid:9\nevent:change\ndata: x\n\n";
        for chunk in 1..body.len() {
            let mut wire = String::new();
            let mut rest = body;
            while !rest.is_empty() {
                let (now, later) = rest.split_at(chunk.min(rest.len()));
                wire.push_str(&format!("{:x}\r\n{now}\r\n", now.len()));
                rest = later;
            }
            for read in [1, 3, 7, wire.len()] {
                let mut reader = Reader::new(Framing::Size(0));
                let mut events = Vec::new();
                for bytes in wire.as_bytes().chunks(read) {
                    reader.feed(bytes, |event| events.push(event)).unwrap();
                }
                assert_eq!(
                    events,
                    [Event { revision: 7, bytes: 35 }, Event { revision: 9, bytes: 27 }],
                    "chunks of {chunk}, reads of {read}"
                );
            }
        }
    }

    #[test]
    fn a_refused_watch_is_an_error() {
        assert!(parse_head(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").is_err());
        assert!(parse_head(b"HTTP/1.1 200 OK\r\nContent-Ty").unwrap().is_none());
    }
}
