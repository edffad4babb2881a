use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use switchboard_registry::{Options, Registry};
use switchboard_store::StoreErrorKind;

use crate::arguments::{Foreign, Import};
use crate::config::{Config, Layers, table};
use crate::failure::Failure;
use crate::gate::ProbeGate;
use crate::out::Out;
use crate::run::{open_engine, store_failure};

/// Longer than anything takes: nothing ends for want of a heartbeat while it is brought in.
const NEVER: Duration = Duration::from_secs(24 * 3600);

pub(crate) async fn import(what: Import, out: &mut Out) -> Result<(), Failure> {
    let layers = Layers::gather(&what.config, std::env::vars_os())?;
    let config = Config::read(&layers)?;
    let engine = open_engine(&config).await?;
    let options = Options { tick: NEVER, ..config.registry };
    let registry = Registry::open(engine, options, Arc::new(ProbeGate::new(&config.health)));
    registry.loaded().await.map_err(Failure::failed)?;
    let Foreign::Etcd = what.of;
    // Whether it is plugged in is nothing that it knows.
    let mut section = table(&config.effective, "etcd");
    section.remove("enabled");
    let imported = switchboard_protocol_etcd::import(&registry, &section, &what.file).await;
    let stopped = registry.stop().await;
    let imported = imported.map_err(|error| Failure::failed(format!("{error:#}")))?;
    if let Err(error) = stopped
        && error.kind != StoreErrorKind::Closed
    {
        return Err(store_failure(&error));
    }
    if what.json {
        return Ok(out.line(json!({
            "keys": imported.keys,
            "leases": imported.leases,
            "users": imported.users,
            "roles": imported.roles,
            "revision": imported.revision,
        }))?);
    }
    let (keys, leases) = (imported.keys, imported.leases);
    let (users, roles) = (imported.users, imported.roles);
    Ok(out.line(format!(
        "imported {keys} keys, {leases} leases, {users} users and {roles} roles into {}",
        config.data_dir.display()
    ))?)
}
