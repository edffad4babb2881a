//! Whom a request comes from: what it shows, and who that is as of a state of users and roles.

use std::ops::Deref;
use std::sync::Arc;

use switchboard_facade::{ClientName, Peer};
use switchboard_registry::{Caller, View};
use tonic::Request;

use super::State;
use crate::lens::accounts::Accounts;
use crate::plan::permit::{Rights, Who};
use crate::refusal::{self, Refusal};

/// Who asks, before anybody has looked at it. Streams keep it and are looked at again with each message.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    caller: Caller,
    shows: Shows,
    /// It says that it is etcd's own client, which takes answers of any size. Those of gRPC's libraries take 4 MiB.
    pub(crate) is_etcds_own: bool,
}

#[derive(Clone, Debug)]
enum Shows {
    Nothing,
    Token(Arc<str>),
    /// A certificate with this name, and no token.
    Certificate(Arc<str>),
    /// It is this process, which goes on with what somebody began who was looked at.
    Itself,
}

/// The registry is only told where the request came from.
impl Deref for Client {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl Client {
    pub(crate) fn of<T>(request: &Request<T>) -> Client {
        let caller =
            Caller { through: "etcd", peer: request.extensions().get::<Peer>().map(|Peer(peer)| peer.ip()) };
        let metadata = request.metadata();
        let token = metadata.get("token").or_else(|| metadata.get("authorization"));
        let shows = match token {
            // One that is no text is a token that nobody was given.
            Some(token) => {
                let token = token.to_str().unwrap_or_default();
                Shows::Token(token.strip_prefix("Bearer ").unwrap_or(token).into())
            }
            None => match request.extensions().get::<ClientName>() {
                Some(ClientName(name)) => Shows::Certificate(name.clone()),
                None => Shows::Nothing,
            },
        };
        Client { caller, shows, is_etcds_own: metadata.contains_key("client-api-version") }
    }

    pub(crate) fn itself(self) -> Client {
        Client { shows: Shows::Itself, ..self }
    }
}

impl State {
    /// Who that is, as of this state. Nobody, as long as nobody is asked for anything.
    pub(crate) fn who(&self, client: &Client, at: &View) -> Result<Who, Refusal> {
        if let Shows::Itself = &client.shows {
            return Ok(Who::Itself);
        }
        let accounts = Accounts(at);
        let guard = accounts.guard();
        if !guard.enabled {
            return Ok(Who::Nobody);
        }
        let name = match &client.shows {
            Shows::Nothing | Shows::Itself => return Ok(Who::Nobody),
            Shows::Certificate(name) => name.clone(),
            Shows::Token(token) => match &self.jwt {
                Some(jwt) => {
                    let now = self.context.registry.now().wall_ms / 1000;
                    let (name, revision) = jwt.user(token, now).ok_or(refusal::INVALID_TOKEN)?;
                    return Ok(Who::User { name: name.into(), revision });
                }
                None => self.tokens.user(token, accounts).ok_or(refusal::INVALID_TOKEN)?,
            },
        };
        Ok(Who::User { name, revision: guard.revision })
    }

    pub(crate) fn who_now(&self, client: &Client) -> Result<Who, Refusal> {
        self.who(client, &self.context.registry.view(client)?)
    }

    /// What it may do to keys.
    pub(crate) fn rights(&self, client: &Client, at: &View) -> Result<Rights, Refusal> {
        Ok(self.who(client, at)?.rights(at))
    }

    /// For what anybody may do who is known.
    pub(crate) fn known(&self, client: &Client) -> Result<(), Refusal> {
        let view = self.context.registry.view(client)?;
        self.who(client, &view)?.is_known(&view)
    }

    /// For reads, once they are permitted. Tokens that are remembered always know the users and roles of now.
    pub(crate) fn of_now(&self, client: &Client, at: &View) -> Result<(), Refusal> {
        match self.jwt {
            Some(_) => self.who(client, at)?.is_of_now(at),
            None => Ok(()),
        }
    }

    /// For what only root may do.
    pub(crate) fn root(&self, client: &Client) -> Result<(), Refusal> {
        let view = self.context.registry.view(client)?;
        self.who(client, &view)?.is_root(&view)
    }
}
