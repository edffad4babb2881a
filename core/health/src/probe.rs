//! Probes: one question to one address, within a time limit, with a short answer.

mod grpc;
pub(crate) mod http;
mod resolve;
mod tcp;
mod tls;
mod udp;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use switchboard_model::{Check, Probe};
use tokio::time::{Instant, timeout_at};

use crate::aim::Aimed;
use crate::policy::{Host, Policy};
use crate::verdict::Answer;

pub(crate) use resolve::{Resolver, system_resolver};
pub(crate) use tls::Trust;

/// Characters of output; more are cut. Where bodies are passed on, they may have as many as an output may have.
const MAX_OUTPUT: usize = 512;

/// Addresses of a name that are tried, at most.
const MAX_ADDRESSES: usize = 4;

/// Sent to whoever is probed, so that a probe can be told from a visitor.
const USER_AGENT: &str = "switchboard-health";

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) answer: Answer,
    /// For people. Holds nothing that the other side sent unless somebody set `show_bodies`: the registry must not be
    /// a window into other networks.
    pub(crate) output: String,
}

impl Outcome {
    pub(crate) fn new(answer: Answer, output: impl Into<String>) -> Outcome {
        Outcome { answer, output: output.into() }
    }
}

pub(crate) struct Prober {
    policy: Arc<Policy>,
    trust: Trust,
    resolver: Resolver,
    /// Pass on what is said in answer to HTTP checks.
    shows_bodies: bool,
}

impl Prober {
    pub(crate) fn new(policy: Arc<Policy>, trust: Trust, resolver: Resolver, shows_bodies: bool) -> Prober {
        Prober { policy, trust, resolver, shows_bodies }
    }

    /// Ends within the check's timeout.
    pub(crate) async fn run(&self, aimed: &Aimed, check: &Check) -> Outcome {
        let deadline = Instant::now() + check.timeout;
        let mut outcome = match self.vetted(aimed, deadline, check.timeout).await {
            Ok(addresses) => self
                .ask(&addresses, aimed, check, deadline)
                .await
                .unwrap_or_else(|why| Outcome::new(Answer::Fail, failed(aimed, check, &why))),
            Err(outcome) => outcome,
        };
        let longest = if self.shows_bodies { Check::MAX_OUTPUT } else { MAX_OUTPUT };
        if let Some((end, _)) = outcome.output.char_indices().nth(longest) {
            outcome.output.truncate(end);
        }
        outcome
    }

    /// The addresses to connect to. The name is resolved once, and what was looked at is what is connected to: a name
    /// that changes its mind in between gains nothing.
    async fn vetted(
        &self,
        aimed: &Aimed,
        deadline: Instant,
        timeout: Duration,
    ) -> Result<Vec<SocketAddr>, Outcome> {
        let fail = |why: String| Outcome::new(Answer::Fail, why);
        let found = match &aimed.host {
            Host::Ip(ip) => vec![*ip],
            Host::Name(name) => match timeout_at(deadline, (self.resolver)(name.clone())).await {
                Ok(Ok(found)) => found,
                Ok(Err(error)) => return Err(fail(format!("cannot resolve {name}: {}", error.kind()))),
                Err(_) => return Err(fail(format!("cannot resolve {name} within {timeout:?}"))),
            },
        };
        let mut vetted: Vec<SocketAddr> = Vec::new();
        let mut refusal = None;
        for ip in found {
            match self.policy.vet(aimed.aim, &aimed.host, ip) {
                Ok(ip) if !vetted.iter().any(|have| have.ip() == ip) => vetted.push((ip, aimed.port).into()),
                Ok(_) => {}
                Err(why) => refusal = refusal.or(Some(why)),
            }
        }
        vetted.truncate(MAX_ADDRESSES);
        match refusal {
            _ if !vetted.is_empty() => Ok(vetted),
            Some(why) => Err(Outcome::new(Answer::Refused, why)),
            None => Err(fail(format!("{} has no address", aimed.host))),
        }
    }

    /// Err: it failed, and why.
    async fn ask(
        &self,
        addresses: &[SocketAddr],
        aimed: &Aimed,
        check: &Check,
        deadline: Instant,
    ) -> Result<Outcome, String> {
        let answer: BoxFuture<'_, Result<Outcome, String>> = match &check.probe {
            // Silence is an answer here, so the deadline is its own business.
            Probe::Udp { .. } => return udp::probe(addresses, aimed, deadline).await,
            Probe::Tcp { .. } => tcp::probe(addresses, aimed, deadline).boxed(),
            Probe::Http(spec) => {
                let timing = http::Timing { deadline, shows_body: self.shows_bodies };
                http::probe(addresses, aimed, spec, &self.trust, timing).boxed()
            }
            Probe::Grpc { service, tls, .. } => {
                let spec = grpc::Spec { service, tls: tls.as_deref() };
                grpc::probe(addresses, aimed, spec, &self.trust, deadline).boxed()
            }
            Probe::Ttl { .. } | Probe::Manual => return Err("it is not an active check".to_owned()),
        };
        timeout_at(deadline, answer)
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {:?}", check.timeout)))
    }
}

/// What failed, and why. One line for people, which stays the same as long as the reason does.
fn failed(aimed: &Aimed, check: &Check, why: &str) -> String {
    match &check.probe {
        Probe::Http(spec) => {
            let mut method = spec.method.to_ascii_lowercase();
            if let Some(first) = method.get_mut(..1) {
                first.make_ascii_uppercase();
            }
            format!("{method} \"{}\": {why}", http::url(aimed, spec))
        }
        Probe::Tcp { .. } | Probe::Udp { .. } | Probe::Grpc { .. } | Probe::Ttl { .. } | Probe::Manual => {
            why.to_owned()
        }
    }
}

#[cfg(test)]
mod tests;
