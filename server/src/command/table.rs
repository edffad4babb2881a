use std::io;

use comfy_table::presets::NOTHING;
use comfy_table::{ContentArrangement, Table};

use crate::out::{Out, Style, health_style};

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
        let says: Vec<bool> = (0..self.header.len())
            .map(|column| self.rows.iter().any(|row| row.get(column).is_some_and(|cell| !cell.is_empty())))
            .collect();
        let kept = |row: Vec<String>| row.into_iter().zip(&says).filter_map(|(cell, says)| says.then_some(cell));
        let mut table = Table::new();
        table.load_style(NOTHING);
        table.set_header(kept(self.header.iter().map(|name| (*name).to_owned()).collect()));
        for row in self.rows {
            table.add_row(kept(row));
        }
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
        if let Some(width) = out.width {
            table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
        }
        for (line_number, line) in table.lines().enumerate() {
            let line = line.trim_end();
            let line = if line_number == 0 { out.paint(Style::Bold, line) } else { coloured(line, out) };
            out.line(line)?;
        }
        Ok(())
    }
}

/// The table is laid out without colours, whose codes would count as columns; healths get theirs afterwards.
fn coloured(line: &str, out: &Out) -> String {
    let cell = |cell: &str| match health_style(cell.split(',').next().unwrap_or_default()) {
        Some(style) => out.paint(style, cell),
        None => cell.to_owned(),
    };
    line.split("  ").map(cell).collect::<Vec<_>>().join("  ")
}
