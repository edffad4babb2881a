//! `operator/…`: the state of the servers, of which there is one that always leads.

use std::collections::BTreeMap;

use http::{Method, StatusCode};
use serde::Serialize;
use serde_json::{Value, json};
use switchboard_model::{DEFAULT_NAMESPACE, Name};

use super::{Shared, State};
use crate::answer::Answer;
use crate::ask::Ask;
use crate::lens::service_to_wire;
use crate::refusal::Refusal;
use crate::{scope, wire};

pub(crate) async fn raft(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let index = state.context.registry.view(&ask.caller)?.revision().0;
    Ok(Answer::json(&json!({
        "Servers": [{
            "ID": state.here.node_id,
            "Node": state.here.node.as_str(),
            "Address": state.here.http_address(),
            "Leader": true,
            "ProtocolVersion": "3",
            "Voter": true,
            "LastIndex": index,
        }],
        "Index": index,
    })))
}

pub(crate) async fn transfer_leader(_: Shared, _: Ask) -> Result<Answer, Refusal> {
    Err(Refusal::failed("cannot find peer: there is no other server to lead"))
}

pub(crate) async fn remove_peer(_: Shared, ask: Ask) -> Result<Answer, Refusal> {
    match (ask.get("id"), ask.get("address")) {
        (None, None) => Err(Refusal::bad(
            "Must specify either ?id with the server's ID or ?address with IP:port of peer to remove",
        )),
        (Some(_), Some(_)) => Err(Refusal::bad("Must specify only one of ?id or ?address")),
        (Some(id), None) => {
            Err(Refusal::failed(format!("id {id:?} was not found among the servers that can be removed")))
        }
        (None, Some(address)) => Err(Refusal::failed(format!(
            "address {address:?} was not found among the servers that can be removed"
        ))),
    }
}

pub(crate) async fn autopilot_configuration(_: Shared, ask: Ask) -> Result<Answer, Refusal> {
    if ask.method != Method::GET {
        return Err(Refusal::new(
            StatusCode::NOT_IMPLEMENTED,
            "there is only one server here, and no autopilot to configure",
        ));
    }
    Ok(Answer::json(&json!({
        "CleanupDeadServers": true,
        "LastContactThreshold": "200ms",
        "MaxTrailingLogs": 250,
        "MinQuorum": 0,
        "ServerStabilizationTime": "10s",
        "RedundancyZoneTag": "",
        "DisableUpgradeMigration": false,
        "UpgradeVersionTag": "",
        "CreateIndex": 1,
        "ModifyIndex": 1,
    })))
}

pub(crate) async fn autopilot_health(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let healthy = state.context.registry.waiting_for().is_none();
    let health = json!({
        "Healthy": healthy,
        "FailureTolerance": 0,
        "Servers": [state.server(&ask, healthy)?],
    });
    let status = if healthy { StatusCode::OK } else { StatusCode::TOO_MANY_REQUESTS };
    Ok(Answer::json(&health).with_status(status))
}

pub(crate) async fn autopilot_state(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let healthy = state.context.registry.waiting_for().is_none();
    let mut server = state.server(&ask, healthy)?;
    if let Some(fields) = server.as_object_mut() {
        for field in ["SerfStatus", "Voter", "Leader"] {
            fields.remove(field);
        }
        for (field, value) in [("NodeStatus", "alive"), ("Status", "leader"), ("NodeType", "voter")] {
            fields.insert(field.into(), value.into());
        }
        fields.insert("Meta".into(), json!(state.here.node_meta_of(&state.here.own())));
    }
    let id = &state.here.node_id;
    Ok(Answer::json(&json!({
        "Healthy": healthy,
        "FailureTolerance": 0,
        "OptimisticFailureTolerance": 0,
        "Servers": { id.as_str(): server },
        "Leader": id,
        "Voters": [id],
    })))
}

impl State {
    fn server(&self, ask: &Ask, healthy: bool) -> Result<Value, Refusal> {
        let index = self.context.registry.view(&ask.caller)?.revision().0;
        Ok(json!({
            "ID": self.here.node_id,
            "Name": self.here.node.as_str(),
            "Address": self.here.http_address(),
            "SerfStatus": "alive",
            "Version": self.config.version,
            "Leader": true,
            "LastContact": "0s",
            "LastTerm": 1,
            "LastIndex": index,
            "Healthy": healthy,
            "Voter": true,
            "StableSince": "1970-01-01T00:00:01Z",
        }))
    }
}

pub(crate) async fn usage(state: Shared, ask: Ask) -> Result<Answer, Refusal> {
    let view = state.context.registry.view(&ask.caller)?;
    let own = view.namespaces().find(|(name, _)| **name == Name::default_namespace());
    let (services, instances) = own.map_or((0, 0), |(_, tally)| (tally.services, tally.instances));
    let nodes = scope::nodes(&view).count();
    let kinds = [
        "api-gateway",
        "connect-native",
        "connect-proxy",
        "ingress-gateway",
        "mesh-gateway",
        "terminating-gateway",
    ];
    let mut of_mesh: BTreeMap<&str, usize> = kinds.iter().map(|kind| (*kind, 0)).collect();
    let mut of_kind = 0;
    for view in scope::instances(&view) {
        let service = service_to_wire(view);
        of_kind += usize::from(!service.kind.is_empty());
        let kind = if service.connect.native { "connect-native" } else { &service.kind };
        if let Some(count) = of_mesh.get_mut(kind) {
            *count += 1;
        }
    }
    // The server itself is a service of one instance in every datacenter, and nobody is billed for it.
    let own_server = usize::from(view.service(DEFAULT_NAMESPACE, "consul").is_none());
    let usage = json!({
        state.here.datacenter.as_str(): {
            "Nodes": nodes,
            "Services": services + own_server,
            "ServiceInstances": instances + own_server,
            "ConnectServiceInstances": of_mesh,
            "BillableServiceInstances": instances - of_kind,
        },
    });
    let about = wire::QueryMeta::at(view.revision().0, ask.consistency.as_str());
    Ok(Answer::json(&Usage { usage, about }).at(&ask, view.revision().0))
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Usage {
    usage: Value,
    #[serde(flatten)]
    about: wire::QueryMeta,
}

pub(crate) async fn keyring(state: Shared, _: Ask) -> Result<Answer, Refusal> {
    let (datacenter, node) = (&state.here.datacenter, &state.here.node);
    Err(Refusal::failed(format!(
        "2 errors occurred:\n\t* {datacenter} (LAN) error: 1/1 nodes reported failure\n\t* {node}: Keyring is empty \
         (encryption not enabled)\n\n"
    )))
}
