//! gRPC over HTTP/2, no more of it than a client needs that sends prepared messages.

use std::convert::Infallible;
use std::net::SocketAddr;

use anyhow::{Context, Result, bail, ensure};
use bytes::{Buf, Bytes, BytesMut};
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http2;
use hyper::{HeaderMap, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// One connection, which many may use at the same time.
#[derive(Clone)]
pub(super) struct Channel {
    sender: http2::SendRequest<Body>,
    target: SocketAddr,
}

impl Channel {
    pub(super) async fn open(target: SocketAddr) -> Result<Channel> {
        let stream = TcpStream::connect(target).await.context("connect")?;
        stream.set_nodelay(true)?;
        let (sender, connection) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.context("shake hands")?;
        tokio::spawn(connection);
        Ok(Channel { sender, target })
    }

    async fn send(&mut self, method: &str, body: Body) -> Result<Response<Incoming>> {
        let request = Request::post(format!("http://{}{method}", self.target))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .body(body)?;
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        ensure!(response.status() == 200, "{method} answered {}", response.status());
        said(response.headers())?;
        Ok(response)
    }

    /// The one message of the answer.
    pub(super) async fn call(&mut self, method: &str, request: Bytes) -> Result<Bytes> {
        let response = self.send(method, Full::new(request).boxed_unsync()).await?;
        let answer = response.into_body().collect().await?;
        said(answer.trailers().context("an answer without trailers")?)?;
        let mut message = answer.to_bytes();
        ensure!(message.len() >= 5, "an answer without a message");
        message.advance(5);
        Ok(message)
    }

    /// A stream both ways, opened with its first message: some servers answer nothing before it.
    pub(super) async fn stream(&mut self, method: &str, first: Bytes) -> Result<Stream> {
        let (send, receive) = mpsc::channel(16);
        send.send(first).await?;
        let frames = stream::unfold(receive, |mut receive: mpsc::Receiver<Bytes>| async {
            let message = receive.recv().await?;
            Some((Ok(Frame::data(message)), receive))
        });
        let body = StreamBody::new(frames).boxed_unsync();
        let answers = self.send(method, body).await?.into_body();
        Ok(Stream { send, answers, read: BytesMut::new() })
    }
}

/// Anything else than OK is a failure.
fn said(headers: &HeaderMap) -> Result<()> {
    let Some(status) = headers.get("grpc-status") else { return Ok(()) };
    if status != "0" {
        let message = headers.get("grpc-message").map(|text| String::from_utf8_lossy(text.as_bytes()));
        bail!("status {}: {}", status.to_str().unwrap_or("?"), message.unwrap_or_default());
    }
    Ok(())
}

pub(super) struct Stream {
    send: mpsc::Sender<Bytes>,
    answers: Incoming,
    read: BytesMut,
}

impl Stream {
    pub(super) async fn send(&self, message: Bytes) -> Result<()> {
        Ok(self.send.send(message).await?)
    }

    pub(super) async fn next(&mut self) -> Result<Bytes> {
        loop {
            if let Some(head) = self.read.first_chunk::<5>() {
                let [_, length @ ..] = *head;
                let length = u32::from_be_bytes(length) as usize;
                if self.read.len() >= 5 + length {
                    self.read.advance(5);
                    return Ok(self.read.split_to(length).freeze());
                }
            }
            let frame = self.answers.frame().await.context("the stream ended")??;
            match frame.into_data() {
                Ok(data) => self.read.extend_from_slice(&data),
                Err(frame) => {
                    said(frame.trailers_ref().context("a frame of no kind")?)?;
                    bail!("the stream ended");
                }
            }
        }
    }
}
