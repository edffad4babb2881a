//! gRPC by service name, unary and streaming: a server of gRPC's own health service that registers itself, and a client
//! that finds it. Needs a registry: `cargo run -p switchboard-server`.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use switchboard::{GrpcChannel, Native, Registrar, Registration};
use tokio::net::TcpListener;
use tonic_health::ServingStatus;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let url = std::env::var("SWITCHBOARD_SERVER").unwrap_or_else(|_| "http://127.0.0.1:7700".to_owned());
    let registry = Native::at(&url)?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    let (reporter, health) = tonic_health::server::health_reporter();
    let routes = tonic::service::Routes::new(health).prepare();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = TowerToHyperService::new(routes.clone());
            tokio::spawn(async move {
                let http = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                // A connection that breaks is the client's business.
                let _ = http.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    let registrar = Registrar::start(registry.clone(), Registration::new("health", "127.0.0.1", port)?);
    registrar.registered().await;

    let target = format!("{}/health", url.replace("http://", "switchboard://"));
    let mut client = HealthClient::new(GrpcChannel::to(&target)?);
    let ask = HealthCheckRequest { service: String::new() };
    println!("unary: {:?}", client.check(ask.clone()).await?.into_inner());
    let mut stream = client.watch(ask).await?.into_inner();
    println!("streaming: {:?}", stream.message().await?);
    reporter.set_service_status("", ServingStatus::NotServing).await;
    println!("streaming: {:?}", stream.message().await?);
    registrar.leave(Duration::ZERO).await;
    Ok(())
}
