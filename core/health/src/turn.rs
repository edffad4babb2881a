use std::sync::Arc;

use parking_lot::Mutex;
use switchboard_model::{Check, CheckKey, Rejection, Stored};
use switchboard_registry::{Caller, Registry};
use tokio::time::Instant;

use crate::aim::Aimed;
use crate::meters::Meters;
use crate::probe::{Outcome, Prober};
use crate::verdict::{Answer, Verdict};

/// As whom the health checker speaks to the registry.
pub(crate) const CALLER: Caller = Caller { through: "health", peer: None };

/// What it takes to make a probe and to write its verdict down.
pub(crate) struct Desk {
    pub(crate) registry: Registry,
    pub(crate) prober: Prober,
    pub(crate) meters: Meters,
}

/// What is to be asked. Err: it cannot be, and why.
struct Question {
    check: Arc<Stored<Check>>,
    aimed: Result<Aimed, String>,
}

impl Desk {
    /// One turn of a check: probes, judges, and tells the registry.
    pub(crate) async fn take(self: Arc<Self>, key: CheckKey, verdict: Arc<Mutex<Verdict>>) {
        let Some(Question { check, aimed }) = self.question(&key) else { return };
        let running = self.meters.begin();
        let started = Instant::now();
        let outcome = match aimed {
            Ok(aimed) => self.prober.run(&aimed, &check).await,
            Err(why) => Outcome::new(Answer::Fail, why),
        };
        self.meters.ended(check.probe.kind(), outcome.answer, started.elapsed());
        drop(running);
        self.tell(&check, &outcome, &verdict).await;
    }

    /// The view is let go of before the probe: it would keep old records alive for as long.
    fn question(&self, key: &CheckKey) -> Option<Question> {
        let view = self.registry.view(&CALLER).ok()?;
        let check = view.check(key)?.clone();
        let aimed = Aimed::at(&view, &check);
        Some(Question { check, aimed })
    }

    async fn tell(&self, check: &Check, outcome: &Outcome, verdict: &Mutex<Verdict>) {
        let Some(committed) =
            self.registry.view(&CALLER).ok().and_then(|view| Some(view.check(&check.key)?.status))
        else {
            return;
        };
        let (status, pending) = {
            let mut verdict = verdict.lock();
            verdict.adopt(committed);
            (verdict.observe(outcome.answer, check.thresholds), verdict.pending(check.thresholds))
        };
        let output = match pending {
            Some(pending) => format!("{} ({pending})", outcome.output),
            None => outcome.output.clone(),
        };
        match self.registry.evidence(&CALLER, &check.key, status, &output).await {
            // It was deleted while it was probed.
            Ok(_) | Err(Rejection::NotFound { .. }) => {}
            // The next turn says it again.
            Err(rejection) => tracing::debug!(check = %check.key, %rejection, "a verdict was not kept"),
        }
    }
}
