//! Writing an answer: Go's JSON, and the headers that say how far it can be trusted.

use std::convert::Infallible;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{Stream, StreamExt};
use http::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, VARY};
use http::{HeaderName, HeaderValue, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Either, Full, StreamBody};
use serde::Serialize;
use serde_json::ser::{CompactFormatter, Formatter};

use crate::ask::{Ask, Consistency};
use crate::refusal::Refusal;

mod zip;

pub(crate) use zip::{is_accepted as is_gzip_accepted, smaller};

/// All of it at once, or as it comes.
pub(crate) type Body = Either<Full<Bytes>, Streamed>;
type Streamed = UnsyncBoxBody<Bytes, Infallible>;

/// What comes bit by bit.
struct Pieces(BoxStream<'static, Bytes>);

impl std::fmt::Debug for Pieces {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pieces")
    }
}

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// What an operation answers.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) body: Bytes,
    content_type: Option<HeaderValue>,
    /// Query metadata: the index, if the operation has one.
    meta: Option<Meta>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Takes the place of the body.
    stream: Option<Pieces>,
    /// A stream is made smaller for whoever takes it so.
    zips_stream: bool,
    /// The body made smaller, where somebody did that before.
    zipped: Option<Bytes>,
}

#[derive(Clone, Copy, Debug)]
struct Meta {
    index: Option<u64>,
    consistency: Option<Consistency>,
}

impl Answer {
    pub(crate) fn bytes(body: impl Into<Bytes>) -> Answer {
        Answer {
            status: StatusCode::OK,
            body: body.into(),
            content_type: Some(JSON),
            meta: None,
            headers: Vec::new(),
            stream: None,
            zips_stream: false,
            zipped: None,
        }
    }

    /// The same, with the body made smaller, for whoever takes it so.
    pub(crate) fn zipped_as(self, zipped: Option<Bytes>) -> Answer {
        Answer { zipped, ..self }
    }

    /// What is told piece by piece, until the stream or the client's patience ends.
    pub(crate) fn stream(
        content_type: &'static str,
        pieces: impl Stream<Item = Bytes> + Send + 'static,
    ) -> Answer {
        let stream = Pieces(pieces.boxed());
        let content_type = Some(HeaderValue::from_static(content_type));
        Answer { content_type, stream: Some(stream), ..Answer::bytes(Bytes::new()) }
    }

    /// The stream made smaller, from its first byte, for whoever takes it so.
    pub(crate) fn made_smaller(self) -> Answer {
        Answer { zips_stream: true, ..self }
    }

    pub(crate) fn json<T: Serialize>(value: &T) -> Answer {
        Answer::bytes(encode(value))
    }

    /// Text for programs that only look at the first word.
    pub(crate) fn word(text: impl Into<String>) -> Answer {
        Answer::raw(text.into().into_bytes())
    }

    /// Bytes as somebody left them.
    pub(crate) fn raw(body: impl Into<Bytes>) -> Answer {
        Answer { content_type: Some(HeaderValue::from_static("text/plain")), ..Answer::bytes(body) }
    }

    /// There is none, and nothing is said of it.
    pub(crate) fn nothing() -> Answer {
        Answer::empty().with_status(StatusCode::NOT_FOUND)
    }

    /// 200 with nothing in it.
    pub(crate) fn empty() -> Answer {
        Answer { content_type: None, ..Answer::bytes(Bytes::new()) }
    }

    pub(crate) fn with_status(mut self, status: StatusCode) -> Answer {
        self.status = status;
        self
    }

    /// Adds the metadata of a query whose index is `index`.
    pub(crate) fn at(mut self, ask: &Ask, index: u64) -> Answer {
        // A client that sees 0 would never block, and spin.
        self.meta = Some(Meta { index: Some(index.max(1)), consistency: Some(ask.consistency) });
        self
    }

    /// The same for what does not say how it was read.
    pub(crate) fn at_index(self, ask: &Ask, index: u64) -> Answer {
        let mut answer = self.at(ask, index);
        if let Some(meta) = &mut answer.meta {
            meta.consistency = None;
        }
        answer
    }

    /// An index that a client may wait on, and nothing else.
    pub(crate) fn at_mark(self, index: u64) -> Answer {
        self.with("x-consul-index", &index.max(1).to_string())
    }

    /// A read that has no index.
    pub(crate) fn of_read(self, is_read: bool) -> Answer {
        if !is_read {
            return self;
        }
        self.with("x-consul-lastcontact", "0").with("x-consul-knownleader", "true")
    }

    pub(crate) fn of_type(mut self, content_type: &'static str) -> Answer {
        self.content_type = Some(HeaderValue::from_static(content_type));
        self
    }

