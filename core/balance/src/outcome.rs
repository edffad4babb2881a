use std::time::Duration;

/// How a call ended, as far as the instance is to blame.
///
/// A call that the caller gave up is no outcome: drop the pick.
///
/// ```
/// use switchboard_balance::Outcome;
///
/// assert_eq!(Outcome::from_http(200, None), Outcome::Success);
/// assert_eq!(Outcome::from_http(503, None), Outcome::FAILURE);
/// assert!(matches!(Outcome::from_http(429, None), Outcome::Limited { .. }));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The instance did its work. An answer that says the request was wrong is one of these.
    Success,
    /// The instance could not be reached, broke, or took too long.
    Failure {
        /// When it asked to be tried again.
        hint: Option<Duration>,
    },
    /// The instance is well and wants fewer calls. Lowers its preference and never ejects it.
    Limited {
        /// When it asked to be tried again.
        hint: Option<Duration>,
    },
}

impl Outcome {
    /// A failure without a hint.
    pub const FAILURE: Outcome = Outcome::Failure { hint: None };

    /// What the status of an HTTP answer says, with its `Retry-After`.
    ///
    /// ```
    /// use switchboard_balance::Outcome;
    ///
    /// assert_eq!(Outcome::from_http(404, None), Outcome::Success);
    /// assert_eq!(Outcome::from_http(500, None), Outcome::FAILURE);
    /// assert_eq!(Outcome::from_http(429, None), Outcome::Limited { hint: None });
    /// ```
    pub fn from_http(status: u16, hint: Option<Duration>) -> Outcome {
        match status {
            429 => Outcome::Limited { hint },
            503 => Outcome::Failure { hint },
            500..=599 => Outcome::FAILURE,
            _ => Outcome::Success,
        }
    }

    /// What a gRPC status code says, with its `grpc-retry-pushback-ms`.
    ///
    /// ```
    /// use switchboard_balance::Outcome;
    ///
    /// let (not_found, resource_exhausted, unavailable) = (5, 8, 14);
    /// assert_eq!(Outcome::from_grpc(not_found, None), Outcome::Success);
    /// assert_eq!(Outcome::from_grpc(resource_exhausted, None), Outcome::Limited { hint: None });
    /// assert_eq!(Outcome::from_grpc(unavailable, None), Outcome::FAILURE);
    /// ```
    pub fn from_grpc(code: u32, hint: Option<Duration>) -> Outcome {
        match code {
            8 => Outcome::Limited { hint },
            14 => Outcome::Failure { hint },
            // Unknown, deadline exceeded, internal, data loss.
            2 | 4 | 13 | 15 => Outcome::FAILURE,
            _ => Outcome::Success,
        }
    }
}

/// `Retry-After` in its form of seconds. The form of a date needs a clock and is the caller's.
pub fn retry_after_seconds(text: &str) -> Option<Duration> {
    text.trim().parse().ok().map(Duration::from_secs)
}
