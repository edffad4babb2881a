//! Users, roles and signing in.

mod jwt;
mod keys;
mod passwords;
mod tokens;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use switchboard_facade::ConfigError;
use tonic::{Request, Response, Status};

use super::{Client, Shared, State, client};
use crate::lens::accounts::{Accounts, ROOT, User};
use crate::plan::administer::{Administer, Change};
use crate::plan::permit::Who;
use crate::refusal::{self, Refusal};
use crate::wire::authpb::Permission;
use crate::wire::authpb::permission::Type;
use crate::wire::etcdserverpb as pb;
use crate::wire::etcdserverpb::auth_server::Auth;

pub(super) use jwt::Jwt;
pub(super) use passwords::Passwords;
pub(super) use tokens::Tokens;

/// By the setting `auth_token`, in etcd's words. None: tokens are simple ones.
pub(super) fn jwt(setting: &str) -> Result<Option<Jwt>, ConfigError> {
    let wrong = |why: String| ConfigError { key: "etcd.auth_token".to_owned(), why };
    match setting.split_once(',').unwrap_or((setting, "")) {
        ("simple", "") => Ok(None),
        ("jwt", options) => Jwt::open(options).map(Some).map_err(wrong),
        _ => Err(wrong(format!(
            "{setting:?} is neither \"simple\" nor of the form \"jwt,pub-key=FILE,priv-key=FILE,sign-method=RS256,ttl=5m\""
        ))),
    }
}

impl State {
    async fn administer(
        &self,
        client: &Client,
        change: Change,
    ) -> Result<Option<pb::ResponseHeader>, Refusal> {
        let who = self.who_now(client)?;
        let done = self.context.registry.submit(client, Administer { who, change }).await?;
        done.reply?;
        Ok(Some(self.header(done.revision)))
    }

    async fn change<T>(
        &self,
        request: Request<T>,
        change: impl FnOnce(T) -> Change,
    ) -> Result<Option<pb::ResponseHeader>, Refusal> {
        let client = client(&request);
        self.administer(&client, change(request.into_inner())).await
    }

    async fn sign_in(&self, client: &Client, name: &str, password: String) -> Result<String, Refusal> {
        let view = self.context.registry.view(client)?;
        if !Accounts(&view).guard().enabled {
            return Err(refusal::AUTH_DISABLED);
        }
        let user = Accounts(&view).kept_user(name);
        if let Some((User { no_password: true, .. }, _)) = &user {
            return Err(refusal::NO_PASSWORD_USER);
        }
        let hashed = user.as_ref().map(|(user, _)| user.password.clone());
        let fits = self.passwords.fits(password, hashed).await?;
        let (user, added) = user.filter(|_| fits).ok_or(refusal::AUTH_FAILED)?;
        if let Some(jwt) = &self.jwt {
            return jwt.sign(
                name,
                Accounts(&view).guard().revision,
                self.context.registry.now().wall_ms / 1000,
            );
        }
        // If the password was changed meanwhile, the token is worth nothing from the start.
        let index = self.context.registry.head().0;
        Ok(self.tokens.give(name, added, user.password, index)?.to_string())
    }

    /// The hash of a new password. Some clients send it hashed.
    async fn new_password(&self, password: String, hashed: &str) -> Result<Bytes, Refusal> {
        match password.is_empty() {
            false => self.passwords.hash(password).await,
            true => STANDARD.decode(hashed).map(Bytes::from).map_err(|_| refusal::NO_PASSWORD_USER),
        }
    }
}

#[async_trait]
impl Auth for Shared {
    async fn auth_enable(
        &self,
        request: Request<pb::AuthEnableRequest>,
    ) -> Result<Response<pb::AuthEnableResponse>, Status> {
        let change = |_: pb::AuthEnableRequest| Change::Enable;
        Ok(Response::new(pb::AuthEnableResponse { header: self.change(request, change).await? }))
    }

    async fn auth_disable(
        &self,
        request: Request<pb::AuthDisableRequest>,
    ) -> Result<Response<pb::AuthDisableResponse>, Status> {
        let header = self.administer(&client(&request), Change::Disable).await?;
        self.tokens.forget_all();
        Ok(Response::new(pb::AuthDisableResponse { header }))
    }

