//! Bodies on their way through: a frame at a time, never held but for the little that another try may need.

mod download;
mod upload;

use std::time::Duration;

pub(crate) use download::{Finish, Pace, ResponseBody};
pub(crate) use upload::{Fault, RequestBody, Upload};

/// Why a body ends before its end.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// Whoever sends it failed.
    Sender(hyper::Error),
    TooLarge,
    Idle(Duration),
    Deadline,
    /// Another try reads it now.
    Replaced,
}

impl std::fmt::Display for BodyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            BodyError::Sender(error) => write!(f, "the body broke off: {error}"),
            BodyError::TooLarge => f.write_str("the body is too large"),
            BodyError::Idle(idle) => write!(f, "no byte for {} s", idle.as_secs_f64()),
            BodyError::Deadline => f.write_str("the time for the whole request is over"),
            BodyError::Replaced => f.write_str("another try has begun"),
        }
    }
}

impl std::error::Error for BodyError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            BodyError::Sender(error) => Some(error),
            _ => None,
        }
    }
}
