use std::io;

use comfy_table::presets::NOTHING;
use comfy_table::{ColumnConstraint, ContentArrangement, Table};

use crate::out::{Out, Style, health_style};

/// Between columns.
const GAP: u16 = 2;
/// The last column may be wrapped, but not to less than this.
const LAST: u16 = 24;

/// A table for people. Columns that say nothing are left out.
pub(super) struct Sheet {
    header: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Sheet {
    pub(super) fn new(header: &[&'static str]) -> Sheet {
        Sheet { header: header.to_vec(), rows: Vec::new() }
    }

    pub(super) fn add<const N: usize>(&mut self, row: [String; N]) {
        self.rows.push(row.into());
    }

    pub(super) fn print(self, out: &mut Out) -> io::Result<()> {
        let table = self.table();
        let widths = table.column_max_content_widths();
        let (last, others) = widths.split_last().map_or((0, 0), |(last, others)| {
            let others: u16 = others.iter().map(|width| width + GAP).sum();
            (*last, others)
        });
        match out.width {
            Some(width) if others + last.min(LAST) > width => self.print_blocks(out),
            Some(width) => print_table(table, Some(width), out),
            None => print_table(table, None, out),
        }
    }

    fn table(&self) -> Table {
        let says: Vec<bool> = (0..self.header.len())
            .map(|column| self.rows.iter().any(|row| row.get(column).is_some_and(|cell| !cell.is_empty())))
            .collect();
        let kept =
            |row: Vec<String>| row.into_iter().zip(&says).filter_map(|(cell, says)| says.then_some(cell));
        let mut table = Table::new();
        table.load_style(NOTHING);
        table.set_header(kept(self.header.iter().map(|name| (*name).to_owned()).collect()));
        for row in &self.rows {
            table.add_row(kept(row.clone()));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, GAP));
        }
        table
    }

    /// Where the terminal is too narrow for a table, each row is a paragraph of its own.
    fn print_blocks(&self, out: &mut Out) -> io::Result<()> {
        let names = self.header.iter().skip(1);
        let indent = names.clone().map(|name| name.len()).max().unwrap_or_default() + 4;
        for row in &self.rows {
            let title = row.first().map(String::as_str).unwrap_or_default();
            let title = out.paint(Style::Bold, title);
            out.line(title)?;
            let cells = row.iter().skip(1);
            for (name, cell) in names.clone().zip(cells).filter(|(_, cell)| !cell.is_empty()) {
                let lead = out.paint(Style::Dim, format!("  {:<1$}", name.to_lowercase(), indent - 2));
                let cell = coloured(cell, out);
                out.wrapped(&lead, indent, &cell)?;
            }
        }
        Ok(())
    }
}

/// Only the last column is wrapped: it has sentences, the others have names.
fn print_table(mut table: Table, width: Option<u16>, out: &mut Out) -> io::Result<()> {
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        let last = table.column_iter().count().saturating_sub(1);
        table.column_iter_mut().take(last).for_each(|column| {
            column.set_constraint(ColumnConstraint::ContentWidth);
        });
    }
    for (number, line) in table.lines().enumerate() {
        let line = line.trim_end();
        let line = if number == 0 { out.paint(Style::Bold, line) } else { coloured(line, out) };
        out.line(line)?;
    }
    Ok(())
}

/// The table is laid out without colours, whose codes would count as columns; healths get theirs afterwards.
fn coloured(line: &str, out: &Out) -> String {
    let cell = |cell: &str| match health_style(cell.split(',').next().unwrap_or_default()) {
        Some(style) => out.paint(style, cell),
        None => cell.to_owned(),
    };
    line.split("  ").map(cell).collect::<Vec<_>>().join("  ")
}
