use std::fmt;
use std::io;
use std::process::ExitCode;

use switchboard_facade::ConfigError;

/// How the program ends when it does not succeed. The numbers are part of the command line's contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Whoever read our output has gone. Nothing failed.
    Unread = 0,
    Failed = 1,
    Usage = 2,
    Unreachable = 3,
    NotFound = 4,
}

/// The same as [`Exit`], for `--help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  it worked
  1  the operation failed, or the server refused it
  2  the command line or the configuration is wrong
  3  the server cannot be reached
  4  what was named does not exist";

/// Why the program ends: what happened and why, and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    what: String,
    next: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, what: impl fmt::Display) -> Failure {
        Failure { exit, what: what.to_string(), next: None }
    }

    pub(crate) fn failed(what: impl fmt::Display) -> Failure {
        Failure::new(Exit::Failed, what)
    }

    pub(crate) fn usage(what: impl fmt::Display) -> Failure {
        Failure::new(Exit::Usage, what)
    }

    /// The step to take next.
    pub(crate) fn next(mut self, next: impl fmt::Display) -> Failure {
        self.next = Some(next.to_string());
        self
    }

    pub(crate) fn code(&self) -> ExitCode {
        ExitCode::from(self.exit as u8)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match &self.next {
            Some(next) => write!(f, "\n  {next}"),
            None => Ok(()),
        }
    }
}

impl From<io::Error> for Failure {
    /// Only writing our own output fails with a bare I/O error; everything else says what it was about.
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::new(Exit::Unread, "nobody reads the output"),
            _ => Failure::failed(format!("cannot write the output: {error}")),
        }
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        Failure::usage(error)
    }
}
