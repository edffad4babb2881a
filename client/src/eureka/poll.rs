//! One poll of everything, shared by all who ask about some of it: Eureka tells no less than everything.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::words::{Known, Said};
use crate::wire::{Answer, Ask, Wire, WireError, segment};

/// What a poll last found; None: it has not been answered yet.
pub(super) type News = Option<Result<Arc<Known>, Arc<str>>>;

/// It goes on as long as somebody has it.
pub(super) struct Poll {
    news: watch::Receiver<News>,
    work: AbortHandle,
}

impl Poll {
    pub(super) fn start(wire: Wire, namespace: &str, every: Duration) -> Poll {
        let (tell, news) = watch::channel(None);
        let polling = Polling { wire, all: path(namespace), every };
        let work = tokio::spawn(async move {
            let Err(error) = polling.run(&tell).await;
            tell.send_replace(Some(Err(error.to_string().into())));
        });
        Poll { news, work: work.abort_handle() }
    }

    /// It was not answered: whoever asks from now on begins anew.
    pub(super) fn has_failed(&self) -> bool {
        matches!(&*self.news.borrow(), Some(Err(_)))
    }

    pub(super) fn news(&self) -> watch::Receiver<News> {
        self.news.clone()
    }
}

impl Drop for Poll {
    fn drop(&mut self) {
        self.work.abort();
    }
}

struct Polling {
    wire: Wire,
    all: String,
    every: Duration,
}

impl Polling {
    async fn run(&self, tell: &watch::Sender<News>) -> Result<Infallible, WireError> {
        let changes = format!("{}delta", self.all);
        let mut known = Known::whole(self.said(&self.all).await?);
        loop {
            tell.send_replace(Some(Ok(Arc::new(known.clone()))));
            // So that clients which started together do not ask together for ever.
            tokio::time::sleep(self.every.mul_f64(0.8 + 0.4 * fastrand::f64())).await;
            if !known.take(self.said(&changes).await?) {
                // A change was missed, or told while it happened.
                known = Known::whole(self.said(&self.all).await?);
            }
        }
    }

    async fn said(&self, path: &str) -> Result<Said, WireError> {
        let answer: Answer = self.wire.ask(Ask::get(path)).await?;
        answer.json()
    }
}

/// Of everything. A namespace is a word below `/eureka`, where the registry has any.
fn path(namespace: &str) -> String {
    match namespace.eq_ignore_ascii_case(switchboard_model::DEFAULT_NAMESPACE) {
        true => "/eureka/apps/".to_owned(),
        false => format!("/eureka/{}/apps/", segment(namespace)),
    }
}
