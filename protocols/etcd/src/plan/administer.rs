//! Changes to users and roles, and whether users are asked for at all.

use bytes::Bytes;
use switchboard_model::Rejection;
use switchboard_registry::plan::{Plan, Write};
use switchboard_registry::{Intent, Now, Planned, Snapshot};

use super::permit::Who;
use crate::lens::accounts::{
    Accounts, Guard, ROOT, Role, User, delete_role, delete_user, put_guard, put_role, put_user,
};
use crate::lens::range::KeyRange;
use crate::refusal::{self, Refusal};
use crate::wire::authpb::Permission;

/// Only root may; and while nobody is asked for anything, everybody.
#[derive(Clone, Debug)]
pub(crate) struct Administer {
    pub(crate) who: Who,
    pub(crate) change: Change,
}

#[derive(Clone, Debug)]
pub(crate) enum Change {
    Enable,
    Disable,
    /// With the password hashed. None: the user signs in by certificate alone.
    AddUser {
        name: String,
        password: Option<Bytes>,
    },
    DeleteUser {
        name: String,
    },
    SetPassword {
        name: String,
        password: Bytes,
    },
    GrantRole {
        user: String,
        role: String,
    },
    RevokeRole {
        user: String,
        role: String,
    },
    AddRole {
        name: String,
    },
    DeleteRole {
        name: String,
    },
    GrantPermission {
        role: String,
        permission: Option<Permission>,
    },
    RevokePermission {
        role: String,
        key: Bytes,
        range_end: Bytes,
    },
}

impl Intent for Administer {
    type Reply = Result<(), Refusal>;

    fn plan(&self, at: &Snapshot, _now: Now) -> Result<Planned<Self::Reply>, Rejection> {
        let writes = self.who.is_root(at).and_then(|()| self.change.writes(Accounts(at)));
        let (writes, reply) = match writes {
            Ok(writes) => (writes, Ok(())),
            Err(refusal) => (Vec::new(), Err(refusal)),
        };
        Ok(Planned { plan: Plan { writes, ..Plan::default() }, reply })
    }
}

type Writes = Result<Vec<Write>, Refusal>;

impl Change {
    fn writes(&self, at: Accounts<'_>) -> Writes {
        let guard = at.guard();
        match self {
            Change::Enable => return enable(at, guard),
            Change::Disable if !guard.enabled => return Ok(Vec::new()),
            _ => {}
        }
        let mut writes = self.of_accounts(at, &guard)?;
        // Nothing changed, and nobody has to look again.
        if writes.is_empty() && !matches!(self, Change::Disable) {
            return Ok(writes);
        }
        let enabled = guard.enabled && !matches!(self, Change::Disable);
        writes.push(put_guard(&Guard { enabled, revision: guard.revision.saturating_add(1) }));
        Ok(writes)
    }

    fn of_accounts(&self, at: Accounts<'_>, guard: &Guard) -> Writes {
        let user = |name: &str| at.user(name).ok_or(refusal::USER_NOT_FOUND);
        let role = |name: &str| at.role(name).ok_or(refusal::ROLE_NOT_FOUND);
        // Without it nobody could do anything any more.
        let keep_root = |named: bool| match guard.enabled && named {
            true => Err(refusal::INVALID_AUTH_MANAGEMENT),
            false => Ok(()),
        };
        match self {
            Change::Enable | Change::Disable => Ok(Vec::new()),
            Change::AddUser { name, .. } if name.is_empty() => Err(refusal::USER_EMPTY),
            Change::AddUser { name, .. } if at.user(name).is_some() => Err(refusal::USER_EXISTS),
            Change::AddUser { name, password } => {
                let no_password = password.is_none();
                let password = password.clone().unwrap_or_default();
                Ok(vec![put_user(name, &User { roles: Vec::new(), password, no_password })])
            }
            Change::DeleteUser { name } => {
                keep_root(name == ROOT)?;
                user(name)?;
                Ok(vec![delete_user(name)])
            }
            Change::SetPassword { name, password } => {
                let mut user = user(name)?;
                if !user.no_password {
                    user.password = password.clone();
                }
                Ok(vec![put_user(name, &user)])
            }
            Change::GrantRole { user: name, role: granted } => {
                let mut user = user(name)?;
                // This role is what it is without being written down.
                if granted != ROOT {
                    role(granted)?;
                }
                let Err(place) = user.roles.binary_search(granted) else { return Ok(Vec::new()) };
                user.roles.insert(place, granted.clone());
                Ok(vec![put_user(name, &user)])
            }
            Change::RevokeRole { user: name, role } => {
                keep_root(name == ROOT && role == ROOT)?;
                let user = user(name)?;
                Ok(vec![put_user(name, &without(user, role).ok_or(refusal::ROLE_NOT_GRANTED)?)])
            }
            Change::AddRole { name } if name.is_empty() => Err(refusal::ROLE_EMPTY),
            Change::AddRole { name } if at.role(name).is_some() => Err(refusal::ROLE_EXISTS),
            Change::AddRole { name } => Ok(vec![put_role(name, &Role::default())]),
            Change::DeleteRole { name } => {
                keep_root(name == ROOT)?;
                role(name)?;
                let holders = at.users().filter_map(|(user, kept)| Some((user, without(kept, name)?)));
                let writes = holders.map(|(user, kept)| put_user(&user, &kept));
                Ok(writes.chain([delete_role(name)]).collect())
            }
            Change::GrantPermission { permission: None, .. } => Err(refusal::PERMISSION_NOT_GIVEN),
            Change::GrantPermission { role: name, permission: Some(permission) } => {
                // Nothing is in it, so somebody meant something else.
                if permission.key.is_empty()
                    || KeyRange::from_wire(&permission.key, &permission.range_end).is_empty()
                {
                    return Err(refusal::INVALID_AUTH_MANAGEMENT);
                }
                let role = grant(role(name)?, permission);
                Ok(vec![put_role(name, &role)])
            }
            Change::RevokePermission { role: name, key, range_end } => {
                let mut role = role(name)?;
                let before = role.permissions.len();
                role.permissions.retain(|it| it.key != *key || it.range_end != *range_end);
                if role.permissions.len() == before {
                    return Err(refusal::PERMISSION_NOT_GRANTED);
                }
                Ok(vec![put_role(name, &role)])
            }
        }
    }
}

fn enable(at: Accounts<'_>, guard: Guard) -> Writes {
    if guard.enabled {
        return Ok(Vec::new());
    }
    let root = at.user(ROOT).ok_or(refusal::ROOT_USER_MISSING)?;
    if !root.is_root() {
        return Err(refusal::ROOT_ROLE_MISSING);
    }
    Ok(vec![put_guard(&Guard { enabled: true, ..guard })])
}

/// None: it does not have the role.
fn without(mut user: User, role: &str) -> Option<User> {
    let before = user.roles.len();
    user.roles.retain(|it| it != role);
    (user.roles.len() < before).then_some(user)
}

/// The same keys again are granted another way from now on.
fn grant(mut role: Role, permission: &Permission) -> Role {
    let same = |it: &&mut Permission| it.key == permission.key && it.range_end == permission.range_end;
    match role.permissions.iter_mut().find(same) {
        Some(kept) => kept.perm_type = permission.perm_type,
        None => {
            role.permissions.push(permission.clone());
            role.permissions.sort_by(|a, b| a.key.cmp(&b.key));
        }
    }
    role
}
