use async_trait::async_trait;
use bytes::Bytes;
use tonic::{Request, Response, Status};

use super::turn::without_code;
use super::{Shared, State, client};
use crate::wire::etcdserverpb::DeleteRangeRequest;
use crate::wire::v3lockpb as pb;
use crate::wire::v3lockpb::lock_server::Lock;

#[async_trait]
impl Lock for Shared {
    async fn lock(&self, request: Request<pb::LockRequest>) -> Result<Response<pb::LockResponse>, Status> {
        let client = client(&request);
        let pb::LockRequest { name, lease } = request.into_inner();
        let mut place = self.join(&client, &name, lease, Bytes::new()).await.map_err(without_code)?;
        self.wait(&place, &name).await.map_err(without_code)?;
        place.keep();
        Ok(Response::new(pb::LockResponse { header: Some(self.current_header()), key: place.key.clone() }))
    }

    async fn unlock(
        &self,
        request: Request<pb::UnlockRequest>,
    ) -> Result<Response<pb::UnlockResponse>, Status> {
        let client = client(&request);
        let key = request.into_inner().key;
        let delete = DeleteRangeRequest { key, ..Default::default() };
        let done = State::delete(self, &client, delete).await.map_err(without_code)?;
        Ok(Response::new(pb::UnlockResponse { header: done.header }))
    }
}
