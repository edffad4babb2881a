use async_trait::async_trait;
use bytes::Bytes;
use tonic::{Request, Response, Status};

use super::{Shared, State, caller};
use crate::wire::etcdserverpb::DeleteRangeRequest;
use crate::wire::v3lockpb as pb;
use crate::wire::v3lockpb::lock_server::Lock;

#[async_trait]
impl Lock for Shared {
    async fn lock(&self, request: Request<pb::LockRequest>) -> Result<Response<pb::LockResponse>, Status> {
        let caller = caller(&request);
        let pb::LockRequest { name, lease } = request.into_inner();
        let mut place = self.join(&caller, &name, lease, Bytes::new()).await?;
        self.wait(&place, &name).await?;
        place.keep();
        Ok(Response::new(pb::LockResponse { header: Some(self.current_header()), key: place.key.clone() }))
    }

    async fn unlock(
        &self,
        request: Request<pb::UnlockRequest>,
    ) -> Result<Response<pb::UnlockResponse>, Status> {
        let caller = caller(&request);
        let key = request.into_inner().key;
        let done = State::delete(self, &caller, DeleteRangeRequest { key, ..Default::default() }).await?;
        Ok(Response::new(pb::UnlockResponse { header: done.header }))
    }
}
