//! Any bytes whatsoever, to everything that reads them. `CONTRIBUTING.md` says how to let these run for a night; what was
//! found is kept in `__fuzz__` and tried again in every run of the tests.

use std::fmt::Debug;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use bolero::check;
use bytes::Bytes;
use prost::Message;
use serde::Serialize;
use serde::de::DeserializeOwned;
use switchboard_model::Name;
use switchboard_registry::{Intent, Now, ServiceTime, Snapshot};
use tokio::io::{AsyncRead, ReadBuf};

use crate::bolt::{self, PAGE, Reader};
use crate::facade::authority::Readable;
use crate::lens::accounts::{Guard, Role, User};
use crate::lens::projection::{Projection, Projections};
use crate::lens::restored::Restored;
use crate::lens::value::{Described, Form};
use crate::plan::apply::{Apply, Pasts};
use crate::plan::check;
use crate::plan::find::find;
use crate::plan::permit::Who;
use crate::wire::etcdserverpb as pb;
use crate::wire::etcdserverpb::request_op::Request;
use crate::wire::{json, v3electionpb, v3lockpb};

fn projections() -> Arc<Projections> {
    let prefix = "/s/".to_owned();
    let home = Name::parse("node", "home").ok();
    Arc::new(Projections(vec![Projection {
        prefix,
        namespace: Name::default_namespace(),
        form: Form::Json,
        home,
    }]))
}

/// A request that was let through is planned on an empty store: its plan is a plan, or it is refused and writes nothing.
fn planned(request: Request) {
    let checked = match &request {
        Request::RequestRange(request) => check::range(request),
        Request::RequestPut(request) => check::put(request),
        Request::RequestDeleteRange(request) => check::delete(request),
        Request::RequestTxn(request) => check::txn(request, 128),
    };
    if checked.is_err() {
        return;
    }
    if let Request::RequestRange(request) = &request {
        find(request, std::iter::empty());
    }
    let (at, now) = (Snapshot::default(), Now { wall_ms: 0, service: ServiceTime(0) });
    let apply = Apply { who: Who::Nobody, request, projections: projections(), pasts: Pasts::default() };
    let Ok(done) = apply.plan(&at, now) else { return };
    assert!(done.reply.is_ok() || done.plan.writes.is_empty(), "refused, and written all the same");
}

trait Wire: Message + Serialize + DeserializeOwned + PartialEq + Default + Debug {}

impl<T: Message + Serialize + DeserializeOwned + PartialEq + Default + Debug> Wire for T {}

/// A message says the same in JSON. What nests deeper than JSON is read here is refused, and so is an enum's number that
/// has no name.
#[track_caller]
fn comes_back<T: Wire>(message: &T) {
    let Ok(text) = serde_json::to_vec(message) else { return };
    let Ok(again) = json::whole::<T>(&text) else { return };
    assert_eq!(again, *message, "{}", String::from_utf8_lossy(&text));
}

fn binary<T: Wire>(bytes: &[u8]) -> Option<T> {
    let message = T::decode(bytes).ok()?;
    comes_back(&message);
    Some(message)
}

#[test]
fn protobuf() {
    check!().for_each(|bytes: &[u8]| {
        let Some((kind, bytes)) = bytes.split_first() else { return };
        match kind % 8 {
            0 => drop(binary(bytes).map(Request::RequestTxn).map(planned)),
            1 => drop(binary(bytes).map(Request::RequestRange).map(planned)),
            2 => drop(binary(bytes).map(Request::RequestPut).map(planned)),
            3 => drop(binary(bytes).map(Request::RequestDeleteRange).map(planned)),
            4 => drop(binary::<pb::WatchRequest>(bytes)),
            5 => drop(binary::<pb::AuthRoleGrantPermissionRequest>(bytes)),
            6 => drop(binary::<v3electionpb::ProclaimRequest>(bytes)),
            _ => drop(binary::<v3lockpb::LockRequest>(bytes)),
        }
    });
}

