//! Snapshots in the wrapping that Consul's own tools check before they keep one: a gzipped tar of `meta.json`, `state.bin`, which is
//! an archive of this registry, and `SHA256SUMS`.

mod pack;
mod unpack;

pub(crate) use pack::Packer;
pub(crate) use unpack::{NoSnapshot, Unpacker};

const META: &str = "meta.json";
const STATE: &str = "state.bin";
const SUMS: &str = "SHA256SUMS";
const BLOCK: usize = 512;

/// What the last block of a file of this size lacks.
fn padding(size: u64) -> usize {
    let over = usize::try_from(size % BLOCK as u64).unwrap_or_default();
    if over == 0 { 0 } else { BLOCK - over }
}
