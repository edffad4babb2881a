//! Several datagrams per system call, in and out.

use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use nix::sys::socket::{MsgFlags, MultiHeaders, SockaddrStorage, recvmmsg, sendmmsg};
use tokio::io::Interest;
use tokio::net::UdpSocket;

/// Datagrams taken at once at most.
const MOST: usize = 32;
/// The longest that is read whole; what is longer arrives cut off.
const LONGEST: usize = 4096;

pub(super) struct Batch {
    buffers: Vec<Box<[u8]>>,
    /// How long each is that was received, and who sent it.
    received: Vec<(usize, SocketAddr)>,
    answers: Vec<Vec<u8>>,
    /// The places of the answers that are to be sent.
    said: Vec<usize>,
}

impl Batch {
    pub(super) fn new() -> Batch {
        Batch {
            buffers: (0..MOST).map(|_| vec![0; LONGEST].into_boxed_slice()).collect(),
            received: Vec::with_capacity(MOST),
            answers: vec![Vec::new(); MOST],
            said: Vec::with_capacity(MOST),
        }
    }

    /// Waits for a datagram, and takes those that came with it.
    pub(super) async fn receive(&mut self, socket: &UdpSocket) -> io::Result<()> {
        let Batch { buffers, received, .. } = self;
        socket.async_io(Interest::READABLE, || receive(socket, buffers, received)).await
    }

    /// Lets `with` answer each datagram into an empty buffer, and say whether the answer is to be sent.
    pub(super) fn answer(&mut self, mut with: impl FnMut(&[u8], SocketAddr, &mut Vec<u8>) -> bool) {
        self.said.clear();
        let places = self.received.iter().zip(&self.buffers).zip(&mut self.answers);
        for (place, (((length, peer), buffer), answer)) in places.enumerate() {
            answer.clear();
            if with(buffer.get(..*length).unwrap_or(buffer), *peer, answer) {
                self.said.push(place);
            }
        }
    }

    /// Sends the answers. What cannot be sent is lost, as datagrams may be.
    pub(super) async fn send(&mut self, socket: &UdpSocket) {
        let mut rest = self.said.as_slice();
        while !rest.is_empty() {
            let sent = socket
                .async_io(Interest::WRITABLE, || send(socket, rest, &self.answers, &self.received))
                .await
                // The first of them is refused: whoever it is for cannot be reached.
                .unwrap_or(1);
            rest = rest.get(sent.max(1)..).unwrap_or_default();
        }
    }
}

fn receive(
    socket: &UdpSocket,
    buffers: &mut [Box<[u8]>],
    received: &mut Vec<(usize, SocketAddr)>,
) -> io::Result<()> {
    received.clear();
    let mut slices: Vec<[IoSliceMut<'_>; 1]> =
        buffers.iter_mut().map(|buffer| [IoSliceMut::new(buffer)]).collect();
    // Their pointers keep them from waiting in a task, and a few words are cheap beside a system call.
    let mut headers = MultiHeaders::<SockaddrStorage>::preallocate(slices.len(), None);
    let messages =
        recvmmsg(socket.as_raw_fd(), &mut headers, slices.iter_mut(), MsgFlags::MSG_DONTWAIT, None)?;
    received.extend(messages.map(|message| (message.bytes, peer(message.address))));
    Ok(())
}

fn send(
    socket: &UdpSocket,
    places: &[usize],
    answers: &[Vec<u8>],
    received: &[(usize, SocketAddr)],
) -> io::Result<usize> {
    let mut slices = Vec::with_capacity(places.len());
    let mut peers = Vec::with_capacity(places.len());
    for place in places {
        let (Some(answer), Some((_, peer))) = (answers.get(*place), received.get(*place)) else { continue };
        slices.push([IoSlice::new(answer)]);
        peers.push(Some(SockaddrStorage::from(*peer)));
    }
    let mut headers = MultiHeaders::preallocate(slices.len(), None);
    let sent = sendmmsg(
        socket.as_raw_fd(),
        &mut headers,
        slices.iter(),
        peers.as_slice(),
        [].as_slice(),
        MsgFlags::MSG_DONTWAIT,
    )?;
    Ok(sent.count())
}

/// Nobody at all, if the kernel does not say who; nothing can be sent there.
fn peer(address: Option<SockaddrStorage>) -> SocketAddr {
    let nobody = SocketAddr::from(([0, 0, 0, 0], 0));
    address.map_or(nobody, |address| match (address.as_sockaddr_in(), address.as_sockaddr_in6()) {
        (Some(four), _) => SocketAddr::V4((*four).into()),
        (None, Some(six)) => SocketAddr::V6((*six).into()),
        (None, None) => nobody,
    })
}
