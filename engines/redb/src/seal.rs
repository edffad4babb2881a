//! Checksums. A sealed value is the value and then the CRC-32 of its key and itself: redb verifies pages only when
//! asked to, and one flipped bit must not become a wrong address.

use crate::fault::Fault;

pub(crate) const SEAL: usize = 4;

/// Writes the sealed `value` to `out`, which is [`SEAL`] bytes longer than `value`.
pub(crate) fn write(key: &[u8], value: &[u8], out: &mut [u8]) {
    if let Some((body, seal)) = out.split_at_mut_checked(value.len()) {
        body.copy_from_slice(value);
        seal.copy_from_slice(&sum(key, value));
    }
}

/// The value within a sealed one.
pub(crate) fn open<'a>(key: &[u8], sealed: &'a [u8]) -> Result<&'a [u8], Fault> {
    match sealed.split_last_chunk::<SEAL>() {
        Some((value, seal)) if *seal == sum(key, value) => Ok(value),
        _ => Err(Fault::Damaged(format!("the checksum of {} is wrong", key.escape_ascii()))),
    }
}

fn sum(key: &[u8], value: &[u8]) -> [u8; SEAL] {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(value);
    hasher.finalize().to_le_bytes()
}
