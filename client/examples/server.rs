//! A server that registers itself, and leaves when it is told to stop.
//!
//! ```sh
//! cargo run -p switchboard-server &
//! cargo run -p switchboard --example server -- 8081 &
//! cargo run -p switchboard --example server -- 8082 &
//! cargo run -p switchboard --example client
//! ```
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use std::convert::Infallible;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use switchboard::{Native, Registrar, Registration};
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let port: u16 = std::env::args().nth(1).unwrap_or_else(|| "8081".to_owned()).parse()?;
    let registry = std::env::var("SWITCHBOARD_SERVER").unwrap_or_else(|_| "http://127.0.0.1:7700".to_owned());
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    let port = listener.local_addr()?.port();

    let me = Registration::new("greeter", "127.0.0.1", port)?.metadata("version", "1.0")?;
    let registrar = Registrar::start(Native::at(&registry)?, me);
    registrar.registered().await;
    println!("greeter at {port} is registered");

    let serve = async {
        while let Ok((stream, _)) = listener.accept().await {
            let greet = service_fn(move |request: Request<Incoming>| async move {
                let text = format!("hello from {port}, you asked for {}\n", request.uri().path());
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(text))))
            });
            tokio::spawn(async move {
                // A connection that breaks is the client's business.
                let _ =
                    Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), greet).await;
            });
        }
    };
    tokio::select! {
        () = serve => {}
        () = registrar.leave_on_signal(Duration::from_secs(1)) => println!("greeter at {port} has left"),
    }
    Ok(())
}
