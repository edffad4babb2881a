//! The one place that writes to the terminal.

use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

/// How a word is shown where colours are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    Bold,
    Dim,
    Good,
    Warn,
    Bad,
}

/// Where answers go. Colours only for people: on a terminal, and not where `NO_COLOR` is set.
pub(crate) struct Out {
    to: Box<dyn Write + Send>,
    colour: bool,
    /// Columns to fit into; None: nobody looks at it, so nothing is wrapped.
    pub(crate) width: Option<u16>,
}

impl Out {
    pub(crate) fn stdout() -> Out {
        let stdout = io::stdout();
        let terminal = stdout.is_terminal();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let width =
            terminal.then(|| rustix::termios::tcgetwinsize(&stdout).ok().map(|size| size.ws_col)).flatten();
        Out { to: Box::new(stdout), colour: terminal && !plain, width: width.filter(|columns| *columns > 0) }
    }

    pub(crate) fn line(&mut self, text: impl Display) -> io::Result<()> {
        writeln!(self.to, "{text}")?;
        self.to.flush()
    }

    /// Writes a paragraph, wrapped at the terminal's edge, beside `lead`, which is `indent` columns wide.
    pub(crate) fn wrapped(&mut self, lead: &str, indent: usize, text: &str) -> io::Result<()> {
        let width = self.width.map_or(usize::MAX, usize::from);
        let (mut line, mut used) = (lead.to_owned(), indent);
        for word in text.split(' ') {
            let long = word.chars().count();
            if used > indent && used + 1 + long > width {
                self.line(&line)?;
                (line, used) = (" ".repeat(indent), indent);
            }
            if used > indent {
                line.push(' ');
                used += 1;
            }
            line.push_str(word);
            used += long;
        }
        self.line(line)
    }

    pub(crate) fn paint(&self, style: Style, text: impl Display) -> String {
        if !self.colour {
            return text.to_string();
        }
        let code = match style {
            Style::Bold => "1",
            Style::Dim => "2",
            Style::Good => "32",
            Style::Warn => "33",
            Style::Bad => "31",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// A health in its colour.
    pub(crate) fn health(&self, health: &str) -> String {
        match health_style(health) {
            Some(style) => self.paint(style, health),
            None => health.to_owned(),
        }
    }
}

pub(crate) fn health_style(health: &str) -> Option<Style> {
    match health {
        "passing" => Some(Style::Good),
        "warning" | "suspect" | "draining" | "starting" => Some(Style::Warn),
        "critical" | "lapsed" | "out_of_service" => Some(Style::Bad),
        _ => None,
    }
}

/// Says something beside the answer, such as an error.
pub(crate) fn note(text: impl Display) {
    // Nobody is left to be told that stderr is closed.
    let _ = writeln!(io::stderr(), "{text}");
}
