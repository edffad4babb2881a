use std::future::Future;
use std::time::Duration;

use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

use crate::facade::Stop;

const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Work that goes on beside the listeners until told to stop. If it crashes or comes to an end before, that is said aloud, and it
/// begins anew after a pause. Whoever drops the handle ends it.
pub fn keep_running<W>(
    what: &'static str,
    stop: Stop,
    begin: impl Fn() -> W + Send + 'static,
) -> AbortOnDropHandle<()>
where
    W: Future<Output = ()> + Send + 'static,
{
    AbortOnDropHandle::new(tokio::spawn(async move {
        let mut pause = FIRST_PAUSE;
        loop {
            let begun = Instant::now();
            let working = AbortOnDropHandle::new(tokio::spawn(begin()));
            let ended = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                ended = working => ended,
            };
            if begun.elapsed() > LONGEST_PAUSE {
                pause = FIRST_PAUSE;
            }
            let again_s = pause.as_secs();
            match ended {
                Ok(()) => {
                    tracing::error!(what, again_s, "work that goes on for ever has ended; it begins anew")
                }
                Err(error) => {
                    tracing::error!(what, %error, again_s, "work in the background crashed; it begins anew")
                }
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::mpsc;

    use super::*;

    /// A task that crashed was gone for good, and nobody heard of it.
    #[tokio::test(start_paused = true)]
    async fn what_crashes_or_ends_begins_anew_until_it_is_told_to_stop() {
        let (stop, lives) = (Stop::new(), Arc::new(AtomicU32::new(0)));
        let (told, mut tells) = mpsc::channel(8);
        let kept = keep_running("a test", stop.clone(), move || {
            let (lives, told) = (lives.clone(), told.clone());
            async move {
                match lives.fetch_add(1, Ordering::Relaxed) {
                    0 => panic!("on purpose"),
                    1 => {}
                    life => {
                        told.send(life).await.unwrap();
                        std::future::pending().await
                    }
                }
            }
        });
        assert_eq!(tells.recv().await, Some(2));
        stop.cancel();
        kept.await.unwrap();
        assert_eq!(tells.recv().await, None, "what it was doing has ended");
    }

    #[tokio::test]
    async fn whoever_drops_it_ends_it() {
        let (told, mut tells) = mpsc::channel::<()>(1);
        let kept = keep_running("a test", Stop::new(), move || {
            let told = told.clone();
            async move {
                told.send(()).await.unwrap();
                std::future::pending().await
            }
        });
        assert_eq!(tells.recv().await, Some(()));
        drop(kept);
        assert_eq!(tells.recv().await, None);
    }
}
