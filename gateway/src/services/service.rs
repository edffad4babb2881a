use std::sync::Arc;

use arc_swap::{ArcSwap, ArcSwapOption};
use switchboard_balance::Moment;
use switchboard_discover::InstanceSet;
use switchboard_model::{Instance, InstanceKey};
use switchboard_registry::ServiceView;

use super::endpoint::{Endpoint, Facts};
use crate::balance::{Bench, Chooser};
use crate::meters::ServiceMeters;
use crate::route::{Address, Exposure, Locator, Subset};
use crate::upstream::Dialer;

/// A service, as every route that leads to it sees it.
#[derive(Debug)]
pub(crate) struct Service {
    /// In lower case.
    pub(crate) name: Arc<str>,
    /// As it was registered first.
    pub(crate) registered: Box<str>,
    pub(crate) meters: ServiceMeters,
    everyone: Chooser,
    subsets: Box<[(Subset, Chooser)]>,
    present: ArcSwap<Vec<Arc<Endpoint>>>,
    absent: ArcSwap<Vec<Absent>>,
    exposure: ArcSwapOption<Exposure>,
}

/// An instance that is registered and gets no requests.
#[derive(Clone, Debug)]
pub(crate) struct Absent {
    pub(crate) key: Arc<InstanceKey>,
    pub(crate) address: Box<str>,
    pub(crate) why: String,
}

/// A service as it is at one revision.
#[derive(Debug)]
pub(crate) struct Update {
    present: Vec<Facts>,
    absent: Vec<Absent>,
    exposure: Option<Exposure>,
}

impl Update {
    pub(crate) fn read(name: &Arc<str>, view: &ServiceView, locator: Option<&Locator>) -> Update {
        let (mut present, mut absent) = (Vec::new(), Vec::new());
        for instance in view.instances() {
            if instance.is_served() && instance.instance.weight_at(instance.health) > 0 {
                present.push(Facts::from(&**instance));
                continue;
            }
            let why = match (instance.is_served(), instance.reasons()) {
                (true, _) => "its weight is 0".to_owned(),
                (false, reasons) if reasons.is_empty() => instance.health.as_str().to_owned(),
                (false, reasons) => format!("{}: {}", instance.health.as_str(), reasons.join("; ")),
            };
            let address = instance.instance.address.clone();
            absent.push(Absent { key: instance.key().clone(), address, why });
        }
        let metadata: Vec<_> = view.instances().map(|view| &view.instance.metadata).collect();
        let exposure = locator.map(|locator| locator.expose(name, &metadata));
        Update { present, absent, exposure }
    }

    /// The same out of what a source tells.
    pub(crate) fn of_set(name: &Arc<str>, set: &InstanceSet, locator: Option<&Locator>) -> Update {
        let (mut present, mut absent) = (Vec::new(), Vec::new());
        for instance in set.instances.iter() {
            let why = match instance.health.is_served() {
                true if instance.weight > 0 => {
                    present.push(Facts::from(&**instance));
                    continue;
                }
                true => "its weight is 0".to_owned(),
                false => instance.health.as_str().to_owned(),
            };
            absent.push(Absent { key: instance.key.clone(), address: instance.host.clone(), why });
        }
        let metadata: Vec<_> = set.instances.iter().map(|instance| &instance.metadata).collect();
        let exposure = locator.map(|locator| locator.expose(name, &metadata));
        Update { present, absent, exposure }
    }
}

impl Service {
    pub(crate) fn new(name: Arc<str>, registered: &str, subsets: Vec<Subset>, bench: &Bench) -> Service {
        let meters = ServiceMeters::default();
        let subsets = subsets.into_iter().map(|subset| (subset, bench.chooser())).collect();
        Service {
            name,
            registered: registered.into(),
            meters,
            everyone: bench.chooser(),
            subsets,
            present: ArcSwap::default(),
            absent: ArcSwap::default(),
            exposure: ArcSwapOption::empty(),
        }
    }

