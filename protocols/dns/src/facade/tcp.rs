use std::io;
use std::net::IpAddr;
use std::sync::Arc;

use switchboard_facade::{Connection, Listener, Peer, Reception, Stop, serve_connections};
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};

use super::late;
use super::resolve::{Outcome, State};
use crate::answer::Transport;

pub(super) async fn serve(listener: Listener, state: Arc<State>, stop: Stop) {
    let reception = Reception {
        limits: state.config.limits.of_connections(),
        meters: state.meters.connections.clone(),
        // There is no word for it before a query is read.
        full: b"",
        alpn: &[],
    };
    let told = stop.clone();
    let handler = move |connection, Peer(peer)| {
        let (state, stop) = (state.clone(), told.clone());
        async move {
            // An error is of this connection alone, and closing it is all that can be said.
            let _ = talk(connection, peer.ip().to_canonical(), &state, stop).await;
        }
    };
    serve_connections(listener, reception, handler, stop).await;
}

/// Answers one query after the other: what is sent ahead waits in the client's hands.
async fn talk(connection: Connection, peer: IpAddr, state: &State, stop: Stop) -> io::Result<()> {
    let patience = state.config.patience.0;
    let mut stream = BufReader::new(connection);
    let (mut query, mut answer) = (Vec::new(), Vec::new());
    loop {
        let read = tokio::select! {
            read = tokio::time::timeout(patience, read(&mut stream, &mut query)) => read,
            () = stop.cancelled() => return Ok(()),
        };
        read.map_err(|_| late())??;
        answer.clear();
        answer.extend([0; LENGTH]);
        match state.answer(&query, peer, Transport::Tcp, &mut answer) {
            Outcome::Answered => {}
            // Not a query: whatever this is, it does not speak DNS.
            Outcome::Silent => return Ok(()),
            Outcome::Wait(permit) => {
                state.answer_in_time(&query, peer, Transport::Tcp, &mut answer).await;
                drop(permit);
            }
        }
        let length = u16::try_from(answer.len() - LENGTH).unwrap_or(u16::MAX);
        if let Some(place) = answer.get_mut(..LENGTH) {
            place.copy_from_slice(&length.to_be_bytes());
        }
        tokio::time::timeout(patience, stream.write_all(&answer)).await.map_err(|_| late())??;
    }
}

/// Bytes before each message that say how long it is.
const LENGTH: usize = 2;

/// The whole of the next message; nobody waits for half of one longer than for a whole one.
async fn read(stream: &mut BufReader<Connection>, query: &mut Vec<u8>) -> io::Result<()> {
    let length = stream.read_u16().await?;
    query.clear();
    query.resize(usize::from(length), 0);
    stream.read_exact(query).await?;
    Ok(())
}
