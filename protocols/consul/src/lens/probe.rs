use std::net::IpAddr;

use switchboard_model::{HttpProbe, Probe, Target};

use super::check::Place;
use super::default_only;
use crate::refusal::Refusal;
use crate::wire::CheckBody;

/// What an agent of Consul sends along with its HTTP checks, unless they say otherwise. Services know it by that.
const USUAL: [(&str, &str); 2] =
    [("User-Agent", "Consul Health Check"), ("Accept", "text/plain, text/*, */*")];

/// None: the provider reports.
pub(super) fn probe(place: &Place<'_>, body: &CheckBody) -> Result<Option<Probe>, Refusal> {
    if !body.script_args.is_empty() || !body.docker_container_id.is_empty() || !body.shell.is_empty() {
        return Err(Refusal::failed(
            "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true",
        ));
    }
    default_only("Namespace", &body.namespace)?;
    default_only("Partition", &body.partition)?;
    let unsupported =
        |what: &str| Err(Refusal::bad(format!("Invalid check: {what} checks are not supported")));
    if !body.h2ping.is_empty() {
        return unsupported("H2PING");
    }
    if !body.os_service.is_empty() {
        return unsupported("OSService");
    }
    if body.tcp_use_tls {
        return unsupported("TCPUseTLS");
    }
    if !body.proxy_http.is_empty() || !body.proxy_grpc.is_empty() {
        return unsupported("ProxyHTTP and ProxyGRPC");
    }
    let target = |text: &str| target(place, text);
    let tls_name: Box<str> = body.tls_server_name.as_str().into();
    let given = [&body.http, &body.tcp, &body.udp, &body.grpc].iter().filter(|text| !text.is_empty()).count();
    if given > 1 {
        return Err(Refusal::bad("Invalid check: only one of HTTP, TCP, UDP and GRPC may be specified"));
    }
    Ok(Some(match () {
        () if !body.http.is_empty() => http_probe(place, body, tls_name)?,
        () if !body.tcp.is_empty() => Probe::Tcp { target: target(&body.tcp)? },
        () if !body.udp.is_empty() => Probe::Udp { target: target(&body.udp)? },
        () if !body.grpc.is_empty() => {
            if body.tls_skip_verify {
                return unsupported("GRPC with TLSSkipVerify");
            }
            let (address, service) = body.grpc.split_once('/').unwrap_or((&body.grpc, ""));
            let tls = body.grpc_use_tls.then_some(tls_name);
            Probe::Grpc { target: target(address)?, service: service.into(), tls }
        }
        () => return Ok(None),
    }))
}

fn http_probe(place: &Place<'_>, body: &CheckBody, tls_name: Box<str>) -> Result<Probe, Refusal> {
    let broken = || Refusal::bad(format!("Invalid check: HTTP {:?} is not an http or https URL", body.http));
    let url: http::Uri = body.http.parse().map_err(|_| broken())?;
    let secure = match url.scheme_str() {
        Some("http") => false,
        Some("https") => true,
        _ => return Err(broken()),
    };
    let host = url.host().ok_or_else(broken)?;
    let port = url.port_u16().unwrap_or(if secure { 443 } else { 80 });
    let given = body.header.iter().flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
    let usual =
        USUAL.iter().filter(|(name, _)| body.header.keys().all(|own| !own.eq_ignore_ascii_case(name)));
    let usual = usual.map(|(name, value)| ((*name).into(), (*value).into()));
    let headers = usual.chain(given.map(|(name, value)| (name.as_str().into(), value.as_str().into())));
    Ok(Probe::Http(Box::new(HttpProbe {
        target: located(place, host, port),
        method: if body.method.is_empty() { "GET".into() } else { body.method.as_str().into() },
        path: url.path_and_query().map_or("/", |path| path.as_str()).into(),
        headers: headers.collect(),
        body: body.body.as_str().into(),
        expect: Box::default(),
        tls: secure.then_some(tls_name),
        tls_skip_verify: secure && body.tls_skip_verify,
    })))
}

fn target(place: &Place<'_>, text: &str) -> Result<Target, Refusal> {
    let broken = || Refusal::bad(format!("Invalid check: {text:?} is not HOST:PORT"));
    let (host, port) = text.rsplit_once(':').ok_or_else(broken)?;
    let port: u16 = port.parse().ok().filter(|port| *port != 0).ok_or_else(broken)?;
    Ok(located(place, host, port))
}

/// Loopback on a client's machine is where its instance is.
fn located(place: &Place<'_>, host: &str, port: u16) -> Target {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback =
        host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    let implied = host.is_empty() || (is_loopback && place.is_elsewhere);
    Target { host: (!implied).then(|| host.into()), port: Some(port) }
}
