//! One write for everything that is ready. HTTP/2 carries many answers at once, the library writes each as soon as it has it, and
//! a write costs more than most answers do. Behind this, what a connection has to say is kept until the tasks that were ready to
//! run have added to it: for one turn of the scheduler.
//!
//! HTTP/1 has one answer at a time, and nothing of it waits.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use parking_lot::Mutex;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What waits for one write at most. More is written when it comes, or waited with.
const ENOUGH: usize = 64 * 1024;
/// Room that a connection keeps between writes.
const KEPT: usize = 16 * 1024;

/// A connection that gathers what is written to it. Its clones are the same connection.
pub(crate) struct Gather<T>(Arc<Mutex<Gathered<T>>>);

struct Gathered<T> {
    connection: T,
    waiting: BytesMut,
    gathers: bool,
    /// What waits has waited for a turn.
    is_due: bool,
    /// Why nothing more can be said. The work is told when it next reads or writes.
    broken: Option<io::ErrorKind>,
}

impl<T> Clone for Gather<T> {
    fn clone(&self) -> Gather<T> {
        Gather(Arc::clone(&self.0))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> Gather<T> {
    pub(crate) fn new(connection: T) -> Gather<T> {
        let waiting = BytesMut::new();
        let gathered = Gathered { connection, waiting, gathers: false, is_due: false, broken: None };
        Gather(Arc::new(Mutex::new(gathered)))
    }

    /// From here on answers come many at a time.
    pub(crate) fn gather(&self) {
        self.0.lock().gathers = true;
    }

    /// Does the connection's work, and after each piece of it writes what has waited long enough.
    pub(crate) async fn drive<F: Future>(&self, mut work: Pin<&mut F>) -> F::Output {
        poll_fn(|cx| {
            let done = work.as_mut().poll(cx);
            self.0.lock().turn(cx, done.is_ready());
            done
        })
        .await
    }
}

impl<T: AsyncWrite + Unpin> Gathered<T> {
    fn turn(&mut self, cx: &mut Context<'_>, is_last: bool) {
        if self.waiting.is_empty() {
            return;
        }
        if !self.is_due && !is_last {
            self.is_due = true;
            cx.waker().wake_by_ref();
        } else if let Poll::Ready(Err(error)) = self.write(cx) {
            self.broken = Some(error.kind());
            cx.waker().wake_by_ref();
        }
    }

    fn write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.waiting.is_empty() {
            match ready!(Pin::new(&mut self.connection).poll_write(cx, &self.waiting)) {
                Ok(written @ 1..) => self.waiting.advance(written),
                failed => {
                    // Nobody will ever read it.
                    self.waiting.clear();
                    return Poll::Ready(failed.and(Err(io::ErrorKind::WriteZero.into())));
                }
            }
        }
        self.is_due = false;
        if self.waiting.capacity() > KEPT {
            self.waiting = BytesMut::new();
        }
        Pin::new(&mut self.connection).poll_flush(cx)
    }

    fn intact(&self) -> io::Result<()> {
        self.broken.map_or(Ok(()), |kind| Err(kind.into()))
    }

    /// Takes what there is room for; waits for room.
    fn take(&mut self, cx: &mut Context<'_>, pieces: &[&[u8]]) -> Poll<io::Result<usize>> {
        self.intact()?;
        if self.waiting.len() >= ENOUGH {
            ready!(self.write(cx))?;
        }
        let mut taken = 0;
        for piece in pieces {
            let room = ENOUGH - self.waiting.len();
            let piece = piece.get(..room).unwrap_or(piece);
            self.waiting.extend_from_slice(piece);
            taken += piece.len();
        }
        Poll::Ready(Ok(taken))
    }
}

impl<T: AsyncRead + AsyncWrite + Unpin> AsyncRead for Gather<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut this = self.0.lock();
        this.intact()?;
        Pin::new(&mut this.connection).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Gather<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut this = self.0.lock();
        if this.gathers {
            this.take(cx, &[bytes])
        } else {
            Pin::new(&mut this.connection).poll_write(cx, bytes)
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut this = self.0.lock();
        if !this.gathers {
            return Pin::new(&mut this.connection).poll_write_vectored(cx, pieces);
        }
        match pieces {
            [first, second] => this.take(cx, &[first, second]),
            pieces => {
                let pieces: Vec<&[u8]> = pieces.iter().map(|piece| &**piece).collect();
                this.take(cx, &pieces)
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.0.lock().connection.is_write_vectored()
    }

    /// Whoever flushes has no more to say at the moment; others of the same connection may.
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut this = self.0.lock();
        if this.gathers { Poll::Ready(Ok(())) } else { Pin::new(&mut this.connection).poll_flush(cx) }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut this = self.0.lock();
        ready!(this.write(cx))?;
        Pin::new(&mut this.connection).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    fn numbers(count: usize) -> Vec<u8> {
        (0..count).map(|n| u8::try_from(n % 251).unwrap()).collect()
    }

    /// What reaches the other side.
    async fn heard(mut far: tokio::io::DuplexStream) -> Vec<u8> {
        let mut all = Vec::new();
        far.read_to_end(&mut all).await.unwrap();
        all
    }

    #[tokio::test]
    async fn what_is_said_within_a_turn_goes_out_with_it() {
        let (mut far, near) = tokio::io::duplex(1024);
        let near = Gather::new(near);
        let mut writing = near.clone();
        let work = async move {
            writing.write_all(b"at once,").await.unwrap();
            writing.gather();
            writing.write_all(b"and ").await.unwrap();
            writing.flush().await.unwrap();
            tokio::task::yield_now().await;
            writing.write_all(b"together").await.unwrap();
            writing.flush().await.unwrap();
            std::future::pending::<()>().await;
        };
        let work = pin!(work);
        let mut work = pin!(near.drive(work));
        let mut read = [0; 64];
        let mut turn = async || {
            poll_once(work.as_mut()).await;
            let mut buffer = ReadBuf::new(&mut read);
            let _ = poll_fn(|cx| Poll::Ready(Pin::new(&mut far).poll_read(cx, &mut buffer))).await;
            String::from_utf8(buffer.filled().to_vec()).unwrap()
        };
        assert_eq!(turn().await, "at once,");
        assert_eq!(turn().await, "and together");
    }

    async fn poll_once<F: Future>(mut work: Pin<&mut F>) {
        poll_fn(|cx| {
            let _ = work.as_mut().poll(cx);
            Poll::Ready(())
        })
        .await;
    }

    /// More than may wait, to somebody who takes little of it at a time, and the last of it with the goodbye.
    #[tokio::test]
    async fn nothing_is_lost_and_nothing_overtakes() {
        let (far, near) = tokio::io::duplex(1000);
        let near = Gather::new(near);
        near.gather();
        let mut writing = near.clone();
        let hearing = tokio::spawn(heard(far));
        let said = numbers(5 * ENOUGH + 77);
        let (all, mut most) = (said.clone(), 0);
        let work = async {
            for piece in said.chunks(1499) {
                let (first, second) = piece.split_at(piece.len() / 3);
                let mut left = [io::IoSlice::new(first), io::IoSlice::new(second), io::IoSlice::new(b"")];
                let mut left = &mut left[..];
                while left.iter().any(|piece| !piece.is_empty()) {
                    let taken = writing.write_vectored(left).await.unwrap();
                    io::IoSlice::advance_slices(&mut left, taken);
                }
                most = most.max(writing.0.lock().waiting.len());
            }
            writing.shutdown().await.unwrap();
        };
        near.drive(pin!(work)).await;
        drop((near, writing));
        assert_eq!(hearing.await.unwrap(), all);
        assert!((ENOUGH / 2..=ENOUGH).contains(&most), "{most}");
    }

    /// It would wait for somebody to say something, and nobody will.
    #[tokio::test]
    async fn a_connection_that_broke_ends_the_work() {
        let near = Gather::new(Broken);
        near.gather();
        let mut writing = near.clone();
        let work = async move {
            writing.write_all(b"is anybody there?").await.unwrap();
            let read = writing.read(&mut [0]).await;
            (read.unwrap_err().kind(), writing.write(b"well?").await.unwrap_err().kind())
        };
        assert_eq!(near.drive(pin!(work)).await, (io::ErrorKind::TimedOut, io::ErrorKind::TimedOut));
    }

    /// Takes nothing and says nothing.
    struct Broken;

    impl AsyncRead for Broken {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    impl AsyncWrite for Broken {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }
}
