/// What a check says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Status {
    Passing,
    Warning,
    #[default]
    Critical,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Passing => "passing",
            Status::Warning => "warning",
            Status::Critical => "critical",
        }
    }
}

/// The worst of several statuses; nothing said means passing.
pub fn worst(statuses: impl IntoIterator<Item = Status>) -> Status {
    statuses.into_iter().max().unwrap_or(Status::Passing)
}

/// The aggregated health of an instance: its checks, its node's checks, its lease and its lifecycle in one word.
///
/// ```
/// use switchboard_model::Health;
///
/// assert!(Health::Warning.is_served() && !Health::Draining.is_served());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Health {
    Passing,
    /// Served, with a remark.
    Warning,
    /// Served, although its silence or its probes say otherwise: too many fell silent at once to believe it.
    Suspect,
    Starting,
    Draining,
    OutOfService,
    Critical,
    /// Its lease was not renewed in time.
    Lapsed,
}

impl Health {
    /// Whether consumers are given the instance when they ask for healthy ones.
    pub fn is_served(self) -> bool {
        matches!(self, Health::Passing | Health::Warning | Health::Suspect)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Health::Passing => "passing",
            Health::Warning => "warning",
            Health::Suspect => "suspect",
            Health::Starting => "starting",
            Health::Draining => "draining",
            Health::OutOfService => "out_of_service",
            Health::Critical => "critical",
            Health::Lapsed => "lapsed",
        }
    }
}
