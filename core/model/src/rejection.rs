use crate::Revision;

/// What a rejection is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Noun {
    Namespace,
    Service,
    Instance,
    Node,
    Check,
    Lease,
    Entry,
}

impl std::fmt::Display for Noun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Noun::Namespace => "namespace",
            Noun::Service => "service",
            Noun::Instance => "instance",
            Noun::Node => "node",
            Noun::Check => "check",
            Noun::Lease => "lease",
            Noun::Entry => "entry",
        })
    }
}

/// Why the model says no. Every protocol turns each of these into its own error, exhaustively.
///
/// ```
/// use switchboard_model::Rejection;
///
/// let rejection = Rejection::invalid("port", "must be between 1 and 65535");
/// assert!(rejection.to_string().contains("port"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// A value breaks a rule of the model. `field` is the model's path of the field, such as `ports[0].name`.
    #[error("{field}: {why}")]
    Invalid { field: String, why: String },
    #[error("{noun} {name:?} does not exist")]
    NotFound { noun: Noun, name: String },
    /// A short name fits several records; `candidates` holds some of them, spelled out in full.
    #[error("{noun} {name:?} is not unique: {}", candidates.join(", "))]
    Ambiguous { noun: Noun, name: String, candidates: Vec<String> },
    /// The record is not as the caller required it to be.
    #[error("{noun} {name:?} is at revision {actual}, not at {expected}")]
    Conflict { noun: Noun, name: String, expected: Revision, actual: Revision },
    /// The record exists and may not be replaced by this request.
    #[error("{noun} {name:?} already exists")]
    Exists { noun: Noun, name: String },
    /// Something else still depends on the record.
    #[error("{noun} {name:?} is in use: {by}")]
    InUse { noun: Noun, name: String, by: String },
    #[error("{what}: at most {limit} allowed")]
    Limit { what: String, limit: u64 },
    #[error("not allowed: {why}")]
    Forbidden { why: String },
    /// History before `floor` is no longer kept.
    #[error("revision {wanted} was compacted; the oldest kept is {floor}")]
    Compacted { wanted: Revision, floor: Revision },
    /// The caller asked for a revision that has not happened within the time it was ready to wait.
    #[error("revision {wanted} has not happened yet; the newest is {head}")]
    NotYet { wanted: Revision, head: Revision },
    #[error("{0}")]
    Unavailable(#[from] Unavailable),
}

impl Rejection {
    pub fn invalid(field: impl Into<String>, why: impl Into<String>) -> Rejection {
        Rejection::Invalid { field: field.into(), why: why.into() }
    }

    pub fn not_found(noun: Noun, name: impl ToString) -> Rejection {
        Rejection::NotFound { noun, name: name.to_string() }
    }
}

/// Why the registry cannot answer just now. Nothing was acknowledged.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// An empty answer during start-up would look like an empty registry, so there is none.
    #[error("the registry is still loading its records; retry in a moment")]
    Loading,
    #[error("the registry has as many writes waiting as it allows; retry in a moment")]
    Overloaded,
    #[error("the registry is stopping; retry elsewhere or in a moment")]
    Stopping,
    #[error("the store cannot take writes: {why}; reads are answered from memory")]
    Store { why: String },
}
