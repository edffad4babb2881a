use switchboard_protocol_etcd::authpb;
use switchboard_protocol_etcd::authpb::permission::Type;
use switchboard_protocol_etcd::etcdserverpb as pb;
use switchboard_protocol_etcd::etcdserverpb::auth_client::AuthClient;
use switchboard_registry::Options;
use tonic::{Code, Request, Status};

use crate::support::*;

/// Roots are `root`, users `name` with the password `name`.
pub(crate) const CHEAP: &str = "bcrypt_cost = 4";

pub(crate) async fn guarded() -> World {
    let world = world_with(CHEAP, Options::default()).await;
    let mut auth = world.auth();
    auth.add_user("root").await;
    auth.grant_role("root", "root").await;
    auth.client.auth_enable(pb::AuthEnableRequest {}).await.unwrap();
    auth.sign_in("root").await;
    world
}

/// Someone who administers, with a token or without.
pub(crate) struct Auth {
    pub(crate) client: AuthClient<tonic::transport::Channel>,
    pub(crate) token: Option<String>,
}

impl World {
    pub(crate) fn auth(&self) -> Auth {
        Auth { client: AuthClient::new(self.channel.clone()), token: None }
    }

    pub(crate) async fn root(&self) -> Auth {
        let mut auth = self.auth();
        let token = auth.sign_in("root").await;
        auth.token = Some(token);
        auth
    }

    /// A user with read and write permissions, signed in.
    pub(crate) async fn user(&self, name: &str, read: &[(&str, &str)], write: &[(&str, &str)]) -> String {
        let mut root = self.root().await;
        root.add_user(name).await;
        let ask = root.with(pb::AuthRoleAddRequest { name: name.to_owned() });
        root.client.role_add(ask).await.unwrap();
        // Granted once more the same keys are granted another way, so each is granted once.
        for keys in read.iter().chain(write.iter().filter(|keys| !read.contains(keys))) {
            let kind = match (read.contains(keys), write.contains(keys)) {
                (true, true) => Type::Readwrite,
                (true, false) => Type::Read,
                (false, _) => Type::Write,
            };
            root.permit(name, kind, keys.0, keys.1).await.unwrap();
        }
        root.grant_role(name, name).await;
        self.auth().sign_in(name).await
    }
}

impl Auth {
    pub(crate) fn with<T>(&self, message: T) -> Request<T> {
        with(self.token.as_deref(), message)
    }

    pub(crate) async fn add_user(&mut self, name: &str) {
        let (name, password) = (name.to_owned(), name.to_owned());
        let ask = self.with(pb::AuthUserAddRequest { name, password, ..Default::default() });
        self.client.user_add(ask).await.unwrap();
    }

    pub(crate) async fn grant_role(&mut self, user: &str, role: &str) {
        let (user, role) = (user.to_owned(), role.to_owned());
        let ask = self.with(pb::AuthUserGrantRoleRequest { user, role });
        self.client.user_grant_role(ask).await.unwrap();
    }

    pub(crate) async fn permit(
        &mut self,
        role: &str,
        kind: Type,
        key: &str,
        end: &str,
    ) -> Result<(), Status> {
        let perm = Some(authpb::Permission { perm_type: kind.into(), key: b(key), range_end: b(end) });
        let ask = self.with(pb::AuthRoleGrantPermissionRequest { name: role.to_owned(), perm });
        self.client.role_grant_permission(ask).await.map(|_| ())
    }

    pub(crate) async fn sign_in(&mut self, name: &str) -> String {
        let (name, password) = (name.to_owned(), name.to_owned());
        let ask = pb::AuthenticateRequest { name, password };
        self.client.authenticate(ask).await.unwrap().into_inner().token
    }
}

pub(crate) fn with<T>(token: Option<&str>, message: T) -> Request<T> {
    let mut request = Request::new(message);
    show(&mut request, token);
    request
}

pub(crate) fn refused<T: std::fmt::Debug>(done: Result<T, Status>, code: Code, text: &str) {
    let status = done.expect_err("it was not refused");
    assert_eq!((status.code(), status.message()), (code, text));
}

pub(crate) fn denied<T: std::fmt::Debug>(done: Result<T, Status>) {
    refused(done, Code::PermissionDenied, "etcdserver: permission denied");
}
