//! The registry and another server asked the same in turns: rows of both, and how they are printed.

use std::path::Path;

use anyhow::{Context, Result};
use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{CellAlignment, Table};
use hdrhistogram::Histogram;
use serde::Serialize;

use crate::load::{self, Outcome};
use crate::machine::Machine;
use crate::table::{Latency, Unit};
use crate::versus::median;

#[derive(Serialize)]
pub(crate) struct Compared {
    name: String,
    unit: Unit,
    registry: Option<Figures>,
    other: Option<Figures>,
    /// How many times better than the other: more for rates, less for times and sizes.
    ratio: Option<f64>,
    /// Why there is no number to trust.
    pub(crate) failure: Option<String>,
    pub(crate) notes: Vec<String>,
}

#[derive(Clone, Copy, Serialize)]
pub(crate) struct Figures {
    pub(crate) value: f64,
    pub(crate) latency: Option<Latency>,
    /// Processor time of the server, user and system, per operation.
    pub(crate) cpu_us: Option<f64>,
}

impl Compared {
    pub(crate) fn failed(name: &str, why: &anyhow::Error) -> Self {
        Self {
            name: name.to_owned(),
            // The unit of a number that is not there does not matter.
            unit: Unit::PerSecond,
            registry: None,
            other: None,
            ratio: None,
            failure: Some(format!("{why:#}")),
            notes: Vec::new(),
        }
    }

    pub(crate) fn rate(name: &str, turns: Turns) -> Self {
        Self { ratio: Some(turns.ratio), ..Self::new(name, Unit::PerSecond, turns.registry, turns.other) }
    }

    /// Rates that were not measured in turns.
    pub(crate) fn times(name: &str, registry: Figures, other: Figures) -> Self {
        Self {
            ratio: Some(registry.value / other.value),
            ..Self::new(name, Unit::PerSecond, registry, other)
        }
    }

    /// Of which less is better.
    pub(crate) fn cost(name: &str, unit: Unit, registry: Figures, other: Figures) -> Self {
        Self { ratio: Some(other.value / registry.value), ..Self::new(name, unit, registry, other) }
    }

    fn new(name: &str, unit: Unit, registry: Figures, other: Figures) -> Self {
        Self {
            registry: Some(registry),
            other: Some(other),
            failure: None,
            ..Self::failed(name, &anyhow::anyhow!("not measured"))
        }
        .in_unit(unit)
    }

    fn in_unit(self, unit: Unit) -> Self {
        Self { unit, ..self }
    }

    pub(crate) fn note(mut self, note: String) -> Self {
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
        let cpu_ratio = self.registry.and_then(|it| it.cpu_us).zip(self.other.and_then(|it| it.cpu_us));
        [
            self.name.clone(),
            value(self.registry),
            value(self.other),
            match (&self.failure, self.ratio) {
                (Some(_), _) => "FAILED".to_owned(),
                (None, Some(ratio)) => times(ratio),
                (None, None) => String::new(),
            },
            latency(self.registry),
            latency(self.other),
            cpu(self.registry),
            cpu(self.other),
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

pub(crate) fn print(machine: &Machine, other: &str, rows: &[Compared]) {
    let its = format!("{other}'s");
    let head = ["row", "registry", other, "ratio", "p50 / p99 / max", &its, "CPU/op", &its, "ratio"];
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN).set_header(head);
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

pub(crate) fn save(file: &Path, machine: &Machine, rows: &[Compared]) -> Result<()> {
    let document = serde_json::json!({ "machine": machine, "rows": rows });
    std::fs::write(file, format!("{document:#}\n")).context("write the JSON file")
}

pub(crate) struct Turns {
    pub(crate) registry: Figures,
    pub(crate) other: Figures,
    /// Median over the rounds of registry / other.
    pub(crate) ratio: f64,
}

/// Both in every round, so that what the machine does meanwhile falls on both.
pub(crate) fn in_turns(
    rounds: usize,
    measure_registry: impl Fn() -> Result<Outcome>,
    measure_other: impl Fn() -> Result<Outcome>,
) -> Result<Turns> {
    let (mut registry, mut other) = (Rounds::new()?, Rounds::new()?);
    for round in 0..rounds {
        // Who goes first changes, so that neither always has the warmer machine.
        if round % 2 == 0 {
            registry.add(measure_registry().context("the registry")?)?;
            other.add(measure_other().context("the other")?)?;
        } else {
            other.add(measure_other().context("the other")?)?;
            registry.add(measure_registry().context("the registry")?)?;
        }
    }
    let ratios = registry.per_second.iter().zip(&other.per_second).map(|(ours, theirs)| ours / theirs);
    Ok(Turns { ratio: median(ratios.collect()), registry: registry.figures(), other: other.figures() })
}

pub(crate) struct Rounds {
    per_second: Vec<f64>,
    cpu_us: Vec<f64>,
    latency_us: Histogram<u64>,
}

impl Rounds {
    pub(crate) fn new() -> Result<Self> {
        Ok(Self { per_second: Vec::new(), cpu_us: Vec::new(), latency_us: load::new_histogram()? })
    }

    pub(crate) fn add(&mut self, outcome: Outcome) -> Result<()> {
        self.per_second.push(outcome.per_second());
        self.cpu_us.push(outcome.cpu_us_per_operation());
        self.latency_us.add(outcome.latency_us).context("add histograms")
    }

    pub(crate) fn figures(self) -> Figures {
        Figures {
            value: median(self.per_second),
            latency: Some(Latency::of_us(&self.latency_us)),
            cpu_us: Some(median(self.cpu_us)),
        }
    }
}
