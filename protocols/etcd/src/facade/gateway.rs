//! The same services as JSON over HTTP, and the plain pages beside them.

mod call;
mod refuse;

use http::{Method, Request, Response, StatusCode};
use switchboard_facade::RequestBody;
use tonic::body::Body;

use super::{Shared, plain};
use call::Call;

/// Where the services are, under `/v3/` and, for older clients, under `/v3beta/`.
pub(super) async fn answer(state: Shared, request: Request<RequestBody>) -> Response<Body> {
    let path = request.uri().path().to_owned();
    let under = ["/v3/", "/v3beta/"].iter().find_map(|prefix| path.strip_prefix(prefix));
    let mut response = match under {
        None => plain::answer(&state, request.method(), &path, request.uri().query()),
        Some(_) if request.method() == Method::OPTIONS => refuse::empty(StatusCode::OK),
        Some(path) => {
            // etcd takes POST only; PUT is what many a guide prints.
            let right = matches!(*request.method(), Method::POST | Method::PUT);
            let call = Call { state, right, request };
            route(call, path).await
        }
    };
    refuse::cross_origin(response.headers_mut());
    response
}

async fn route(call: Call, path: &str) -> Response<Body> {
    use crate::wire::etcdserverpb::auth_server::Auth;
    use crate::wire::etcdserverpb::cluster_server::Cluster;
    use crate::wire::etcdserverpb::kv_server::Kv;
    use crate::wire::etcdserverpb::lease_server::Lease;
    use crate::wire::etcdserverpb::maintenance_server::Maintenance;
    use crate::wire::v3electionpb::election_server::Election;
    use crate::wire::v3lockpb::lock_server::Lock;

    macro_rules! unary {
        ($service:ident::$method:ident) => {
            call.unary(async |state, request| <Shared as $service>::$method(&state, request).await).await
        };
    }
    match path {
        "kv/range" => unary!(Kv::range),
        "kv/put" => unary!(Kv::put),
        "kv/deleterange" => unary!(Kv::delete_range),
        "kv/txn" => unary!(Kv::txn),
        "kv/compaction" => unary!(Kv::compact),
        "watch" => call.watch().await,
        "lease/grant" => unary!(Lease::lease_grant),
        "lease/revoke" | "kv/lease/revoke" => unary!(Lease::lease_revoke),
        "lease/timetolive" | "kv/lease/timetolive" => unary!(Lease::lease_time_to_live),
        "lease/leases" | "kv/lease/leases" => unary!(Lease::lease_leases),
        "lease/keepalive" => call.keep_alive().await,
        "cluster/member/add" => unary!(Cluster::member_add),
        "cluster/member/remove" => unary!(Cluster::member_remove),
        "cluster/member/update" => unary!(Cluster::member_update),
        "cluster/member/list" => unary!(Cluster::member_list),
        "cluster/member/promote" => unary!(Cluster::member_promote),
        "maintenance/alarm" => unary!(Maintenance::alarm),
        "maintenance/status" => unary!(Maintenance::status),
        "maintenance/defragment" => unary!(Maintenance::defragment),
        "maintenance/hash" => unary!(Maintenance::hash),
        "maintenance/hashkv" => unary!(Maintenance::hash_kv),
        "maintenance/snapshot" => {
            call.stream(async |state, request| Maintenance::snapshot(&state, request).await).await
        }
        "maintenance/transfer-leadership" => unary!(Maintenance::move_leader),
        "maintenance/downgrade" => unary!(Maintenance::downgrade),
        "auth/enable" => unary!(Auth::auth_enable),
        "auth/disable" => unary!(Auth::auth_disable),
        "auth/status" => unary!(Auth::auth_status),
        "auth/authenticate" => unary!(Auth::authenticate),
        "auth/user/add" => unary!(Auth::user_add),
        "auth/user/get" => unary!(Auth::user_get),
        "auth/user/list" => unary!(Auth::user_list),
        "auth/user/delete" => unary!(Auth::user_delete),
        "auth/user/changepw" => unary!(Auth::user_change_password),
        "auth/user/grant" => unary!(Auth::user_grant_role),
        "auth/user/revoke" => unary!(Auth::user_revoke_role),
        "auth/role/add" => unary!(Auth::role_add),
        "auth/role/get" => unary!(Auth::role_get),
        "auth/role/list" => unary!(Auth::role_list),
        "auth/role/delete" => unary!(Auth::role_delete),
        "auth/role/grant" => unary!(Auth::role_grant_permission),
        "auth/role/revoke" => unary!(Auth::role_revoke_permission),
        "lock/lock" => unary!(Lock::lock),
        "lock/unlock" => unary!(Lock::unlock),
        "election/campaign" => unary!(Election::campaign),
        "election/proclaim" => unary!(Election::proclaim),
        "election/leader" => unary!(Election::leader),
        "election/observe" => {
            call.stream(async |state, request| Election::observe(&state, request).await).await
        }
        "election/resign" => unary!(Election::resign),
        _ => refuse::unknown_path(),
    }
}
