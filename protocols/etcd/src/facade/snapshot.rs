//! A snapshot as the file that etcd would keep, told in pieces. It is made while it is told: what waits to be told is a few
//! pieces, however long it all is.

use std::sync::Arc;

use futures_util::StreamExt;
use ring::digest::{Context, SHA256};
use switchboard_registry::View;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

use super::{STORAGE_VERSION, Shared, TERM};
use crate::bolt::{Layout, Stopped, Told};
use crate::lens::snapshot::{Written, buckets};
use crate::refusal::{self, Refusal};
use crate::wire::etcdserverpb::SnapshotResponse;

/// Bytes of a piece, as etcd has them.
const PIECE: usize = 32 * 1024;
/// Pieces that wait.
const WAITING: usize = 8;

/// How many snapshots are made at a time; each keeps a processor busy.
#[derive(Debug)]
pub(super) struct Snapshots(Arc<Semaphore>);

impl Default for Snapshots {
    fn default() -> Snapshots {
        Snapshots(Arc::new(Semaphore::new(2)))
    }
}

type Piece = Result<SnapshotResponse, Status>;

impl Snapshots {
    pub(super) fn tell(&self, state: &Shared, view: View) -> Result<super::maintenance::Pieces, Refusal> {
        let Ok(permit) = self.0.clone().try_acquire_owned() else { return Err(refusal::TOO_MANY_REQUESTS) };
        let (told, pieces) = mpsc::channel(WAITING);
        let state = state.clone();
        tokio::task::spawn_blocking(move || {
            let telling =
                Telling { told, piece: Vec::with_capacity(PIECE), sum: Context::new(&SHA256), left: 0 };
            // Who does not want to hear the rest is gone.
            drop(tell(&state, &view, telling, permit));
        });
        Ok(ReceiverStream::new(pieces).boxed())
    }
}

fn tell(state: &Shared, view: &View, mut telling: Telling, _permit: OwnedSemaphorePermit) -> Told {
    let buckets = buckets(state.keys(view), Written { term: TERM, storage_version: STORAGE_VERSION });
    let layout = Layout::of(&buckets)?;
    telling.left = layout.bytes();
    layout.write(&buckets, &mut |pages| telling.add(pages))?;
    telling.flush()?;
    let sum = std::mem::replace(&mut telling.sum, Context::new(&SHA256)).finish();
    telling.piece.extend_from_slice(sum.as_ref());
    telling.say()
}

struct Telling {
    told: mpsc::Sender<Piece>,
    piece: Vec<u8>,
    sum: Context,
    /// Bytes of the file that were not told, without the sum behind it.
    left: u64,
}

impl Telling {
    fn add(&mut self, mut bytes: &[u8]) -> Told {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PIECE.saturating_sub(self.piece.len())));
            self.piece.extend_from_slice(now);
            bytes = later;
            if self.piece.len() >= PIECE {
                self.flush()?;
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> Told {
        self.sum.update(&self.piece);
        self.left = self.left.saturating_sub(u64::try_from(self.piece.len()).unwrap_or(u64::MAX));
        if self.piece.is_empty() { Ok(()) } else { self.say() }
    }

    fn say(&mut self) -> Told {
        let blob = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE)).into();
        let version = STORAGE_VERSION.to_owned();
        let piece = SnapshotResponse { header: None, remaining_bytes: self.left, blob, version };
        self.told.blocking_send(Ok(piece)).map_err(|_| Stopped)
    }
}