#[test]
fn json() {
    check!().for_each(|bytes: &[u8]| {
        let _ = json::whole::<pb::TxnRequest>(bytes).map(|it| planned(Request::RequestTxn(it)));
        let _ = json::whole::<pb::RangeRequest>(bytes).map(|it| planned(Request::RequestRange(it)));
        let _ = json::whole::<pb::PutRequest>(bytes).map(|it| planned(Request::RequestPut(it)));
        let _ = json::whole::<pb::LeaseGrantRequest>(bytes).map(|it| comes_back(&it));
        let _ = json::whole::<pb::AuthUserAddRequest>(bytes).map(|it| comes_back(&it));
    });
}

/// Documents one after the other: each ends where the next begins, and their end is reached.
#[test]
fn documents() {
    check!().for_each(|bytes: &[u8]| {
        let mut rest = bytes;
        while let Some(Ok((_, end))) = json::first::<pb::WatchRequest>(rest) {
            assert!(end > 0 && end <= rest.len(), "a document of no length");
            rest = &rest[end..];
        }
    });
}

#[test]
fn key_and_value() {
    check!().for_each(|bytes: &[u8]| {
        let all = projections();
        let by = &all.0[0];
        let _ = Described::from_wire(bytes);
        let split = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        let (key, value) = bytes.split_at(split);
        let key: Bytes = [by.prefix.as_bytes(), key].concat().into();
        let Some(place) = by.read(&key) else { return };
        assert_eq!(by.write(&place), Some(key.clone()));
        let value = Bytes::copy_from_slice(value.get(1..).unwrap_or_default());
        if by.instance(None, place, &value).is_some() {
            planned(Request::RequestPut(pb::PutRequest { key, value, ..Default::default() }));
        }
    });
}

/// Of our own disk, where bytes may have changed.
#[test]
fn account() {
    check!().for_each(|bytes: &[u8]| {
        let _ = (User::decode(bytes), Role::decode(bytes), Guard::decode(bytes));
    });
}

/// What a connection says is handed on the same in whatever pieces it comes.
#[test]
fn head() {
    check!().for_each(|bytes: &[u8]| {
        let (pieces, bytes) = bytes.split_first().map_or((1, bytes), |(first, rest)| (*first, rest));
        let said = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", bytes].concat();
        let whole = read(&said, said.len());
        assert_eq!(read(&said, usize::from(pieces).max(1)), whole);
        assert!(whole.len() <= said.len() + 9, "more than what was said");
    });
}

fn read(said: &[u8], at_once: usize) -> Vec<u8> {
    let mut connection = pin!(Readable::new(Pieces { said, at_once }, std::sync::Arc::default()));
    let (mut space, mut heard) = ([0; 256], Vec::new());
    loop {
        let mut buf = ReadBuf::new(&mut space);
        match connection.as_mut().poll_read(&mut Context::from_waker(Waker::noop()), &mut buf) {
            Poll::Ready(Ok(())) if !buf.filled().is_empty() => heard.extend_from_slice(buf.filled()),
            _ => return heard,
        }
    }
}

struct Pieces<'a> {
    said: &'a [u8],
    at_once: usize,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let (now, later) = self.said.split_at(self.at_once.min(buf.remaining()).min(self.said.len()));
        buf.put_slice(now);
        self.said = later;
        Poll::Ready(Ok(()))
    }
}

/// Pages behind heads that are good, so that they are looked at.
#[test]
fn file() {
    check!().for_each(|pages: &[u8]| {
        let count = pages.len().div_ceil(PAGE) as u64 + 2;
        let mut file = [bolt::head(0, 2, 3, count), bolt::head(1, 2, 3, count), pages.to_vec()].concat();
        file.resize(file.len().next_multiple_of(PAGE), 0);
        let Ok(mut reader) = Reader::open(std::io::Cursor::new(file)) else { panic!("the heads are good") };
        let mut restored = Restored::default();
        for bucket in Restored::BUCKETS {
            let _ = reader.bucket(bucket.as_bytes(), &mut |key, value| {
                let _ = restored.hear(bucket, key, value);
                Ok(())
            });
        }
    });
}
