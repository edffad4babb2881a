//! Who has an address. Nothing in the registry is ordered by address, so an index is made when someone asks, and made
//! anew when the registry has changed, though never so often that making it is all that is done.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use switchboard_model::{NodeKey, Revision, ServiceKey};
use switchboard_registry::{ServiceRef, Snapshot};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::answer::Answer;
use crate::lens::{Host, host};
use crate::names::Zone;
use crate::wire::{Data, DomainName, Owner, SheafBuilder, body};

#[derive(Debug, Default)]
pub(super) struct Reverse {
    made: Mutex<Option<Made>>,
}

#[derive(Debug)]
struct Made {
    index: Arc<Index>,
    at: Revision,
    /// Not before then is the next one made.
    next: Instant,
}

/// Making the index may take one part in so many of the time.
const SHARE: u32 = 20;
const LONGEST_REST: Duration = Duration::from_secs(2);

impl Reverse {
    /// The names of whoever has the address; None: nobody has.
    pub(super) async fn answer(&self, at: &Snapshot, address: IpAddr, zone: Option<&Zone>) -> Option<Answer> {
        let index = self.index(at).await;
        let zone = zone?;
        let found = index.0.get(&address)?;
        let nodes = found.nodes.iter();
        let nodes = nodes.filter_map(|key| zone.node(key.namespace.as_str(), key.node.as_str()));
        let services = found.services.iter();
        let services = services.filter_map(|key| zone.service(key.namespace.as_str(), key.service.as_str()));
        let names: Vec<DomainName> = nodes.chain(services).collect();
        let mut records = SheafBuilder::default();
        // Whoever has it now may have given it away in a moment.
        names.iter().for_each(|name| records.add_alone(Owner::Question, &body(0, &Data::Ptr(name))));
        (records.len() > 0).then(|| Answer::of(records.build()))
    }

    async fn index(&self, at: &Snapshot) -> Arc<Index> {
        // Whoever comes while it is being made waits for it.
        let mut made = self.made.lock().await;
        if let Some(made) = &*made {
            if made.at >= at.revision() {
                return made.index.clone();
            }
            tokio::time::sleep_until(made.next).await;
        }
        let begun = Instant::now();
        let snapshot = at.clone();
        let index = tokio::task::spawn_blocking(move || Arc::new(Index::of(&snapshot))).await;
        let index = index.unwrap_or_default();
        let rest = (begun.elapsed() * SHARE).min(LONGEST_REST);
        let next = Instant::now() + rest;
        *made = Some(Made { index: index.clone(), at: at.revision(), next });
        index
    }
}

#[derive(Debug, Default)]
struct Index(HashMap<IpAddr, Found>);

#[derive(Debug, Default)]
struct Found {
    nodes: Vec<NodeKey>,
    services: Vec<ServiceKey>,
}

impl Index {
    fn of(at: &Snapshot) -> Index {
        let mut index: HashMap<IpAddr, Found> = HashMap::new();
        for view in at.nodes(Bound::Unbounded) {
            if let Some(node) = &view.facts.node
                && let Host::Address(address) = host(&node.address)
            {
                index.entry(address).or_default().nodes.push(node.key.clone());
            }
        }
        let all: Bound<ServiceRef<'_>> = Bound::Unbounded;
        for service in at.services(all) {
            for view in service.instances() {
                let Host::Address(address) = host(&view.instance.address) else { continue };
                let services = &mut index.entry(address).or_default().services;
                // Services come one after the other.
                if services.last() != Some(&service.key) {
                    services.push(service.key.clone());
                }
            }
        }
        Index(index)
    }
}
