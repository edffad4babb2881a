//! `snapshot`: everything that the registry holds, saved and brought back.

use std::sync::Arc;

use futures_util::stream;
use http::{Method, StatusCode};
use switchboard_registry::plan::ReplaceAll;
use switchboard_registry::{ArchiveReader, ArchiveWriter, Caller, Snapshot};

use super::Shared;
use crate::answer::Answer;
use crate::ask::Ask;
use crate::refusal::Refusal;

pub(crate) async fn snapshot(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    if ask.method == Method::GET { save(&state, &ask) } else { restore(&state, ask).await }
}

fn save(state: &Shared, ask: &Ask) -> Result<Answer, Refusal> {
    let view = state.context.registry.view(&ask.caller)?;
    let at: Snapshot = (*view).clone();
    let index = at.revision().0;
    let pieces = stream::iter(ArchiveWriter::new(at));
    Ok(Answer::stream("application/octet-stream", pieces).at_index(ask, index))
}

async fn restore(state: &Shared, mut ask: Ask) -> Result<Answer, Refusal> {
    let (most_bytes, most_records) = (state.config.snapshot_bytes, state.config.snapshot_records);
    let mut reader = ArchiveReader::new(most_records);
    let mut bytes = 0_u64;
    while let Some(piece) = ask.piece(&state.config.limits).await? {
        bytes = bytes.saturating_add(piece.len() as u64);
        if bytes > most_bytes {
            let text = format!("snapshot too large: consul.snapshot_bytes allows {most_bytes} bytes");
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text));
        }
        reader.push(&piece).map_err(|why| broken(&why))?;
    }
    let records: Arc<[_]> = reader.finish().map_err(|why| broken(&why))?.into();
    let registry = &state.context.registry;
    let committed = registry.submit(&ask.caller, ReplaceAll { records }).await?;
    let replaced = committed.reply;
    tracing::info!(written = replaced.written, deleted = replaced.deleted, "a snapshot was restored");
    // It may be that of another registry; this one is still here.
    registry.submit(&Caller::internal("consul"), state.ensure(&state.here.own(), true)?).await?;
    Ok(Answer::empty())
}

fn broken(why: &switchboard_registry::NoArchive) -> Refusal {
    Refusal::failed(format!("failed to restore snapshot: {why}"))
}
