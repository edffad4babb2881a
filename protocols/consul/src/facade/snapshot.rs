//! `snapshot`: everything that the registry holds, saved and brought back.

use futures_util::stream;
use http::{Method, StatusCode};
use switchboard_registry::Snapshot;
use switchboard_registry::plan::ReplaceAll;

use super::Shared;
use crate::answer::Answer;
use crate::ask::Ask;
use crate::bundle::{NoSnapshot, Packer, Unpacker};
use crate::refusal::Refusal;

pub(crate) async fn snapshot(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    if ask.method == Method::GET { save(&state, &ask).await } else { restore(&state, ask).await }
}

async fn save(state: &Shared, ask: &Ask) -> Result<Answer, Refusal> {
    let view = state.context.registry.view(&ask.caller)?;
    let at: Snapshot = (*view).clone();
    let index = at.revision().0;
    let (id, address) =
        (state.here.node_id.clone(), format!("{}:{}", state.here.address, state.here.http_port));
    let packer = tokio::task::spawn_blocking(move || Packer::new(at, &id, &address));
    let packer =
        packer.await.map_err(|error| Refusal::failed(format!("failed to save snapshot: {error}")))?;
    Ok(Answer::stream("application/x-gzip", stream::iter(packer)).at_index(ask, index))
}

async fn restore(state: &Shared, mut ask: Ask) -> Result<Answer, Refusal> {
    let (most_bytes, most_records) = (state.config.snapshot_bytes, state.config.snapshot_records);
    let mut reader = Unpacker::new(most_records, most_bytes);
    let mut bytes = 0_u64;
    while let Some(piece) = ask.piece(&state.config.limits).await? {
        bytes = bytes.saturating_add(piece.len() as u64);
        if bytes > most_bytes {
            return Err(broken(NoSnapshot::TooLarge, most_bytes));
        }
        reader.push(&piece).map_err(|why| broken(why, most_bytes))?;
    }
    let mut records = reader.finish().map_err(|why| broken(why, most_bytes))?;
    // It may be that of another registry; this one is still here.
    state.ensure(&state.here.own(), true)?.join(&mut records);
    let wish = ReplaceAll { records: records.into() };
    let replaced = state.context.registry.submit(&ask.caller, wish).await?.reply;
    tracing::info!(written = replaced.written, deleted = replaced.deleted, "a snapshot was restored");
    Ok(Answer::empty())
}

fn broken(why: NoSnapshot, most_bytes: u64) -> Refusal {
    match why {
        NoSnapshot::Empty => Refusal::failed("failed to decompress snapshot: EOF"),
        NoSnapshot::Foreign => Refusal::failed("failed to decompress snapshot: gzip: invalid header"),
        NoSnapshot::Broken(why) => Refusal::failed(format!("failed to restore snapshot: {why}")),
        NoSnapshot::TooLarge => Refusal::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("snapshot too large: consul.snapshot_bytes allows {most_bytes} bytes"),
        ),
    }
}
