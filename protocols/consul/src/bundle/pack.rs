use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::json;
use sha2::{Digest, Sha256};
use switchboard_registry::{ArchiveWriter, Snapshot};
use tar::Header;

use super::{BLOCK, META, STATE, SUMS, padding};

const PIECE: usize = 64 * 1024;

/// A snapshot on its way out, piece by piece.
pub(crate) struct Packer {
    /// None: all of it has been told.
    gz: Option<GzEncoder<Vec<u8>>>,
    archive: ArchiveWriter,
    digest: Sha256,
    meta: Vec<u8>,
    size: u64,
    /// The head stands before everything else.
    is_begun: bool,
}

impl Packer {
    /// Takes as long as encoding everything once: how long it is stands at its beginning.
    pub(crate) fn new(at: Snapshot, node_id: &str, address: &str) -> Packer {
        let size = ArchiveWriter::new(at.clone()).map(|piece| piece.len() as u64).sum();
        let index = at.revision().0;
        let meta = json!({
            "Version": 1, "ID": format!("1-{index}"), "Index": index, "Term": 1, "Peers": null,
            "Configuration": { "Servers": [{ "Suffrage": 0, "ID": node_id, "Address": address }] },
            "ConfigurationIndex": 1, "Size": size,
        });
        Packer {
            gz: Some(GzEncoder::new(Vec::with_capacity(PIECE), Compression::fast())),
            archive: ArchiveWriter::new(at),
            digest: Sha256::new(),
            meta: format!("{meta}\n").into_bytes(),
            size,
            is_begun: false,
        }
    }

    /// Writes some. Says whether that was all.
    fn step(&mut self, gz: &mut GzEncoder<Vec<u8>>) -> io::Result<bool> {
        if !self.is_begun {
            self.is_begun = true;
            file(gz, META, &self.meta)?;
            gz.write_all(header(STATE, self.size)?.as_bytes())?;
            return Ok(false);
        }
        if let Some(piece) = self.archive.next() {
            self.digest.update(&piece);
            gz.write_all(&piece)?;
            return Ok(false);
        }
        pad(gz, self.size)?;
        let sums = format!(
            "{}  {META}\n{}  {STATE}\n",
            hex(&Sha256::digest(&self.meta)),
            hex(&self.digest.finalize_reset())
        );
        file(gz, SUMS, sums.as_bytes())?;
        gz.write_all(&[0; 2 * BLOCK])?;
        Ok(true)
    }
}

impl Iterator for Packer {
    type Item = Bytes;

    fn next(&mut self) -> Option<Bytes> {
        let mut gz = self.gz.take()?;
        while gz.get_ref().len() < PIECE {
            match self.step(&mut gz) {
                Ok(false) => {}
                // Nothing is written anywhere but into memory, so nothing fails.
                Ok(true) | Err(_) => return gz.finish().ok().map(Bytes::from),
            }
        }
        let piece = std::mem::take(gz.get_mut());
        self.gz = Some(gz);
        Some(piece.into())
    }
}

fn header(name: &str, size: u64) -> io::Result<Header> {
    let mut header = Header::new_ustar();
    header.set_path(name)?;
    header.set_size(size);
    header.set_mode(0o600);
    header.set_mtime(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()));
    header.set_cksum();
    Ok(header)
}

fn file(out: &mut impl Write, name: &str, bytes: &[u8]) -> io::Result<()> {
    out.write_all(header(name, bytes.len() as u64)?.as_bytes())?;
    out.write_all(bytes)?;
    pad(out, bytes.len() as u64)
}

/// Fills the last block of a file of this size.
fn pad(out: &mut impl Write, size: u64) -> io::Result<()> {
    let zeros = [0; BLOCK];
    out.write_all(zeros.get(..padding(size)).unwrap_or_default())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}
