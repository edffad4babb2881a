use std::pin::Pin;

use async_trait::async_trait;
use futures_util::stream::Stream;
use switchboard_model::Revision;
use switchboard_registry::View;
use tonic::{Request, Response, Status};

use super::{STORAGE_VERSION, Shared, State, TERM, VERSION, client};
use crate::lens::alarms::{Alarm, alarms};
use crate::lens::revision_to_wire;
use crate::lens::snapshot::ByRevision;
use crate::refusal::{self, Refusal};
use crate::wire::etcdserverpb as pb;
use crate::wire::etcdserverpb::AlarmType;
use crate::wire::etcdserverpb::alarm_request::AlarmAction;
use crate::wire::etcdserverpb::downgrade_request::DowngradeAction;
use crate::wire::etcdserverpb::maintenance_server::Maintenance;

impl State {
    /// As a real etcd has it that holds the same keys, each at the same revision, and has compacted all that was before.
    fn hash(&self, view: &View) -> u32 {
        let mut hash = crc32c::crc32c(b"key");
        let told = ByRevision::of(self.keys(view)).tell(&mut |key, value| {
            hash = crc32c::crc32c_append(crc32c::crc32c_append(hash, key), value);
            Ok(())
        });
        // Nobody says that it is enough.
        drop(told);
        hash
    }
}

pub(super) type Pieces = Pin<Box<dyn Stream<Item = Result<pb::SnapshotResponse, Status>> + Send>>;

#[async_trait]
impl Maintenance for Shared {
    type SnapshotStream = Pieces;

    async fn alarm(&self, request: Request<pb::AlarmRequest>) -> Result<Response<pb::AlarmResponse>, Status> {
        let client = client(&request);
        let pb::AlarmRequest { action, member_id: member, alarm: kind } = request.into_inner();
        let (alarm, any) = (Alarm { member, kind }, kind == i32::from(AlarmType::None));
        let found = match AlarmAction::try_from(action) {
            Ok(AlarmAction::Get) => {
                self.known(&client)?;
                let view = self.context.registry.view(&client).map_err(Refusal::from)?;
                // Of whatever member, as etcd answers it.
                alarms(&view).filter(|it| any || it.kind == kind).map(Alarm::to_wire).collect()
            }
            Ok(AlarmAction::Activate | AlarmAction::Deactivate) if any => {
                self.root(&client)?;
                Vec::new()
            }
            Ok(action) => {
                let (who, on) = (self.who_now(&client)?, action == AlarmAction::Activate);
                let changed = self.sound(&client, who, alarm, on).await?;
                changed.into_iter().map(Alarm::to_wire).collect()
            }
            // A real etcd ends itself.
            Err(_) => return Err(refusal::NOT_CAPABLE.into()),
        };
        Ok(Response::new(pb::AlarmResponse { header: Some(self.current_header()), alarms: found }))
    }

    async fn status(
        &self,
        request: Request<pb::StatusRequest>,
    ) -> Result<Response<pb::StatusResponse>, Status> {
        let client = client(&request);
        self.known(&client)?;
        let view = self.context.registry.view(&client).map_err(Refusal::from)?;
        let size = self.quota.look(self).await.map_err(Refusal::from)?;
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        let wrong = alarms(&view).map(Alarm::to_text).chain(self.context.registry.waiting_for()).collect();
        let index = view.revision().0;
        Ok(Response::new(pb::StatusResponse {
            header: Some(self.header(view.revision())),
            version: VERSION.to_owned(),
            // Never nothing, which JSON would leave out.
            db_size: size.max(1),
            leader: self.identity.member_id,
            raft_index: index,
            raft_term: TERM,
            raft_applied_index: index,
            errors: wrong,
            db_size_in_use: size.max(1),
            is_learner: false,
            storage_version: STORAGE_VERSION.to_owned(),
            db_size_quota: self.quota.to_wire(),
            downgrade_info: Some(pb::DowngradeInfo::default()),
        }))
    }

    /// There is nothing to do: the store looks after its own file.
    async fn defragment(
        &self,
        request: Request<pb::DefragmentRequest>,
    ) -> Result<Response<pb::DefragmentResponse>, Status> {
        self.root(&client(&request))?;
        Ok(Response::new(pb::DefragmentResponse { header: None }))
    }

    async fn hash(&self, request: Request<pb::HashRequest>) -> Result<Response<pb::HashResponse>, Status> {
        let client = client(&request);
        self.root(&client)?;
        let view = self.context.registry.view(&client).map_err(Refusal::from)?;
        let header = Some(self.header(view.revision()));
        Ok(Response::new(pb::HashResponse { header, hash: State::hash(self, &view) }))
    }

    async fn hash_kv(
        &self,
        request: Request<pb::HashKvRequest>,
    ) -> Result<Response<pb::HashKvResponse>, Status> {
        let client = client(&request);
        self.root(&client)?;
        let newest = self.context.registry.view(&client).map_err(Refusal::from)?;
        let view = self.view_at(&client, &newest, request.get_ref().revision).await?;
        let compacted = match self.compact_revision() {
            0 => -1,
            compacted => compacted,
        };
        Ok(Response::new(pb::HashKvResponse {
            header: Some(self.header(newest.revision())),
            hash: State::hash(self, &view),
            compact_revision: compacted,
            hash_revision: revision_to_wire(view.revision().max(Revision(1))),
        }))
    }

    async fn snapshot(&self, request: Request<pb::SnapshotRequest>) -> Result<Response<Pieces>, Status> {
        let client = client(&request);
        self.root(&client)?;
        let view = self.context.registry.view(&client).map_err(Refusal::from)?;
        Ok(Response::new(self.snapshots.tell(self, view)?))
    }

    async fn move_leader(
        &self,
        request: Request<pb::MoveLeaderRequest>,
    ) -> Result<Response<pb::MoveLeaderResponse>, Status> {
        self.root(&client(&request))?;
        if request.get_ref().target_id != self.identity.member_id {
            return Err(refusal::BAD_TRANSFEREE.into());
        }
        // As etcd answers it: with nothing, not even a header.
        Ok(Response::new(pb::MoveLeaderResponse { header: None }))
    }

    async fn downgrade(
        &self,
        request: Request<pb::DowngradeRequest>,
    ) -> Result<Response<pb::DowngradeResponse>, Status> {
        self.root(&client(&request))?;
        let pb::DowngradeRequest { action, version } = request.get_ref();
        // A release, or a minor version.
        let is_version = matches!(version.split('.').count(), 2 | 3)
            && version.split('.').all(|part| part.parse::<u32>().is_ok());
        Err(match DowngradeAction::try_from(*action) {
            Ok(DowngradeAction::Cancel) => refusal::NO_DOWNGRADE,
            Ok(DowngradeAction::Validate | DowngradeAction::Enable) if is_version => {
                refusal::INVALID_DOWNGRADE_VERSION
            }
            Ok(DowngradeAction::Validate | DowngradeAction::Enable) => refusal::BAD_DOWNGRADE_VERSION,
            Err(_) => refusal::NOT_CAPABLE,
        }
        .into())
    }
}
