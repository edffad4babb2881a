//! The way in: what a file of etcd's holds, brought into a registry that has no keys yet.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use ring::digest;
use switchboard_facade::{Section, from_section};
use switchboard_model::{Lease, OnExpiry};
use switchboard_registry::plan::Grant;
use switchboard_registry::{Caller, Registry};

use crate::bolt::Reader;
use crate::config::Config;
use crate::lens::accounts::{put_guard, put_role, put_user};
use crate::lens::keys::Keys;
use crate::lens::lease_from_wire;
use crate::lens::projection::Projections;
use crate::lens::range::{End, KeyRange};
use crate::lens::restored::Restored;
use crate::plan::apply::{Apply, Pasts};
use crate::plan::bring::Bring;
use crate::plan::permit::Who;
use crate::wire::etcdserverpb::request_op::Request;
use crate::wire::etcdserverpb::{PutRequest, RequestOp, TxnRequest};
use crate::wire::mvccpb::KeyValue;

/// Of one commit.
const KEYS: usize = 1000;
const BYTES: usize = 4 * 1024 * 1024;

/// What was brought in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// The newest revision in the file; here keys have others.
    pub revision: u64,
    pub keys: usize,
    pub leases: usize,
    pub users: usize,
    pub roles: usize,
    /// Whether users are asked for from now on.
    pub guarded: bool,
}

/// Reads what `etcdctl snapshot save` wrote, or the file `member/snap/db` of an etcd that is stopped, and puts its keys under
/// their leases, as the section `[etcd]` has it; keys that are instances become instances.
pub async fn import(registry: &Registry, section: &Section, file: &Path) -> anyhow::Result<Imported> {
    let config: Config = from_section("etcd", section)?;
    let projections = Arc::new(config.projections()?);
    let path = file.to_owned();
    let read = tokio::task::spawn_blocking(move || read(&path)).await?;
    let restored = read.with_context(|| format!("{} cannot be imported", file.display()))?;
    let caller = Caller::internal("etcd");
    let view = registry.view(&caller)?;
    let everything = KeyRange { start: Bytes::from_static(&[0]), end: End::Open };
    let keys = Keys { at: &view, projections: &projections };
    let is_taken = |id: &i64| lease_from_wire(*id).is_some_and(|id| view.lease(id).is_some());
    if keys.range(&everything).next().is_some() || restored.leases.keys().any(is_taken) {
        bail!("there are keys or leases of etcd already; import into another folder: --data-dir DIR");
    }
    let imported = Imported {
        revision: restored.revision,
        keys: restored.keys.len(),
        leases: restored.leases.len(),
        users: restored.users.len(),
        roles: restored.roles.len(),
        guarded: restored.guard.enabled,
    };
    bring(registry, &caller, projections, restored)
        .await
        .context("only a part of it was imported; begin again with another folder")?;
    Ok(imported)
}

async fn bring(
    registry: &Registry,
    caller: &Caller,
    projections: Arc<Projections>,
    restored: Restored,
) -> anyhow::Result<()> {
    for (id, ttl) in &restored.leases {
        let ttl = Duration::from_secs(ttl.max(&1).unsigned_abs()).min(Lease::MAX_TTL);
        let grant = Grant { id: lease_from_wire(*id), ttl, on_expiry: OnExpiry::Delete };
        registry.submit(caller, grant).await.with_context(|| format!("its lease {id:x}"))?;
    }
    let (mut puts, mut bytes) = (Vec::new(), 0);
    for kv in restored.keys.into_values() {
        // As etcd does with a key whose lease is not there: it stays.
        let lease = if restored.leases.contains_key(&kv.lease) { kv.lease } else { 0 };
        bytes += kv.key.len() + kv.value.len();
        puts.push(put(KeyValue { lease, ..kv }));
        if puts.len() >= KEYS || bytes >= BYTES {
            bytes = 0;
            apply(registry, caller, &projections, std::mem::take(&mut puts)).await?;
        }
    }
    apply(registry, caller, &projections, puts).await?;
    let users = restored.users.iter().map(|(name, user)| put_user(name, user));
    let roles = restored.roles.iter().map(|(name, role)| put_role(name, role));
    let accounts = roles.chain(users).chain([put_guard(&restored.guard)]).collect();
    registry.submit(caller, Bring(accounts)).await.context("its users and roles")?;
    Ok(())
}

fn put(KeyValue { key, value, lease, .. }: KeyValue) -> RequestOp {
    let put = PutRequest { key, value, lease, ..PutRequest::default() };
    RequestOp { request: Some(Request::RequestPut(put)) }
}

async fn apply(
    registry: &Registry,
    caller: &Caller,
    projections: &Arc<Projections>,
    success: Vec<RequestOp>,
) -> anyhow::Result<()> {
    let request = Request::RequestTxn(TxnRequest { success, ..TxnRequest::default() });
    let apply =
        Apply { who: Who::Itself, request, projections: projections.clone(), pasts: Pasts::default() };
    match registry.submit(caller, apply).await.context("its keys")?.reply {
        Ok(_) => Ok(()),
        Err(refusal) => bail!("its keys: {}", refusal.text),
    }
}

fn read(path: &Path) -> io::Result<Restored> {
    let mut file = File::open(path)?;
    check_sum(&mut file)?;
    let mut reader = Reader::open(file)?;
    let mut restored = Restored::default();
    for bucket in Restored::BUCKETS {
        let found = reader.bucket(bucket.as_bytes(), &mut |key, value| {
            restored.hear(bucket, key, value).map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))
        })?;
        if !found && bucket == "key" {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "it has no bucket \"key\": it is none of etcd's",
            ));
        }
    }
    Ok(restored)
}

/// What etcdctl saves has its sum behind it, and so is not whole pages.
fn check_sum(file: &mut File) -> io::Result<()> {
    let length = file.seek(SeekFrom::End(0))?;
    if length % 512 != 32 {
        return Ok(());
    }
    file.seek(SeekFrom::Start(0))?;
    let (mut sum, mut left, mut piece) =
        (digest::Context::new(&digest::SHA256), length - 32, vec![0; 1 << 16]);
    while left > 0 {
        let now = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
        let piece = piece.get_mut(..now).unwrap_or_default();
        file.read_exact(piece)?;
        sum.update(piece);
        left = left.saturating_sub(u64::try_from(now).unwrap_or(left));
    }
    let mut said = [0; 32];
    file.read_exact(&mut said)?;
    if sum.finish().as_ref() != said {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it is not what was saved: its SHA-256 is another",
        ));
    }
    Ok(())
}
