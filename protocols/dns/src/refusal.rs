//! Every rejection in this protocol's words, of which there are few.

use domain::base::iana::OptRcode;
use switchboard_model::{Rejection, Unavailable};

/// The word for why there is no answer.
pub(crate) fn refusal(rejection: &Rejection) -> OptRcode {
    match rejection {
        // A name that cannot be one, or that nobody has.
        Rejection::Invalid { .. } | Rejection::NotFound { .. } => OptRcode::NXDOMAIN,
        Rejection::Forbidden { .. } => OptRcode::REFUSED,
        Rejection::Ambiguous { .. }
        | Rejection::Conflict { .. }
        | Rejection::Exists { .. }
        | Rejection::InUse { .. }
        | Rejection::Limit { .. }
        | Rejection::Compacted { .. }
        | Rejection::NotYet { .. } => OptRcode::SERVFAIL,
        // Whoever hears it asks another server, or again.
        Rejection::Unavailable(
            Unavailable::Loading
            | Unavailable::Overloaded
            | Unavailable::Stopping
            | Unavailable::Store { .. },
        ) => OptRcode::SERVFAIL,
    }
}
