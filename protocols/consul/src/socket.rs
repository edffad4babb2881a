//! A socket in the file system, as agents of Consul offer one: whoever may open it is carried to the listener.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;

/// Bound, and gone from the file system when it is dropped.
pub(crate) struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

impl Socket {
    pub(crate) fn bind(path: &Path) -> anyhow::Result<Socket> {
        forget_dead(path);
        let listener = UnixListener::bind(path)
            .with_context(|| format!("consul: cannot listen on {} (consul.socket)", path.display()))?;
        Ok(Socket { listener, path: path.to_owned() })
    }

    /// Carries what arrives to `to`, at most so many connections at a time; the others wait.
    pub(crate) async fn carry(self: Arc<Socket>, to: SocketAddr, connections: usize) {
        let places = Arc::new(Semaphore::new(connections));
        while let Ok(place) = places.clone().acquire_owned().await {
            match self.listener.accept().await {
                Ok((client, _)) => {
                    tokio::spawn(async move {
                        carried(client, to).await;
                        drop(place);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, socket = %self.path.display(), "cannot accept connections; trying again");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
        }
    }
}

/// How it ends is between the client and the listener.
async fn carried(mut client: UnixStream, to: SocketAddr) {
    match TcpStream::connect(to).await {
        Ok(mut server) => {
            let _ = server.set_nodelay(true);
            let _ = copy_bidirectional(&mut client, &mut server).await;
        }
        Err(error) => tracing::warn!(%error, "a connection of the socket did not reach the listener"),
    }
}

/// A process that was killed leaves its socket behind.
fn forget_dead(path: &Path) {
    let is_socket = std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    let is_dead = || {
        std::os::unix::net::UnixStream::connect(path)
            .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    };
    if is_socket && is_dead() {
        let _ = std::fs::remove_file(path);
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}
