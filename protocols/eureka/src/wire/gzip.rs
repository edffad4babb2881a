use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

/// It would unpack to more than anyone may send.
#[derive(Debug, PartialEq)]
pub(crate) struct TooLarge;

pub(crate) fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(bytes.len() / 8 + 64), Compression::new(5));
    // A vector takes whatever it is given.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// Unpacks, and stops at `most` bytes. Err inside: it is not what it says it is.
pub(crate) fn unpack(packed: &[u8], most: usize) -> Result<std::io::Result<Vec<u8>>, TooLarge> {
    let mut bytes = Vec::new();
    let limit = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    match MultiGzDecoder::new(packed).take(limit).read_to_end(&mut bytes) {
        Err(error) => Ok(Err(error)),
        Ok(_) if bytes.len() > most => Err(TooLarge),
        Ok(_) => Ok(Ok(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bomb_is_stopped_at_the_limit() {
        let bomb = pack(&vec![b' '; 4 << 20]);
        assert!(bomb.len() < 8192);
        assert_eq!(unpack(&bomb, 1 << 20).unwrap_err(), TooLarge);
        assert_eq!(unpack(&bomb, 4 << 20).unwrap().unwrap().len(), 4 << 20);
        assert!(unpack(b"plain", 100).unwrap().is_err());
        assert!(unpack(bomb.get(..100).unwrap(), 4 << 20).unwrap().is_err());
    }
}