    pub(crate) fn with(mut self, name: &'static str, value: &str) -> Answer {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((HeaderName::from_static(name), value));
        }
        self
    }

    pub(crate) async fn into_response(mut self, pretty: bool, zipped: bool) -> Response<Body> {
        if pretty && self.content_type == Some(JSON) && !self.body.is_empty() {
            self.body = indented(&self.body);
            self.zipped = None;
        }
        let smaller = match self.zipped.take().filter(|_| zipped) {
            None if zipped => zip::smaller(&self.body).await,
            made => made,
        };
        if let Some(body) = smaller {
            self.body = body;
            self.headers.push((CONTENT_ENCODING, HeaderValue::from_static("gzip")));
        }
        let zips_stream = zipped && self.zips_stream;
        if zips_stream && self.stream.is_some() {
            self.headers.push((CONTENT_ENCODING, HeaderValue::from_static("gzip")));
        }
        let body = match self.stream {
            Some(Pieces(pieces)) => {
                let pieces = if zips_stream { zip::pieces(pieces).boxed() } else { pieces };
                let frames = pieces.map(|piece| Ok(Frame::data(piece)));
                Either::Right(StreamBody::new(frames).boxed_unsync())
            }
            None => Either::Left(Full::new(self.body)),
        };
        let mut response = Response::new(body);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if let Some(content_type) = self.content_type {
            headers.insert(CONTENT_TYPE, content_type);
        }
        headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        headers.insert("x-consul-default-acl-policy", HeaderValue::from_static("allow"));
        if let Some(meta) = self.meta {
            if let Some(index) = meta.index {
                headers.insert("x-consul-index", HeaderValue::from(index));
            }
            headers.insert("x-consul-knownleader", HeaderValue::from_static("true"));
            headers.insert("x-consul-lastcontact", HeaderValue::from_static("0"));
            if let Some(consistency) = meta.consistency {
                let consistency = HeaderValue::from_static(consistency.as_str());
                headers.insert("x-consul-effective-consistency", consistency);
            }
            headers.insert("x-consul-query-backend", HeaderValue::from_static("blocking-query"));
        }
        for (name, value) in self.headers {
            headers.insert(name, value);
        }
        response
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Answer {
        let content_type = Some(if refusal.json { JSON } else { TEXT }).filter(|_| !refusal.text.is_empty());
        let meta = refusal.index.map(|index| Meta { index: Some(index.max(1)), consistency: None });
        let mut headers = Vec::new();
        if let Some(allow) = refusal.allow {
            headers.push((ALLOW, HeaderValue::from_static(allow)));
        }
        Answer {
            status: refusal.status,
            body: refusal.text.into(),
            content_type,
            meta,
            headers,
            stream: None,
            zips_stream: false,
            zipped: None,
        }
    }
}

/// JSON as Go's encoder writes it.
pub(crate) fn encode<T: Serialize>(value: &T) -> Bytes {
    let mut bytes = Vec::with_capacity(256);
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Go(CompactFormatter));
    // Only a map whose keys are not text could fail, and none is.
    let _ = value.serialize(&mut serializer);
    bytes.into()
}

/// Go keeps JSON harmless inside HTML and JavaScript, and writes whole numbers as such.
struct Go(CompactFormatter);

impl Formatter for Go {
    fn write_f64<W: ?Sized + std::io::Write>(&mut self, writer: &mut W, value: f64) -> std::io::Result<()> {
        match value.abs() {
            size if size >= 1e21 => writer.write_all(format!("{value:e}").replace('e', "e+").as_bytes()),
            size if size != 0.0 && size < 1e-6 => write!(writer, "{value:e}"),
            _ => write!(writer, "{value}"),
        }
    }

    fn write_string_fragment<W: ?Sized + std::io::Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> std::io::Result<()> {
        let mut rest = fragment;
        while let Some(at) = rest.find(['<', '>', '&', '\u{2028}', '\u{2029}']) {
            let (plain, from) = rest.split_at(at);
            writer.write_all(plain.as_bytes())?;
            let mut chars = from.chars();
            if let Some(c) = chars.next() {
                write!(writer, "\\u{:04x}", u32::from(c))?;
            }
            rest = chars.as_str();
        }
        self.0.write_string_fragment(writer, rest)
    }
}

/// Compact JSON with line breaks and four spaces a level, and a line feed at the end.
fn indented(compact: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(compact.len() * 2);
    let (mut depth, mut quoted, mut escaped, mut opened) = (0_usize, false, false, false);
    let line = |out: &mut Vec<u8>, depth: usize| {
        out.push(b'\n');
        out.extend(std::iter::repeat_n(b' ', depth * 4));
    };
    for &byte in compact {
        if quoted {
            out.push(byte);
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
            continue;
        }
        let closes = matches!(byte, b'}' | b']');
        if opened && !closes {
            line(&mut out, depth);
        }
        match byte {
            b'{' | b'[' => {
                depth += 1;
                out.push(byte);
            }
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if !opened {
                    line(&mut out, depth);
                }
                out.push(byte);
            }
            b',' => {
                out.push(byte);
                line(&mut out, depth);
            }
            b':' => out.extend_from_slice(b": "),
            b'"' => {
                quoted = true;
                out.push(byte);
            }
            _ => out.push(byte),
        }
        opened = matches!(byte, b'{' | b'[');
    }
    out.push(b'\n');
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_as_go_does() {
        assert_eq!(encode(&"a<b>&\"\n\u{2028}é"), "\"a\\u003cb\\u003e\\u0026\\\"\\n\\u2028é\"");
    }

    #[test]
    fn numbers_are_written_as_go_does() {
        for (number, text) in [
            (0.0, "0"),
            (1.0, "1"),
            (1.5, "1.5"),
            (0.00001, "0.00001"),
            (1e-7, "1e-7"),
            (-2.0, "-2"),
            (1e21, "1e+21"),
        ] {
            assert_eq!(encode(&number), text);
            assert_eq!(encode(&serde_json::json!([number])), format!("[{text}]"));
        }
    }

    #[test]
    fn pretty_is_four_spaces_and_a_line_feed() {
        let value = serde_json::json!({ "A": [1, { "B": "x,{\\\"" }], "C": {}, "D": [] });
        let pretty = "{\n    \"A\": [\n        1,\n        {\n            \"B\": \"x,{\\\\\\\"\"\n        }\n    ],\n    \"C\": {},\n    \"D\": []\n}\n";
        assert_eq!(indented(&encode(&value)), pretty);
    }
}
