//! Rows of numbers, and how they are printed.

use std::path::Path;

use anyhow::{Context, Result};
use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::machine::Machine;

#[derive(Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) unit: Unit,
    pub(crate) value: Option<f64>,
    pub(crate) ceilings: Vec<Ceiling>,
    /// Which part of the tightest ceiling is reached: 1.0 is all of it, also where less is better.
    pub(crate) share: Option<f64>,
    pub(crate) latency: Option<Latency>,
    /// Processor time of the server, user and system, per operation.
    pub(crate) server_cpu_us: Option<f64>,
    pub(crate) aim: Option<Aim>,
    /// Why there is no number to trust.
    pub(crate) failure: Option<String>,
    pub(crate) notes: Vec<String>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    PerSecond,
    Milliseconds,
    Seconds,
    Megabytes,
}

#[derive(Serialize)]
pub(crate) struct Ceiling {
    pub(crate) what: &'static str,
    pub(crate) value: f64,
    pub(crate) cpu_us: Option<f64>,
}

#[derive(Clone, Copy, Serialize)]
pub(crate) struct Latency {
    pub(crate) p50_ms: f64,
    pub(crate) p99_ms: f64,
    pub(crate) max_ms: f64,
}

#[derive(Serialize)]
pub(crate) struct Aim {
    pub(crate) text: String,
    pub(crate) met: bool,
}

impl Row {
    pub(crate) fn new(name: impl Into<String>, unit: Unit) -> Self {
        Self {
            name: name.into(),
            unit,
            value: None,
            ceilings: Vec::new(),
            share: None,
            latency: None,
            server_cpu_us: None,
            aim: None,
            failure: None,
            notes: Vec::new(),
        }
    }

    pub(crate) fn failed(name: impl Into<String>, why: &anyhow::Error) -> Self {
        // The unit of a number that is not there does not matter.
        Self { failure: Some(format!("{why:#}")), ..Self::new(name, Unit::PerSecond) }
    }

    fn verdict(&self) -> &'static str {
        match (&self.failure, &self.aim) {
            (Some(_), _) => "FAILED",
            (None, Some(aim)) if aim.met => "met",
            (None, Some(_)) => "missed",
            (None, None) => "",
        }
    }

    fn cells(&self) -> [String; 9] {
        let ceilings: Vec<_> =
            self.ceilings.iter().map(|it| format!("{} {}", it.what, self.unit.show(it.value))).collect();
        [
            self.name.clone(),
            self.value.map(|value| self.unit.show(value)).unwrap_or_default(),
            ceilings.join(", "),
            self.share.map(|share| format!("{:.0} %", share * 100.0)).unwrap_or_default(),
            self.latency.map(Latency::show).unwrap_or_default(),
            self.server_cpu_us.map(show_us).unwrap_or_default(),
            self.ceilings.iter().find_map(|it| it.cpu_us).map(show_us).unwrap_or_default(),
            self.aim.as_ref().map(|aim| aim.text.clone()).unwrap_or_default(),
            self.verdict().to_owned(),
        ]
    }
}

impl Unit {
    pub(crate) fn show(self, value: f64) -> String {
        match self {
            Self::PerSecond => format!("{}/s", thousands(value)),
            Self::Milliseconds => format!("{value:.1} ms"),
            Self::Seconds => format!("{value:.2} s"),
            Self::Megabytes => format!("{value:.0} MB"),
        }
    }
}

impl Latency {
    pub(crate) fn of_us(histogram: &Histogram<u64>) -> Self {
        let ms = |us: u64| us as f64 / 1000.0;
        Self {
            p50_ms: ms(histogram.value_at_quantile(0.5)),
            p99_ms: ms(histogram.value_at_quantile(0.99)),
            max_ms: ms(histogram.max()),
        }
    }

    pub(crate) fn show(self) -> String {
        format!("{:.2} / {:.2} / {:.1} ms", self.p50_ms, self.p99_ms, self.max_ms)
    }
}

pub(crate) fn print(machine: &Machine, rows: &[Row]) {
    const HEAD: [&str; 9] = [
        "row",
        "registry",
        "ceiling",
        "share",
        "p50 / p99 / max",
        "CPU/op",
        "ceiling CPU/op",
        "aim",
        "verdict",
    ];
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(HEAD);
    table.add_rows(rows.iter().map(Row::cells));
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    println!("\n{}\n\n{table}\n", machine.line());
    if !machine.is_durable() {
        println!("* The data was on a file system in memory: nothing durable was measured.");
    }
    for row in rows {
        for text in row.failure.iter().chain(&row.notes) {
            println!("* {}: {text}", row.name);
        }
    }
}

pub(crate) fn save(file: &Path, machine: &Machine, rows: &[Row]) -> Result<()> {
    let document = serde_json::json!({ "machine": machine, "rows": rows });
    std::fs::write(file, format!("{document:#}\n")).context("write the JSON file")
}

fn show_us(us: f64) -> String {
    format!("{us:.1} µs")
}

pub(crate) fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
