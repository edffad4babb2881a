//! Metrics in the shape of Consul's summary.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// From the text that Prometheus reads.
pub(super) fn summary(text: &str, now_ms: u64) -> Value {
    let mut kinds: BTreeMap<&str, &str> = BTreeMap::new();
    let (mut gauges, mut counters) = (Vec::new(), Vec::new());
    let mut sums: BTreeMap<(&str, &str), (f64, f64)> = BTreeMap::new();
    for line in text.lines() {
        if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|typed| typed.split_once(' ')) {
            kinds.insert(name, kind);
            continue;
        }
        let Some(Sample { name, labels, value }) = Sample::read(line) else { continue };
        match kinds.get(name) {
            Some(&"gauge" | &"untyped") => {
                gauges.push(json!({ "Name": name, "Value": value, "Labels": told(labels) }));
            }
            Some(&"counter") => counters.push(json!({
                "Name": name, "Count": whole(value), "Rate": 0, "Sum": value, "Min": 0, "Max": 0, "Mean": 0,
                "Stddev": 0, "Labels": told(labels),
            })),
            _ => {
                if let Some(name) = name.strip_suffix("_sum") {
                    sums.entry((name, labels)).or_default().0 = value;
                } else if let Some(name) = name.strip_suffix("_count") {
                    sums.entry((name, labels)).or_default().1 = value;
                }
            }
        }
    }
    if let Some(bytes) = resident_bytes() {
        gauges.push(json!({ "Name": "consul.runtime.alloc_bytes", "Value": bytes, "Labels": {} }));
    }
    let samples: Vec<Value> = sums
        .into_iter()
        .map(|((name, labels), (sum, count))| {
            let mean = if count > 0.0 { sum / count } else { 0.0 };
            json!({
                "Name": name, "Count": whole(count), "Rate": 0, "Sum": sum, "Min": 0, "Max": 0, "Mean": mean,
                "Stddev": 0, "Labels": told(labels),
            })
        })
        .collect();
    json!({
        "Timestamp": said(now_ms),
        "Gauges": gauges,
        "Points": [],
        "Counters": counters,
        "Samples": samples,
    })
}

/// Clients take a count for a whole number only.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts are whole and not negative"
)]
fn whole(count: f64) -> u64 {
    count as u64
}

fn said(now_ms: u64) -> String {
    let text = super::process::timestamp(now_ms);
    let whole = text.split('.').next().unwrap_or_default();
    format!("{} +0000 UTC", whole.replace('T', " "))
}

/// One line: `name{label="value"} 1`.
struct Sample<'a> {
    name: &'a str,
    labels: &'a str,
    value: f64,
}

impl Sample<'_> {
    fn read(line: &str) -> Option<Sample<'_>> {
        let (what, value) = line.rsplit_once(' ')?;
        let value: f64 = value.parse().ok().filter(|value: &f64| value.is_finite())?;
        let (name, labels) = match what.split_once('{') {
            Some((name, labels)) => (name, labels.strip_suffix('}')?),
            None => (what, ""),
        };
        Some(Sample { name, labels, value })
    }
}

/// Values of labels here hold no quotes.
fn told(labels: &str) -> Value {
    let pairs = labels.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.to_owned(), Value::from(value.trim_matches('"')))).collect()
}

/// Memory that this process has in use.
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    pages.checked_mul(rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told_in_its_place() {
        let text = "# HELP a x\n# TYPE a gauge\na{p=\"q\"} 3\n# TYPE b_total counter\nb_total 4\n\
                    # TYPE c histogram\nc_sum 6\nc_count 2\nc_bucket{le=\"+Inf\"} 2\nbroken\n";
        let summary = summary(text, 0);
        assert_eq!(summary["Gauges"][0], json!({ "Name": "a", "Value": 3.0, "Labels": { "p": "q" } }));
        assert_eq!(summary["Counters"][0]["Count"], json!(4));
        assert_eq!(
            (&summary["Samples"][0]["Mean"], &summary["Samples"][0]["Count"]),
            (&json!(3.0), &json!(2))
        );
        assert_eq!(summary["Timestamp"], "1970-01-01 00:00:00 +0000 UTC");
    }
}
