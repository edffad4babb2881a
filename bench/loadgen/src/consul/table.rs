//! Rows of two servers, and how they are printed.

use std::path::Path;

use anyhow::{Context, Result};
use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};
use serde::Serialize;

use super::pair::Turns;
use crate::machine::Machine;
use crate::table::{Latency, Unit};

#[derive(Serialize)]
pub(super) struct Compared {
    name: String,
    unit: Unit,
    registry: Option<Figures>,
    consul: Option<Figures>,
    /// How many times better than Consul: more for rates, less for times and sizes.
    ratio: Option<f64>,
    /// Why there is no number to trust.
    pub(super) failure: Option<String>,
    pub(super) notes: Vec<String>,
}

#[derive(Clone, Copy, Serialize)]
pub(super) struct Figures {
    pub(super) value: f64,
    pub(super) latency: Option<Latency>,
    /// Processor time of the server, user and system, per operation.
    pub(super) cpu_us: Option<f64>,
}

impl Compared {
    pub(super) fn failed(name: &str, why: &anyhow::Error) -> Self {
        Self {
            name: name.to_owned(),
            // The unit of a number that is not there does not matter.
            unit: Unit::PerSecond,
            registry: None,
            consul: None,
            ratio: None,
            failure: Some(format!("{why:#}")),
            notes: Vec::new(),
        }
    }

    pub(super) fn rate(name: &str, turns: Turns) -> Self {
        Self { ratio: Some(turns.ratio), ..Self::new(name, Unit::PerSecond, turns.registry, turns.consul) }
    }

    /// Of which less is better.
    pub(super) fn cost(name: &str, unit: Unit, registry: Figures, consul: Figures) -> Self {
        Self { ratio: Some(consul.value / registry.value), ..Self::new(name, unit, registry, consul) }
    }

    fn new(name: &str, unit: Unit, registry: Figures, consul: Figures) -> Self {
        Self {
            registry: Some(registry),
            consul: Some(consul),
            failure: None,
            ..Self::failed(name, &anyhow::anyhow!("not measured"))
        }
        .in_unit(unit)
    }

    fn in_unit(self, unit: Unit) -> Self {
        Self { unit, ..self }
    }

    pub(super) fn note(mut self, note: String) -> Self {
        self.notes.push(note);
        self
    }

    fn cells(&self) -> [String; 9] {
        let value = |side: Option<Figures>| side.map(|it| self.unit.show(it.value)).unwrap_or_default();
        let latency =
            |side: Option<Figures>| side.and_then(|it| it.latency).map(Latency::show).unwrap_or_default();
        let cpu = |side: Option<Figures>| {
            side.and_then(|it| it.cpu_us).map(|us| format!("{us:.1} µs")).unwrap_or_default()
        };
        let cpu_ratio = self.registry.and_then(|it| it.cpu_us).zip(self.consul.and_then(|it| it.cpu_us));
        [
            self.name.clone(),
            value(self.registry),
            value(self.consul),
            match (&self.failure, self.ratio) {
                (Some(_), _) => "FAILED".to_owned(),
                (None, Some(ratio)) => times(ratio),
                (None, None) => String::new(),
            },
            latency(self.registry),
            latency(self.consul),
            cpu(self.registry),
            cpu(self.consul),
            // Below the kernel's tick there is nothing to divide by.
            cpu_ratio
                .filter(|(ours, _)| *ours > 0.0)
                .map(|(ours, theirs)| times(theirs / ours))
                .unwrap_or_default(),
        ]
    }
}

fn times(ratio: f64) -> String {
    if ratio >= 10.0 { format!("× {ratio:.0}") } else { format!("× {ratio:.1}") }
}

pub(super) fn print(machine: &Machine, rows: &[Compared]) {
    const HEAD: [&str; 9] =
        ["row", "registry", "Consul", "ratio", "p50 / p99 / max", "Consul's", "CPU/op", "Consul's", "ratio"];
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(HEAD);
    table.add_rows(rows.iter().map(Compared::cells));
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

pub(super) fn save(file: &Path, machine: &Machine, rows: &[Compared]) -> Result<()> {
    let document = serde_json::json!({ "machine": machine, "rows": rows });
    std::fs::write(file, format!("{document:#}\n")).context("write the JSON file")
}