    async fn auth_status(
        &self,
        request: Request<pb::AuthStatusRequest>,
    ) -> Result<Response<pb::AuthStatusResponse>, Status> {
        let client = client(&request);
        let view = self.context.registry.view(&client).map_err(Refusal::from)?;
        // Nobody needs to be known for this, and yet a token has to be one.
        self.who(&client, &view)?;
        let guard = Accounts(&view).guard();
        let header = Some(self.header(view.revision()));
        let (enabled, auth_revision) = (guard.enabled, guard.revision);
        Ok(Response::new(pb::AuthStatusResponse { header, enabled, auth_revision }))
    }

    async fn authenticate(
        &self,
        request: Request<pb::AuthenticateRequest>,
    ) -> Result<Response<pb::AuthenticateResponse>, Status> {
        let client = client(&request);
        let pb::AuthenticateRequest { name, password } = request.into_inner();
        let token = self.sign_in(&client, &name, password).await?;
        Ok(Response::new(pb::AuthenticateResponse { header: Some(self.current_header()), token }))
    }

    async fn user_add(
        &self,
        request: Request<pb::AuthUserAddRequest>,
    ) -> Result<Response<pb::AuthUserAddResponse>, Status> {
        let client = client(&request);
        // Before anybody hashes anything for it.
        self.root(&client)?;
        // A hash that comes along is not taken: etcd makes its own of the password, also of an empty one.
        let pb::AuthUserAddRequest { name, password, options, hashed_password: _ } = request.into_inner();
        let no_password = options.is_some_and(|options| options.no_password);
        let password = match no_password {
            true => None,
            false => Some(self.passwords.hash(password).await?),
        };
        let header = self.administer(&client, Change::AddUser { name, password }).await?;
        Ok(Response::new(pb::AuthUserAddResponse { header }))
    }

    async fn user_change_password(
        &self,
        request: Request<pb::AuthUserChangePasswordRequest>,
    ) -> Result<Response<pb::AuthUserChangePasswordResponse>, Status> {
        let client = client(&request);
        self.root(&client)?;
        let pb::AuthUserChangePasswordRequest { name, password, hashed_password } = request.into_inner();
        let password = self.new_password(password, &hashed_password).await?;
        let header = self.administer(&client, Change::SetPassword { name, password }).await?;
        Ok(Response::new(pb::AuthUserChangePasswordResponse { header }))
    }

    async fn user_delete(
        &self,
        request: Request<pb::AuthUserDeleteRequest>,
    ) -> Result<Response<pb::AuthUserDeleteResponse>, Status> {
        let change = |pb::AuthUserDeleteRequest { name }| Change::DeleteUser { name };
        Ok(Response::new(pb::AuthUserDeleteResponse { header: self.change(request, change).await? }))
    }

    async fn user_grant_role(
        &self,
        request: Request<pb::AuthUserGrantRoleRequest>,
    ) -> Result<Response<pb::AuthUserGrantRoleResponse>, Status> {
        let change = |pb::AuthUserGrantRoleRequest { user, role }| Change::GrantRole { user, role };
        Ok(Response::new(pb::AuthUserGrantRoleResponse { header: self.change(request, change).await? }))
    }

    async fn user_revoke_role(
        &self,
        request: Request<pb::AuthUserRevokeRoleRequest>,
    ) -> Result<Response<pb::AuthUserRevokeRoleResponse>, Status> {
        let change = |pb::AuthUserRevokeRoleRequest { name: user, role }| Change::RevokeRole { user, role };
        Ok(Response::new(pb::AuthUserRevokeRoleResponse { header: self.change(request, change).await? }))
    }

    async fn user_get(
        &self,
        request: Request<pb::AuthUserGetRequest>,
    ) -> Result<Response<pb::AuthUserGetResponse>, Status> {
        let client = client(&request);
        let name = &request.get_ref().name;
        let view = self.context.registry.view(&client).map_err(Refusal::from)?;
        let who = self.who(&client, &view)?;
        // Everybody may look at oneself.
        if !matches!(&who, Who::User { name: asking, .. } if **asking == **name) {
            who.is_root(&view)?;
        }
        let user = Accounts(&view).user(name).ok_or(refusal::USER_NOT_FOUND)?;
        let header = Some(self.header(view.revision()));
        Ok(Response::new(pb::AuthUserGetResponse { header, roles: user.roles }))
    }