    /// Addresses that are in no registry.
    pub(crate) fn fixed(id: &str, addresses: &[Address], bench: &Bench, dialer: &Arc<Dialer>) -> Service {
        let service = Service::new(id.to_ascii_lowercase().into(), id, Vec::new(), bench);
        let endpoints = addresses.iter().filter_map(|address| {
            let instance = fixed_instance(id, address)?;
            Some(Arc::new(Endpoint::new(Facts::of(&instance, instance.weight), None, dialer, None)))
        });
        service.set(endpoints.collect());
        service
    }

    /// `joined`: when those that are new joined; None: they are the first that are known.
    pub(crate) fn update(&self, update: Update, dialer: &Arc<Dialer>, joined: Option<Moment>) {
        let Update { present, mut absent, exposure } = update;
        let before = self.present.load();
        let mut endpoints = Vec::with_capacity(present.len());
        for facts in present {
            if let Err(why) = dialer.vet_all(&facts.host, &facts.ports) {
                absent.push(Absent { key: facts.key.clone(), address: (*facts.host).into(), why });
                continue;
            }
            let known = before.iter().find(|endpoint| endpoint.key == facts.key);
            endpoints.push(Arc::new(Endpoint::new(facts, known.map(|known| &**known), dialer, joined)));
        }
        self.absent.store(Arc::new(absent));
        self.exposure.store(exposure.map(Arc::new));
        self.set(endpoints);
    }

    fn set(&self, endpoints: Vec<Arc<Endpoint>>) {
        for (subset, chooser) in &self.subsets {
            let of: Vec<_> =
                endpoints.iter().filter(|endpoint| subset.has(&endpoint.metadata)).cloned().collect();
            chooser.update(&of);
        }
        self.everyone.update(&endpoints);
        self.present.store(Arc::new(endpoints));
    }

    /// Who chooses among the instances that say this about themselves.
    pub(crate) fn chooser(&self, subset: &Subset) -> &Chooser {
        let known = self.subsets.iter().find(|(known, _)| known == subset);
        known.map_or(&self.everyone, |(_, chooser)| chooser)
    }

    pub(crate) fn everyone(&self) -> &Chooser {
        &self.everyone
    }

    pub(crate) fn exposure(&self) -> Option<Arc<Exposure>> {
        self.exposure.load_full()
    }

    pub(crate) fn present(&self) -> Arc<Vec<Arc<Endpoint>>> {
        self.present.load_full()
    }

    pub(crate) fn absent(&self) -> Arc<Vec<Absent>> {
        self.absent.load_full()
    }

    /// Why nobody takes requests, for people.
    pub(crate) fn why_nobody(&self, subset: &Subset) -> String {
        let (present, absent) = (self.present(), self.absent());
        if !present.is_empty() && !subset.is_everyone() {
            return format!("none of its {} instances says {subset}", present.len());
        }
        let reasons = absent.iter().take(3).map(|absent| format!("{}: {}", absent.key.id, absent.why));
        let reasons: Vec<String> = reasons.collect();
        let more = absent.len().saturating_sub(reasons.len());
        let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
        format!("of {} instances none is healthy. {}{more}", absent.len(), reasons.join(". "))
    }
}

fn fixed_instance(id: &str, address: &Address) -> Option<Instance> {
    use switchboard_model::{Annex, Id, Lifecycle, Metadata, Name, Port, Tags};
    let place = format!("{}:{}", address.host, address.port);
    let key = InstanceKey {
        namespace: Name::parse("namespace", "gateway").ok()?,
        service: Name::parse("service", id).ok()?,
        node: None,
        id: Id::parse("id", &place).ok()?,
    };
    let port_name = match address.protocol {
        Some(crate::config::Protocol::H2c) => "h2c",
        Some(crate::config::Protocol::Http1) | None => "",
    };
    Some(Instance {
        key: Arc::new(key),
        address: address.host.clone(),
        ports: [Port { name: port_name.into(), number: address.port }].into(),
        tags: Tags::default(),
        metadata: Metadata::default(),
        weight: 1,
        warning_weight: None,
        zone: None,
        lifecycle: Lifecycle::Up,
        lease: None,
        origin: "gateway".into(),
        annex: Annex::default(),
    })
}
