use std::sync::Arc;

use switchboard_facade::{Answered, Peer};

use super::resolve::{Outcome, State};
use crate::answer::Transport;

pub(super) fn handler(
    state: Arc<State>,
) -> impl Fn(&[u8], Peer, &mut Vec<u8>) -> Answered + Clone + Send + 'static {
    move |datagram, Peer(peer), answer| {
        let peer = peer.ip().to_canonical();
        match state.answer(datagram, peer, Transport::Udp, answer) {
            Outcome::Answered => Answered::Now,
            Outcome::Silent => Answered::Never,
            Outcome::Wait(permit) => {
                let (state, datagram) = (state.clone(), datagram.to_vec());
                Answered::Later(Box::pin(async move {
                    let mut answer = Vec::new();
                    state.answer_in_time(&datagram, peer, Transport::Udp, &mut answer).await;
                    drop(permit);
                    answer
                }))
            }
        }
    }
}