    async fn user_list(
        &self,
        request: Request<pb::AuthUserListRequest>,
    ) -> Result<Response<pb::AuthUserListResponse>, Status> {
        let client = client(&request);
        let view = self.context.registry.view(&client).map_err(Refusal::from)?;
        self.who(&client, &view)?.is_root(&view)?;
        let users = Accounts(&view).users().map(|(name, _)| name).collect();
        Ok(Response::new(pb::AuthUserListResponse { header: Some(self.header(view.revision())), users }))
    }

    async fn role_add(
        &self,
        request: Request<pb::AuthRoleAddRequest>,
    ) -> Result<Response<pb::AuthRoleAddResponse>, Status> {
        let change = |pb::AuthRoleAddRequest { name }| Change::AddRole { name };
        Ok(Response::new(pb::AuthRoleAddResponse { header: self.change(request, change).await? }))
    }

    async fn role_delete(
        &self,
        request: Request<pb::AuthRoleDeleteRequest>,
    ) -> Result<Response<pb::AuthRoleDeleteResponse>, Status> {
        let change = |pb::AuthRoleDeleteRequest { role: name }| Change::DeleteRole { name };
        Ok(Response::new(pb::AuthRoleDeleteResponse { header: self.change(request, change).await? }))
    }

    async fn role_grant_permission(
        &self,
        request: Request<pb::AuthRoleGrantPermissionRequest>,
    ) -> Result<Response<pb::AuthRoleGrantPermissionResponse>, Status> {
        let change = |pb::AuthRoleGrantPermissionRequest { name: role, perm: permission }| {
            Change::GrantPermission { role, permission }
        };
        Ok(Response::new(pb::AuthRoleGrantPermissionResponse { header: self.change(request, change).await? }))
    }

    async fn role_revoke_permission(
        &self,
        request: Request<pb::AuthRoleRevokePermissionRequest>,
    ) -> Result<Response<pb::AuthRoleRevokePermissionResponse>, Status> {
        let change = |pb::AuthRoleRevokePermissionRequest { role, key, range_end }| {
            Change::RevokePermission { role, key, range_end }
        };
        Ok(Response::new(pb::AuthRoleRevokePermissionResponse {
            header: self.change(request, change).await?,
        }))
    }

    async fn role_get(
        &self,
        request: Request<pb::AuthRoleGetRequest>,
    ) -> Result<Response<pb::AuthRoleGetResponse>, Status> {
        let client = client(&request);
        let name = &request.get_ref().role;
        let view = self.context.registry.view(&client).map_err(Refusal::from)?;
        let accounts = Accounts(&view);
        let who = self.who(&client, &view)?;
        // Everybody may look at what was granted to oneself.
        let has = |user: &str| accounts.user(user).is_some_and(|user| user.roles.contains(name));
        if !matches!(&who, Who::User { name: asking, .. } if has(asking)) {
            who.is_root(&view)?;
        }
        let role = accounts.role(name).ok_or(refusal::ROLE_NOT_FOUND)?;
        let perm = match name.as_str() {
            ROOT => vec![everything()],
            _ => role.permissions,
        };
        Ok(Response::new(pb::AuthRoleGetResponse { header: Some(self.header(view.revision())), perm }))
    }

    async fn role_list(
        &self,
        request: Request<pb::AuthRoleListRequest>,
    ) -> Result<Response<pb::AuthRoleListResponse>, Status> {
        let client = client(&request);
        let view = self.context.registry.view(&client).map_err(Refusal::from)?;
        self.who(&client, &view)?.is_root(&view)?;
        let roles = Accounts(&view).role_names().collect();
        Ok(Response::new(pb::AuthRoleListResponse { header: Some(self.header(view.revision())), roles }))
    }
}

/// What the role of root is shown to have.
fn everything() -> Permission {
    let range_end = Bytes::from_static(&[0]);
    Permission { perm_type: Type::Readwrite.into(), key: Bytes::new(), range_end }
}
