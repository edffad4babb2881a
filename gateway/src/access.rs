use std::sync::Arc;
use std::time::Instant;

use http::{Method, Request, StatusCode, Uri};
use switchboard_facade::Peer;

use crate::config::AccessLog;
use crate::refusal::Refusal;

/// What is remembered of a request for the access log.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) started: Instant,
    pub(crate) route: Option<Arc<str>>,
    pub(crate) service: Option<Arc<str>>,
    pub(crate) instance: Option<Arc<switchboard_model::InstanceKey>>,
    pub(crate) attempts: usize,
    method: Method,
    uri: Uri,
    peer: Option<Peer>,
}

impl Record {
    pub(crate) fn new<B>(request: &Request<B>, peer: Option<Peer>) -> Record {
        Record {
            started: Instant::now(),
            route: None,
            service: None,
            instance: None,
            attempts: 0,
            method: request.method().clone(),
            uri: request.uri().clone(),
            peer,
        }
    }

    /// Everything, for whoever sees the request to its end.
    pub(crate) fn take(&mut self) -> Record {
        Record {
            started: self.started,
            route: self.route.take(),
            service: self.service.take(),
            instance: self.instance.take(),
            attempts: self.attempts,
            method: std::mem::take(&mut self.method),
            uri: std::mem::take(&mut self.uri),
            peer: self.peer,
        }
    }

    pub(crate) fn refused(&self, refusal: &Refusal, log: AccessLog) {
        self.log(refusal.status(), 0, Some(&refusal.to_string()), log);
    }

    /// `why`: what went wrong, if anything did.
    pub(crate) fn log(&self, status: StatusCode, bytes: u64, why: Option<&str>, log: AccessLog) {
        let wanted = match log {
            AccessLog::Off => false,
            AccessLog::Errors => status.is_server_error() || (status.is_success() && why.is_some()),
            AccessLog::All => true,
        };
        if !wanted {
            return;
        }
        let show = |text: &Option<Arc<str>>| text.clone().unwrap_or_else(|| "-".into());
        // Debug: whatever a client put into its path stays on its line.
        tracing::info!(
            target: "switchboard_gateway::access",
            peer = %self.peer.map(|Peer(peer)| peer.to_string()).unwrap_or_default(),
            method = %self.method,
            path = ?self.uri.path(),
            route = %show(&self.route),
            service = %show(&self.service),
            instance = %self.instance.as_ref().map(ToString::to_string).unwrap_or_default(),
            status = status.as_u16(),
            attempts = self.attempts,
            bytes,
            seconds = self.started.elapsed().as_secs_f64(),
            why = why.unwrap_or_default(),
            "request"
        );
    }
}
