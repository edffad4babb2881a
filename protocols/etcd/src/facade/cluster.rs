use async_trait::async_trait;
use tonic::{Request, Response, Status};

use super::{Shared, State, client};
use crate::refusal;
use crate::wire::etcdserverpb as pb;
use crate::wire::etcdserverpb::cluster_server::Cluster;

impl State {
    /// There is one member, and it is this process: whatever stands behind it is not etcd's cluster.
    fn members(&self) -> Vec<pb::Member> {
        vec![pb::Member {
            id: self.identity.member_id,
            name: self.config.name.clone(),
            // Nobody connects there; clients only want the field to be there.
            peer_ur_ls: self.advertise.clone(),
            client_ur_ls: self.advertise.clone(),
            is_learner: false,
        }]
    }

    fn is_member(&self, id: u64) -> bool {
        id == self.identity.member_id
    }
}

#[async_trait]
impl Cluster for Shared {
    async fn member_add(
        &self,
        request: Request<pb::MemberAddRequest>,
    ) -> Result<Response<pb::MemberAddResponse>, Status> {
        self.root(&client(&request))?;
        Err(refusal::NOT_ENOUGH_MEMBERS.into())
    }

    async fn member_remove(
        &self,
        request: Request<pb::MemberRemoveRequest>,
    ) -> Result<Response<pb::MemberRemoveResponse>, Status> {
        self.root(&client(&request))?;
        let known = self.is_member(request.get_ref().id);
        Err(if known { refusal::NOT_ENOUGH_MEMBERS } else { refusal::MEMBER_NOT_FOUND }.into())
    }

    async fn member_update(
        &self,
        request: Request<pb::MemberUpdateRequest>,
    ) -> Result<Response<pb::MemberUpdateResponse>, Status> {
        self.root(&client(&request))?;
        let known = self.is_member(request.get_ref().id);
        Err(if known { refusal::NOT_CAPABLE } else { refusal::MEMBER_NOT_FOUND }.into())
    }

    async fn member_list(
        &self,
        request: Request<pb::MemberListRequest>,
    ) -> Result<Response<pb::MemberListResponse>, Status> {
        self.known(&client(&request))?;
        let header = Some(self.bare_header());
        Ok(Response::new(pb::MemberListResponse { header, members: self.members() }))
    }

    async fn member_promote(
        &self,
        request: Request<pb::MemberPromoteRequest>,
    ) -> Result<Response<pb::MemberPromoteResponse>, Status> {
        self.root(&client(&request))?;
        let known = self.is_member(request.get_ref().id);
        Err(if known { refusal::NOT_A_LEARNER } else { refusal::MEMBER_NOT_FOUND }.into())
    }
}
