//! What is told to peers besides what Eureka clients say here.

use std::time::Duration;

use switchboard_model::{DEFAULT_NAMESPACE, Health, Name, Selector};
use switchboard_registry::{Caller, Change, InstanceView, WatchEnd, What};

use crate::facade::{Shared, enrol};
use crate::lens::{Gist, all_in, app_to_wire, id_to_wire, instance_to_wire, services, status_to_wire};
use crate::wire::{BatchAction, DataCenter, InstanceInfo, Item, LeaseInfo, PortWord, Status};

/// As often as a client would.
const RENEW_EVERY: Duration = Duration::from_secs(30);

fn me() -> Caller {
    Caller::internal("eureka")
}

/// Everything about an instance.
pub(super) fn registration(view: &InstanceView) -> Item {
    let info = instance_to_wire(view);
    Item { info: Some(Box::new(info.clone())), ..item(BatchAction::Register, view, &info) }
}

fn item(action: BatchAction, view: &InstanceView, info: &InstanceInfo) -> Item {
    Item {
        action,
        app: app_to_wire(view.key().service.as_str()),
        id: id_to_wire(view.key()),
        dirty: info.last_dirty,
        status: info.status,
        overridden: info.overridden.filter(|status| *status != Status::Unknown),
        info: None,
    }
}

/// Tells peers of registrations, changes and cancellations, whichever protocol they came through.
pub(super) async fn follow(state: Shared) {
    let registry = &state.context.registry;
    loop {
        let Ok(view) = registry.view(&me()) else { return };
        let all = Selector::Services { namespace: Some(Name::default_namespace()), prefix: "".into() };
        let Ok(mut watch) = registry.watch(&me(), &all, view.revision()) else {
            tokio::time::sleep(Duration::from_secs(1)).await;
            continue;
        };
        for found in services(&view, DEFAULT_NAMESPACE).flat_map(|service| all_in(service)) {
            if is_ours(found) {
                state.peers.push(&registration(found));
            }
        }
        loop {
            match watch.next().await {
                Ok(delivery) => {
                    let news = delivery.items().filter_map(|change| news(&state, change));
                    news.for_each(|item| state.peers.push(&item));
                }
                Err(WatchEnd::Stopping) => return,
                Err(end) => {
                    tracing::warn!(?end, "changes for peers were missed; telling them everything anew");
                    break;
                }
            }
        }
    }
}

/// It is ours to tell of, and worth it.
fn is_ours(view: &InstanceView) -> bool {
    view.health != Health::Lapsed && !Gist::of(&view.instance).is_by_peer()
}

fn news(state: &Shared, change: &Change) -> Option<Item> {
    let What::Instance { before, after } = &change.what else { return None };
    match (before, after) {
        (Some(before), None) => {
            // Every server finds out by itself who fell silent.
            let is_told = before.health == Health::Lapsed || state.peers.take_hushed(before.key());
            (!is_told).then(|| item(BatchAction::Cancel, before, &instance_to_wire(before)))
        }
        (before, Some(after)) => {
            let same = before.as_ref().is_some_and(|before| {
                before.instance.modified == after.instance.modified
                    && (before.health == Health::Lapsed || status_to_wire(before) == status_to_wire(after))
            });
            (is_ours(after) && !same).then(|| registration(after))
        }
        (None, None) => None,
    }
}

/// Renews at the peers what no Eureka client renews here.
pub(super) async fn keep_alive(state: Shared) {
    loop {
        let Ok(view) = state.context.registry.view(&me()) else { return };
        for found in services(&view, DEFAULT_NAMESPACE).flat_map(|service| all_in(service)) {
            if found.health != Health::Lapsed && Gist::of(&found.instance).is_foreign() {
                state.peers.push(&item(BatchAction::Heartbeat, found, &instance_to_wire(found)));
            }
        }
        drop(view);
        tokio::time::sleep(RENEW_EVERY.mul_f64(0.9 + 0.1 * fastrand::f64())).await;
    }
}

/// Servers find each other under a name of their own, and show who is missing.
pub(super) async fn register_ourselves(state: Shared, app: String) {
    let registry = &state.context.registry;
    let dirty = registry.now().wall_ms;
    let ip = match state.address.ip() {
        ip if ip.is_unspecified() => "127.0.0.1".to_owned(),
        ip => ip.to_string(),
    };
    let host = if state.address.ip().is_unspecified() { switchboard_facade::host_name() } else { ip.clone() };
    let port = i32::from(state.address.port());
    let info = InstanceInfo {
        instance_id: Some(format!("{host}:{}:{port}", app.to_lowercase())),
        host_name: Some(host),
        app: Some(app.to_uppercase()),
        ip_addr: Some(ip),
        port: Some(PortWord { number: port, enabled: true }),
        vip: Some(app.to_lowercase()),
        secure_vip: Some(app.to_lowercase()),
        data_center: Some(DataCenter::my_own()),
        status: Some(Status::Up),
        lease: Some(LeaseInfo { renewal_secs: 30, duration_secs: 90, ..LeaseInfo::default() }),
        last_dirty: Some(dirty),
        ..InstanceInfo::default()
    };
    loop {
        let done = enrol(&state, &me(), &Name::default_namespace(), &app, info.clone(), false).await;
        if let Err(refusal) = done {
            tracing::warn!(why = refusal.text, app, "this server could not register itself; trying again");
        }
        let renewed = info.instance_id.clone().unwrap_or_default();
        state.peers.relay(&Name::default_namespace(), || Item {
            action: BatchAction::Heartbeat,
            app: app.clone(),
            id: renewed,
            dirty: Some(dirty),
            status: Some(Status::Up),
            overridden: None,
            info: None,
        });
        tokio::time::sleep(RENEW_EVERY).await;
    }
}
