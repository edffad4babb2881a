//! etcd's Go client 3.5.0, which go-kit pins, writes `#initially=[127.0.0.1:2379]` where HTTP/2 has the host (`:authority`).
//! etcd does not look at it; the library that we read HTTP/2 with refuses the request. So the first request of a connection
//! is looked at before it gets there, and a host that begins with `#` is written anew. Whoever indexes it, as gRPC does,
//! says it once per connection; the index stands for what is written here.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BufMut, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::metrics::Traffic;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const FRAME_HEAD: usize = 9;
/// A frame can be no longer as long as we have not said that it may.
const MAX_FRAME: usize = 16_384;
const HEADERS: u8 = 1;
const PADDED: u8 = 0x08;
const PRIORITY: u8 = 0x20;
/// `:authority` in HPACK's table.
const AUTHORITY: usize = 1;
/// Not longer than what it stands for: then the other side drops entries of its table no later than we do.
const INSTEAD: &[u8] = b"\x09localhost";

/// A connection whose first request is made readable.
pub(crate) struct Readable<T> {
    connection: T,
    /// Read, and not looked at.
    raw: BytesMut,
    /// Looked at, and not handed on.
    ready: BytesMut,
    next: Next,
    traffic: Arc<Traffic>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Preface,
    Frame,
    /// Nothing is looked at any more.
    Through,
}

impl<T> Readable<T> {
    pub(crate) fn new(connection: T, traffic: Arc<Traffic>) -> Readable<T> {
        Readable { connection, raw: BytesMut::new(), ready: BytesMut::new(), next: Next::Preface, traffic }
    }

    fn sent(&self, bytes: usize) -> usize {
        self.traffic.sent.inc_by(bytes.try_into().unwrap_or(u64::MAX));
        bytes
    }

    fn look(&mut self) {
        loop {
            match self.next {
                Next::Preface if self.raw.starts_with(PREFACE) => {
                    self.ready.put(self.raw.split_to(PREFACE.len()));
                    self.next = Next::Frame;
                }
                Next::Preface if PREFACE.starts_with(&self.raw) => return,
                Next::Preface => self.next = Next::Through,
                Next::Frame => {
                    let Some(length) = frame_length(&self.raw) else { return };
                    if length > FRAME_HEAD + MAX_FRAME {
                        self.next = Next::Through;
                    } else if self.raw.len() < length {
                        return;
                    } else {
                        let frame = self.raw.split_to(length);
                        if frame.get(3) == Some(&HEADERS) {
                            self.next = Next::Through;
                            self.ready.put_slice(rewritten(&frame).as_deref().unwrap_or(&frame));
                        } else {
                            self.ready.put(frame);
                        }
                    }
                }
                Next::Through => {
                    self.ready.put(self.raw.split());
                    return;
                }
            }
        }
    }
}

/// With its head; None: the head is not all there.
fn frame_length(raw: &[u8]) -> Option<usize> {
    let [high, middle, low] = *raw.get(..FRAME_HEAD)?.first_chunk()?;
    usize::try_from(u32::from_be_bytes([0, high, middle, low])).ok().map(|length| FRAME_HEAD + length)
}

/// The frame with another host. None: the host is good, or the frame is none that we understand.
fn rewritten(frame: &[u8]) -> Option<Vec<u8>> {
    let (head, payload) = frame.split_at_checked(FRAME_HEAD)?;
    let flags = *head.get(4)?;
    let has = |flag| flags & flag != 0;
    let padding = if has(PADDED) { usize::from(*payload.first()?) } else { 0 };
    let before = usize::from(has(PADDED)) + if has(PRIORITY) { 5 } else { 0 };
    let block = payload.get(before..payload.len().checked_sub(padding)?)?;
    let fields = with_another_host(block)?;
    let length = u32::try_from(before + fields.len() + padding).ok()?;
    let [_, high, middle, low] = length.to_be_bytes();
    let mut written = vec![high, middle, low];
    written.extend_from_slice(head.get(3..)?);
    written.extend_from_slice(payload.get(..before)?);
    written.extend_from_slice(&fields);
    written.extend_from_slice(payload.get(payload.len() - padding..)?);
    Some(written)
}

/// Fields as HPACK has them (RFC 7541 section 6), none of which has to be decoded to get past it.
fn with_another_host(block: &[u8]) -> Option<Vec<u8>> {
    let mut rest = block;
    loop {
        match *rest.first()? {
            indexed if indexed & 0x80 != 0 => drop(integer(&mut rest, 7)?),
            size if size & 0xe0 == 0x20 => drop(integer(&mut rest, 5)?),
            literal => {
                let name = integer(&mut rest, if literal & 0x40 != 0 { 6 } else { 4 })?;
                if name == 0 {
                    string(&mut rest)?;
                }
                let before = block.get(..block.len() - rest.len())?;
                let is_good = !begins_with_hash(string(&mut rest)?);
                if name == AUTHORITY {
                    return (!is_good).then(|| [before, INSTEAD, rest].concat());
                }
            }
        }
    }
}

