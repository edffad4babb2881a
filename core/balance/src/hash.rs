//! Hashes that are the same in every process and every version, so that all clients agree on them.

/// The hash of some bytes: FNV-1a, well mixed. For the key of a request in consistent hashing.
///
/// ```
/// use switchboard_balance::hash_of;
///
/// assert_eq!(hash_of(b"user 17"), hash_of(b"user 17"));
/// assert_ne!(hash_of(b"user 17"), hash_of(b"user 18"));
/// ```
pub fn hash_of(bytes: &[u8]) -> u64 {
    let fnv = bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    mix(fnv)
}

/// Spreads the bits of a number evenly: the finalizer of SplitMix64.
pub fn mix(number: u64) -> u64 {
    let mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A hash as a number between 0 and 1, never 0 itself.
pub(crate) fn unit(hash: u64) -> f64 {
    ((hash >> 11) + 1) as f64 / (1_u64 << 53) as f64
}
