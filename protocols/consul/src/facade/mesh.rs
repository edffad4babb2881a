//! What there is none of here: ACLs, the service mesh, its configuration, peering. Each says so in its own way.

use http::{Method, StatusCode};
use serde_json::json;
use switchboard_model::Revision;

use super::{Shared, State};
use crate::answer::Answer;
use crate::ask::Ask;
use crate::block::Index;
use crate::lens::node_id;
use crate::refusal::Refusal;
use crate::scope::all_of;

/// `acl/…` and `agent/token/…`.
pub(crate) async fn acl(_: Shared, _: Ask) -> Result<Answer, Refusal> {
    Err(Refusal::new(StatusCode::UNAUTHORIZED, "ACL support disabled"))
}

/// What asks for the mesh, or would change it.
pub(crate) async fn connect(_: Shared, _: Ask) -> Result<Answer, Refusal> {
    Err(Refusal {
        index: Some(1),
        ..Refusal::failed("Connect must be enabled in order to use this endpoint")
    })
}

pub(crate) async fn peering(_: Shared, _: Ask) -> Result<Answer, Refusal> {
    Err(none("peering is disabled: this registry has no cluster peering"))
}

/// There are none, and there never will be any.
pub(crate) async fn peerings(_: Shared, ask: Ask) -> Result<Answer, Refusal> {
    Ok(Answer::bytes("[]").at_index(&ask, 1))
}

pub(crate) async fn federation(_: Shared, _: Ask) -> Result<Answer, Refusal> {
    Err(none("this registry has no federation of datacenters"))
}

fn none(text: &str) -> Refusal {
    Refusal::new(StatusCode::NOT_IMPLEMENTED, text)
}

/// Configuration entries: none are there to be read, none can be written.
pub(crate) async fn config(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    if ask.method != Method::GET {
        return Err(none("this registry keeps no configuration entries"));
    }
    let index = state.context.registry.view(&ask.caller)?.revision().0;
    match ask.rest.split_once('/') {
        Some((kind, name)) if !name.is_empty() => {
            let text = format!("Config entry not found for {kind:?} / {name:?}");
            Err(Refusal { index: Some(index), ..Refusal::missing(text) })
        }
        _ if ask.rest.is_empty() => Err(Refusal::missing("Must provide either a kind or both kind and name")),
        _ => Ok(Answer::bytes("[]").at_index(&ask, index)),
    }
}

/// Clients wait for a root before they call a server ready. This one signs nothing.
pub(crate) async fn roots(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let here = &state.here;
    let id = node_id(&here.datacenter, "connect-root").simple().to_string();
    let root = json!({
        "ID": id,
        "Name": "Switchboard has no service mesh: nothing is signed with this",
        "SerialNumber": 0,
        "SigningKeyID": "",
        "ExternalTrustDomain": here.node_id,
        "NotBefore": "1970-01-01T00:00:00Z",
        "NotAfter": "9999-12-31T23:59:59Z",
        "RootCert": "",
        "IntermediateCerts": null,
        "Active": true,
        "PrivateKeyType": "",
        "PrivateKeyBits": 0,
        "CreateIndex": 1,
        "ModifyIndex": 1,
    });
    let roots = json!({
        "ActiveRootID": id,
        "TrustDomain": format!("{}.consul", here.node_id),
        "Roots": [root],
    });
    Ok(Answer::json(&roots).at_index(&ask, 1))
}

/// What is behind a gateway: nothing, and an answer that can be waited on.
pub(crate) async fn nothing(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let (_, index) = state.settle_service(&ask, ask.rest("Missing service name")?).await?;
    Ok(Answer::bytes("[]").at(&ask, index))
}

/// What an answer of this route looks like with nothing in it, where a peer can be asked for: there are none, so nothing was imported.
pub(super) fn of_no_peer(path: &str) -> Option<&'static str> {
    match path {
        "/v1/catalog/services" => Some("{}"),
        "/v1/catalog/node/" => Some("null"),
        "/v1/catalog/node-services/" => Some(r#"{"Node":null,"Services":null}"#),
        "/v1/catalog/nodes"
        | "/v1/catalog/service/"
        | "/v1/catalog/connect/"
        | "/v1/catalog/gateway-services/" => Some("[]"),
        "/v1/internal/ui/services" | "/v1/internal/ui/nodes" => Some("[]"),
        path if path.starts_with("/v1/health/") => Some("[]"),
        _ => None,
    }
}

impl State {
    pub(super) async fn nothing_of_a_peer(
        &self,
        ask: &Ask,
        nothing: &'static str,
    ) -> Result<Answer, Refusal> {
        // Where peers would be.
        let selector = || all_of("consul.peer");
        let (_, index) = self.settle(ask, selector, |_| true, |_| Index::Exact(Revision(1))).await?;
        Ok(Answer::bytes(nothing).at(ask, index))
    }
}