/// Plain, or in Huffman's code: twelve bits.
fn begins_with_hash((coded, text): (bool, &[u8])) -> bool {
    match text {
        [0xff, second, ..] if coded => second & 0xf0 == 0xa0,
        [b'#', ..] => !coded,
        _ => false,
    }
}

fn integer(rest: &mut &[u8], bits: u32) -> Option<usize> {
    let (first, more) = rest.split_first()?;
    *rest = more;
    let mask = (1_u8 << bits) - 1;
    let mut number = usize::from(first & mask);
    if first & mask < mask {
        return Some(number);
    }
    for shift in [0, 7, 14] {
        let (next, more) = rest.split_first()?;
        *rest = more;
        number += usize::from(next & 0x7f) << shift;
        if next & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn string<'a>(rest: &mut &'a [u8]) -> Option<(bool, &'a [u8])> {
    let coded = rest.first()? & 0x80 != 0;
    let length = integer(rest, 7)?;
    let (text, more) = rest.split_at_checked(length)?;
    *rest = more;
    Some((coded, text))
}

impl<T: AsyncRead + Unpin> AsyncRead for Readable<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            if !self.ready.is_empty() {
                let most = self.ready.len().min(buf.remaining());
                buf.put_slice(self.ready.get(..most).unwrap_or_default());
                self.ready.advance(most);
                return Poll::Ready(Ok(()));
            }
            if self.next == Next::Through {
                let before = buf.filled().len();
                ready!(Pin::new(&mut self.connection).poll_read(cx, buf))?;
                let read = buf.filled().len().saturating_sub(before);
                self.traffic.received.inc_by(read.try_into().unwrap_or(u64::MAX));
                return Poll::Ready(Ok(()));
            }
            let mut space = [0; 1024];
            let mut read = ReadBuf::new(&mut space);
            ready!(Pin::new(&mut self.connection).poll_read(cx, &mut read))?;
            if read.filled().is_empty() {
                self.next = Next::Through;
            }
            self.traffic.received.inc_by(read.filled().len().try_into().unwrap_or(u64::MAX));
            self.raw.extend_from_slice(read.filled());
            self.look();
        }
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Readable<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let sent = ready!(Pin::new(&mut self.connection).poll_write(cx, bytes))?;
        Poll::Ready(Ok(self.sent(sent)))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = ready!(Pin::new(&mut self.connection).poll_write_vectored(cx, pieces))?;
        Poll::Ready(Ok(self.sent(sent)))
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let [_, high, middle, low] = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&[high, middle, low, kind, flags, 0, 0, 0, 1], payload].concat()
    }

    /// What comes out, when what goes in comes byte by byte.
    async fn read(given: &[u8]) -> Vec<u8> {
        let (mut far, near) = tokio::io::duplex(1);
        let given = given.to_vec();
        let writing = tokio::spawn(async move { far.write_all(&given).await });
        let mut found = Vec::new();
        Readable::new(near, Arc::default()).read_to_end(&mut found).await.unwrap();
        writing.await.unwrap().unwrap();
        found
    }

    /// `POST`, a path, the host, and a field after it.
    fn fields(host: &[u8]) -> Vec<u8> {
        [b"\x83\x44\x02/x\x41", host, b"\x40\x01a\x01b"].concat()
    }

    // The tests of go-kit against a real etcd passed, and here each call ended with PROTOCOL_ERROR.
    #[tokio::test]
    async fn a_host_that_is_none_is_written_anew() {
        let settings = frame(4, 0, &[]);
        let plain: &[u8] = b"\x0b#initially=";
        // `#` and a `/` in Huffman's code, filled up with ones.
        let coded: &[u8] = b"\x83\xff\xa6\x3f";
        for host in [plain, coded] {
            let given = [PREFACE, &settings, &frame(1, 4, &fields(host)), b"and more"].concat();
            let wanted = [PREFACE, &settings, &frame(1, 4, &fields(INSTEAD)), b"and more"].concat();
            assert_eq!(read(&given).await, wanted);
        }
        let around = |host| [b"\x02".as_slice(), b"12345", &fields(host), b"\0\0"].concat();
        let given = [PREFACE, &frame(1, PADDED | PRIORITY, &around(plain))].concat();
        let wanted = [PREFACE, &frame(1, PADDED | PRIORITY, &around(INSTEAD))].concat();
        assert_eq!(read(&given).await, wanted);
    }

    #[tokio::test]
    async fn everything_else_goes_through_as_it_is() {
        let good = [PREFACE, &frame(1, 4, &fields(b"\x01a")), &frame(1, 4, &fields(b"\x02#a"))].concat();
        let broken = [PREFACE, &frame(1, 4, b"\x41\xff\xff\xff\xff\xff"), b"x"].concat();
        let padded = [PREFACE, &frame(1, PADDED, b"\xff")].concat();
        let cut = [PREFACE, b"\0\0"].concat();
        let long = [PREFACE, b"\xff\xff\xff\x01\x04\0\0\0\x01", b"xyz"].concat();
        let given: [&[u8]; 8] =
            [b"", b"P", b"PUT /v3/kv/put HTTP/1.1\r\n", &good, &broken, &padded, &cut, &long];
        for given in given {
            assert_eq!(read(given).await, given);
        }
    }
}
