//! Messages and services exactly as they are sent, over gRPC and as JSON. Knows no model.
//!
//! All messages are made of `proto/` by `cargo xtask codegen`.

pub(crate) mod json;

macro_rules! generated {
    ($($package:ident),+) => {$(
        #[allow(
            clippy::all,
            clippy::indexing_slicing,
            clippy::panic,
            clippy::unwrap_used,
            missing_debug_implementations,
            unreachable_pub,
            dead_code,
            unused,
            reason = "made by a machine; the decoders are total"
        )]
        pub mod $package {
            include!(concat!("wire/generated/", stringify!($package), ".rs"));
            include!(concat!("wire/generated/", stringify!($package), ".serde.rs"));
        }
    )+};
}

generated!(authpb, etcdserverpb, mvccpb, v3electionpb, v3lockpb);

/// Bytes of one request, as etcd counts them.
pub(crate) const MAX_REQUEST: usize = 1536 * 1024;
/// Bytes of one message: a request, and what is around it.
pub(crate) const MAX_MESSAGE: usize = MAX_REQUEST + 512 * 1024;
