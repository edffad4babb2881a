use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, Filter};
use tracing_subscriber::registry::LookupSpan;

/// One line of this process's log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// Wall-clock time in milliseconds since 1970.
    pub at_ms: u64,
    pub level: Level,
    pub target: &'static str,
    pub message: String,
    pub fields: BTreeMap<&'static str, String>,
}

/// The log of this process for whoever listens to it from now on. Costs nothing while nobody does.
#[derive(Clone, Debug, Default)]
pub struct LogTap(Arc<Listeners>);

#[derive(Default)]
struct Listeners {
    all: Mutex<Vec<Listener>>,
    /// The most that anyone wants to hear, as [`rank`] has it.
    loudest: AtomicU64,
}

struct Listener {
    level: LevelFilter,
    /// Each with the number of those that did not fit before it.
    lines: mpsc::Sender<(LogLine, u64)>,
    missed: u64,
}

/// Lines as they are logged, until it is dropped.
#[derive(Debug)]
pub struct LogLines {
    lines: mpsc::Receiver<(LogLine, u64)>,
    tap: LogTap,
}

static TAP: std::sync::OnceLock<LogTap> = std::sync::OnceLock::new();

impl LogTap {
    /// The one of this process: there is one log.
    pub fn of_process() -> LogTap {
        TAP.get_or_init(LogTap::default).clone()
    }

    /// The layer that hears what is logged. Whoever starts logging adds it.
    pub fn layer<S: Subscriber + for<'a> LookupSpan<'a>>(&self) -> impl Layer<S> + use<S> {
        Ear(self.clone()).with_filter(Loudness(self.clone()))
    }

    /// Hears what is logged at this level and above. A listener that is `room` lines behind misses what comes then.
    pub fn listen(&self, level: Level, room: usize) -> LogLines {
        let (sender, lines) = mpsc::channel(room.max(1));
        let listener = Listener { level: LevelFilter::from_level(level), lines: sender, missed: 0 };
        self.0.all.lock().push(listener);
        self.settle();
        LogLines { lines, tap: self.clone() }
    }

    /// Forgets who is gone, and tells every place that logs what is wanted now.
    fn settle(&self) {
        let mut all = self.0.all.lock();
        all.retain(|listener| !listener.lines.is_closed());
        let loudest = all.iter().map(|listener| listener.level).max().unwrap_or(LevelFilter::OFF);
        drop(all);
        if self.0.loudest.swap(rank(loudest), Ordering::AcqRel) != rank(loudest) {
            tracing::callsite::rebuild_interest_cache();
        }
    }

    fn wants(&self, metadata: &Metadata<'_>) -> bool {
        rank(LevelFilter::from_level(*metadata.level())) <= self.0.loudest.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Listeners({})", self.all.lock().len())
    }
}

impl LogLines {
    /// The next line, and how many were missed before it.
    pub async fn next(&mut self) -> Option<(LogLine, u64)> {
        self.lines.recv().await
    }
}

impl Drop for LogLines {
    fn drop(&mut self) {
        self.lines.close();
        self.tap.settle();
    }
}

fn rank(level: LevelFilter) -> u64 {
    match level {
        LevelFilter::OFF => 0,
        LevelFilter::ERROR => 1,
        LevelFilter::WARN => 2,
        LevelFilter::INFO => 3,
        LevelFilter::DEBUG => 4,
        _ => 5,
    }
}

struct Ear(LogTap);

impl<S: Subscriber> Layer<S> for Ear {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let level = LevelFilter::from_level(*metadata.level());
        let mut all = self.0.0.all.lock();
        if all.iter().all(|listener| level > listener.level) {
            return;
        }
        let mut said = Said::default();
        event.record(&mut said);
        let line = LogLine {
            at_ms: now_ms(),
            level: *metadata.level(),
            target: metadata.target(),
            message: said.message,
            fields: said.fields,
        };
        for listener in all.iter_mut().filter(|listener| level <= listener.level) {
            match listener.lines.try_send((line.clone(), listener.missed)) {
                Ok(()) => listener.missed = 0,
                Err(_) => listener.missed += 1,
            }
        }
    }
}

fn now_ms() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

struct Loudness(LogTap);

impl<S> Filter<S> for Loudness {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        self.0.wants(metadata)
    }

    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.0.wants(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        let levels = [
            LevelFilter::OFF,
            LevelFilter::ERROR,
            LevelFilter::WARN,
            LevelFilter::INFO,
            LevelFilter::DEBUG,
            LevelFilter::TRACE,
        ];
        let loudest = usize::try_from(self.0.0.loudest.load(Ordering::Acquire)).unwrap_or(usize::MAX);
        levels.get(loudest).copied()
    }
}

#[derive(Default)]
struct Said {
    message: String,
    fields: BTreeMap<&'static str, String>,
}

impl Visit for Said {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => value.clone_into(&mut self.message),
            name => {
                self.fields.insert(name, value.to_owned());
            }
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.record_str(field, &format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use tracing_subscriber::prelude::*;

    use super::*;

    #[tokio::test]
    async fn a_listener_hears_its_level_from_when_it_listens_until_it_is_dropped() {
        let tap = LogTap::default();
        let subscriber = tracing_subscriber::registry().with(tap.layer());
        let _here = tracing::subscriber::set_default(subscriber);
        let say = |n: u64| {
            tracing::info!(n, "loud");
            tracing::debug!(n, "quiet");
        };
        say(0);
        let mut loud = tap.listen(Level::INFO, 8);
        let mut all = tap.listen(Level::DEBUG, 3);
        say(1);
        say(2);
        let (line, missed) = loud.next().await.unwrap();
        assert_eq!((line.message.as_str(), line.level, missed), ("loud", Level::INFO, 0));
        assert_eq!(line.fields.get("n").map(String::as_str), Some("1"));
        assert_eq!(loud.next().await.unwrap().0.fields.get("n").map(String::as_str), Some("2"));
        let mut heard = Vec::new();
        for _ in 0..3 {
            heard.push(all.next().await.unwrap().0.message);
        }
        assert_eq!(heard, ["loud", "quiet", "loud"]);
        say(3);
        assert_eq!(all.next().await.unwrap().1, 1, "one did not fit");
        drop((loud, all));
        assert_eq!(tap.0.loudest.load(Ordering::Acquire), 0);
        assert!(tap.0.all.lock().is_empty());
    }
}
