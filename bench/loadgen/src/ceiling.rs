//! The bare server: the same hyper, the same socket options, no registry. What it reaches is what any server on
//! this stack could reach at most.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use bytes::Bytes;
use clap::Args;
use futures_util::stream;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Either, Full, StreamBody};
use hyper::body::{Body, Frame, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpSocket;
use tokio::sync::broadcast;

const BACKLOG: u32 = 4096;

#[derive(Args)]
pub(crate) struct CeilingOptions {
    #[arg(long, value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The body of every reply.
    #[arg(long, value_name = "FILE")]
    bytes_file: PathBuf,
    #[arg(long, default_value = "application/json")]
    content_type: String,
    /// Keep every GET of /v1/watch open and send it an event of this size at every POST.
    #[arg(long, value_name = "COUNT")]
    event_bytes: Option<usize>,
}

pub(crate) fn serve(options: &CeilingOptions) -> Result<()> {
    // Whoever started it may be killed; a bare server left behind would hold the cores.
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    let bare = Arc::new(Bare {
        body: std::fs::read(&options.bytes_file).context("read the bytes")?.into(),
        content_type: HeaderValue::from_str(&options.content_type)?,
        fan_out: options.event_bytes.map(FanOut::new),
    });
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(accept(options.listen, bare))
}

async fn accept(address: SocketAddr, bare: Arc<Bare>) -> Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    let listener = socket.listen(BACKLOG)?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let bare = Arc::clone(&bare);
        tokio::spawn(async move {
            let answer = hyper::service::service_fn(|request| bare.answer(request));
            // A client that goes away in the middle is the end of every measurement, not an error.
            let _ = hyper::server::conn::http1::Builder::new()
                .pipeline_flush(true)
                .serve_connection(TokioIo::new(stream), answer)
                .await;
        });
    }
}

type Answer = Either<Full<Bytes>, BoxBody<Bytes, Infallible>>;

struct Bare {
    body: Bytes,
    content_type: HeaderValue,
    fan_out: Option<FanOut>,
}

impl Bare {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Answer>, hyper::Error> {
        let is_post = request.method() == Method::POST;
        if let Some(fan_out) = &self.fan_out {
            if is_post {
                request.into_body().collect().await?;
                return Ok(reply(Either::Left(fan_out.tell()), HeaderValue::from_static("application/json")));
            }
            if request.uri().path() == "/v1/watch" {
                return Ok(reply(
                    Either::Right(fan_out.join()),
                    HeaderValue::from_static("text/event-stream"),
                ));
            }
        } else if !request.body().is_end_stream() {
            request.into_body().collect().await?;
        }
        Ok(reply(Either::Left(Full::new(self.body.clone())), self.content_type.clone()))
    }
}

fn reply(body: Answer, content_type: HeaderValue) -> Response<Answer> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// One event, built once, to everybody who listens.
struct FanOut {
    revision: AtomicU64,
    event_bytes: usize,
    sender: broadcast::Sender<Bytes>,
}

impl FanOut {
    fn new(event_bytes: usize) -> Self {
        Self { revision: AtomicU64::new(0), event_bytes, sender: broadcast::Sender::new(16) }
    }

    fn tell(&self) -> Full<Bytes> {
        let revision = self.revision.fetch_add(1, Ordering::Relaxed) + 1;
        let head = format!("id: {revision}\nevent: change\ndata: ");
        let padding = "x".repeat(self.event_bytes.saturating_sub(head.len() + 2));
        // Nobody listening is no error here.
        let _ = self.sender.send(Bytes::from(format!("{head}{padding}\n\n")));
        Full::new(Bytes::from(format!(r#"{{"revision":{revision}}}"#)))
    }

    fn join(&self) -> BoxBody<Bytes, Infallible> {
        let events = stream::unfold(self.sender.subscribe(), async |mut receiver| {
            let event = receiver.recv().await.ok()?;
            Some((Ok(Frame::data(event)), receiver))
        });
        BodyExt::boxed(StreamBody::new(events))
    }
}
