use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;
use prometheus_client::registry::Registry;

/// All metrics of this process. Everyone registers under a prefix of their own.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Mutex<Registry>>);

/// The two texts that a scraper may ask for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Format {
    /// What every Prometheus and every `promtool` reads.
    Classic,
    OpenMetrics,
}

impl Format {
    /// By the `Accept` header: the classic text unless OpenMetrics is asked for.
    pub fn accepted(accept: Option<&str>) -> Self {
        let asks = |accept: &str| {
            accept.split(',').any(|one| one.trim().starts_with("application/openmetrics-text"))
        };
        if accept.is_some_and(asks) { Self::OpenMetrics } else { Self::Classic }
    }

    pub fn content_type(self) -> &'static str {
        match self {
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

impl Metrics {
    pub fn register(&self, with: impl FnOnce(&mut Registry)) {
        with(&mut self.0.lock());
    }

    pub fn render(&self, format: Format) -> String {
        let mut text = String::new();
        match prometheus_client::encoding::text::encode(&mut text, &self.0.lock()) {
            Ok(()) => match format {
                Format::OpenMetrics => text,
                Format::Classic => classic(&text),
            },
            Err(fmt::Error) => String::new(),
        }
    }
}

/// OpenMetrics as the older text: there a counter is named with its `_total` in every line, an unknown type is
/// `untyped`, and neither units nor the end are told.
fn classic(openmetrics: &str) -> String {
    let mut text = String::with_capacity(openmetrics.len());
    // A family's help comes before its type, and only the type says how the family is named.
    let mut help = None;
    for line in openmetrics.lines() {
        if let Some(explained) = line.strip_prefix("# HELP ") {
            help = explained.split_once(' ');
        } else if let Some((family, kind)) =
            line.strip_prefix("# TYPE ").and_then(|typed| typed.split_once(' '))
        {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                kind => ("", kind),
            };
            if let Some((_, help)) = help.take() {
                text.extend(["# HELP ", family, suffix, " ", help, "\n"]);
            }
            text.extend(["# TYPE ", family, suffix, " ", kind, "\n"]);
        } else if !line.starts_with('#') {
            text.extend([line, "\n"]);
        }
    }
    text
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::{counter::Counter, gauge::Gauge};

    use super::*;

    fn metrics() -> Metrics {
        let metrics = Metrics::default();
        metrics.register(|registry| {
            registry.register("open", "Open doors", Gauge::<i64>::default());
            registry.register("knocks", "Knocks at doors", Counter::<u64>::default());
        });
        metrics
    }

    #[test]
    fn the_classic_text_names_a_counter_the_same_in_every_line() {
        assert_eq!(
            metrics().render(Format::Classic),
            "# HELP open Open doors.\n# TYPE open gauge\nopen 0\n\
             # HELP knocks_total Knocks at doors.\n# TYPE knocks_total counter\nknocks_total 0\n"
        );
        assert!(metrics().render(Format::OpenMetrics).ends_with("# EOF\n"));
    }

    #[test]
    fn a_scraper_gets_what_it_asks_for() {
        let prometheus =
            "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        assert_eq!(Format::accepted(Some(prometheus)), Format::OpenMetrics);
        assert_eq!(Format::accepted(Some("text/plain;version=0.0.4")), Format::Classic);
        assert_eq!(Format::accepted(Some("*/*")), Format::Classic);
        assert_eq!(Format::accepted(None), Format::Classic);
    }
}
