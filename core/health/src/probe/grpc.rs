use std::net::SocketAddr;

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tonic::Code;
use tonic::transport::{Channel, Endpoint};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use super::tls::{Mode, Trust};
use super::{Outcome, USER_AGENT, tcp};
use crate::aim::Aimed;
use crate::verdict::Answer;

/// The answer is one number.
const MAX_RESPONSE: usize = 4096;

#[derive(Clone, Copy)]
pub(super) struct Spec<'a> {
    /// Empty: the server as a whole.
    pub(super) service: &'a str,
    /// Speak TLS, with this server name (empty: the host's).
    pub(super) tls: Option<&'a str>,
}

/// Asks the standard health service (grpc.health.v1) once, on a connection of its own.
pub(super) async fn probe(
    addresses: &[SocketAddr],
    aimed: &Aimed,
    spec: Spec<'_>,
    trust: &Trust,
    deadline: Instant,
) -> Result<Outcome, String> {
    let stream = tcp::connect(addresses, deadline).await?;
    let channel = match spec.tls {
        None => channel(stream, aimed, "http").await?,
        Some(name) => {
            channel(trust.wrap(stream, name, &aimed.host, Mode::VerifyHttp2).await?, aimed, "https").await?
        }
    };
    let mut client = HealthClient::new(channel).max_decoding_message_size(MAX_RESPONSE);
    let status = match client.check(HealthCheckRequest { service: spec.service.to_owned() }).await {
        Ok(response) => response.into_inner().status(),
        Err(status) => return Err(said(status.code(), spec.service)),
    };
    let slash = if spec.service.is_empty() { "" } else { "/" };
    let asked = format!("{}{slash}{}", aimed.authority(), spec.service);
    match status {
        ServingStatus::Serving => Ok(Outcome::new(Answer::Pass, format!("gRPC check {asked}: success"))),
        ServingStatus::Unknown | ServingStatus::NotServing | ServingStatus::ServiceUnknown => {
            Err(format!("gRPC {asked} serving status: {}", status.as_str_name()))
        }
    }
}

/// The message of a status is the other side's words, so only its code is passed on.
fn said(code: Code, service: &str) -> String {
    match code {
        Code::NotFound => format!("the server does not know the service {service:?}"),
        Code::Unimplemented => "the server does not offer the gRPC health service".to_owned(),
        _ => format!("gRPC status {code:?}"),
    }
}

/// A channel over one stream that is open already: it can neither resolve a name nor connect anywhere else.
async fn channel<S>(stream: S, aimed: &Aimed, scheme: &str) -> Result<Channel, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let not_a_uri = |error: &dyn std::fmt::Display| format!("cannot ask {}: {error}", aimed.authority());
    let endpoint =
        Endpoint::from_shared(format!("http://{}", aimed.authority())).map_err(|e| not_a_uri(&e))?;
    let origin = format!("{scheme}://{}", aimed.authority())
        .parse()
        .map_err(|e: http::uri::InvalidUri| not_a_uri(&e))?;
    let endpoint = endpoint.origin(origin).user_agent(USER_AGENT).map_err(|e| not_a_uri(&e))?;
    let mut stream = Some(TokioIo::new(stream));
    let once = tower::service_fn(move |_| {
        let stream = stream.take().ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotConnected));
        std::future::ready(stream)
    });
    endpoint.connect_with_connector(once).await.map_err(|_| "the server does not speak HTTP/2".to_owned())
}
