//! The behaviour that every source must show, one async function for each.
//!
//! A source's test says how its world is made and takes all of them with one line, which makes one test of each:
//!
//! ```text
//! switchboard_discover::source_suite!(my_world().await);
//! ```
//!
//! What a registry cannot say at all its world declares in [`Abilities`]; a behaviour that does not apply says so on
//! standard error.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::print_stderr,
    reason = "this module is test code that lives in a library so that every source can run it"
)]

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use switchboard_model::{Health, Metadata, Tags};

use crate::{Freshness, Instance, InstanceSet, Query, Source, Updates};

/// A registry and a source that watches it.
#[async_trait]
pub trait World: Send + Sync {
    /// The source under test; the same one each time.
    fn source(&self) -> Arc<dyn Source>;

    /// What the registry can say.
    fn abilities(&self) -> Abilities;

    /// Registers an instance, or changes it.
    async fn put(&mut self, instance: &Instance);

    /// Deregisters an instance.
    async fn remove(&mut self, instance: &Instance);

    /// Makes the registry unreachable: connections end and new ones fail. False: this world cannot.
    async fn cut(&mut self) -> bool {
        false
    }

    /// Undoes `cut`.
    async fn mend(&mut self) {}

    /// How many watches the registry has open at present, if that can be known.
    async fn open_watches(&self) -> Option<usize> {
        None
    }
}

/// What a registry can say about an instance.
#[derive(Clone, Copy, Debug)]
#[allow(missing_docs, clippy::struct_excessive_bools, reason = "each is one word")]
pub struct Abilities {
    pub tags: bool,
    pub metadata: bool,
    pub weights: bool,
    pub zones: bool,
    /// Whether instances can be registered that must not be used.
    pub unhealthy: bool,
    /// Whether the registry keeps the ids.
    pub ids: bool,
}

impl Abilities {
    /// Everything that an instance has.
    pub const ALL: Abilities =
        Abilities { tags: true, metadata: true, weights: true, zones: true, unhealthy: true, ids: true };
}

/// One test for each behaviour. `$world` makes a world; it may await.
#[macro_export]
macro_rules! source_suite {
    ($world:expr) => {
        $crate::source_suite!(@each $world;
            a_service_that_nobody_registered_is_an_empty_set,
            the_whole_set_comes_on_subscribing_and_after_each_change,
            what_is_said_about_an_instance_arrives,
            an_address_of_ipv6_arrives,
            what_must_not_be_used_is_not_given,
            a_tag_narrows_the_set,
            during_an_outage_the_known_set_is_given_as_stale,
            whoever_comes_during_an_outage_is_given_the_known_set,
            before_the_first_answer_nothing_is_known,
            a_slow_reader_delays_nobody,
            a_hundred_readers_are_one_watch,
            the_watch_ends_with_its_last_reader,
        );
    };
    (@each $world:expr; $($name:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let mut world = $world;
                $crate::suite::$name(&mut world).await;
            }
        )*
    };
}

const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until a set is as it should be.
pub async fn until(updates: &mut Updates, what: &str, is_so: impl Fn(&InstanceSet) -> bool) -> InstanceSet {
    let mut set = updates.current();
    let wait = async {
        while !is_so(&set) {
            set = updates.next().await;
        }
    };
    let result = tokio::time::timeout(PATIENCE, wait).await;
    assert!(result.is_ok(), "it never came to be that {what}: {set:?}");
    set
}

/// The hosts of a set, sorted.
pub fn hosts(set: &InstanceSet) -> Vec<&str> {
    let mut hosts: Vec<&str> = set.instances.iter().map(|instance| &*instance.host).collect();
    hosts.sort_unstable();
    hosts
}

fn users() -> Query {
    Query::service("users").unwrap()
}

fn instance(id: &str, host: &str) -> Instance {
    Instance::new("users", id, host, 8080).unwrap()
}

async fn until_hosts(updates: &mut Updates, wanted: &[&str]) -> InstanceSet {
    until(updates, &format!("the hosts are {wanted:?}"), |set| {
        set.freshness.is_fresh() && hosts(set) == wanted
    })
    .await
}

fn does_not_apply(behaviour: &str) {
    eprintln!("does not apply to this source: {behaviour}");
}

/// No instances is an answer, and not the same as no answer.
pub async fn a_service_that_nobody_registered_is_an_empty_set(world: &mut dyn World) {
    let mut updates = world.source().watch(&users());
    let set = until(&mut updates, "there is an answer", |set| !set.freshness.is_never()).await;
    assert_eq!((set.instances.len(), set.freshness), (0, Freshness::Fresh));
}

/// Sets are whole: whoever sees only the last one has missed nothing.
pub async fn the_whole_set_comes_on_subscribing_and_after_each_change(world: &mut dyn World) {
    let (a, b, c) = (instance("a", "10.0.0.1"), instance("b", "10.0.0.2"), instance("c", "10.0.0.3"));
    world.put(&a).await;
    world.put(&b).await;
    let mut updates = world.source().watch(&users());
    until_hosts(&mut updates, &["10.0.0.1", "10.0.0.2"]).await;
    world.put(&c).await;
    until_hosts(&mut updates, &["10.0.0.1", "10.0.0.2", "10.0.0.3"]).await;
    world.remove(&a).await;
    let set = until_hosts(&mut updates, &["10.0.0.2", "10.0.0.3"]).await;
    assert!(set.instances.iter().all(|it| it.port() == Some(8080)), "{set:?}");
    if world.abilities().ids {
        let ids: Vec<String> = set.instances.iter().map(|it| it.key.id.to_string()).collect();
        assert_eq!(ids, ["b", "c"]);
    }
    world.remove(&b).await;
    world.remove(&c).await;
    until_hosts(&mut updates, &[]).await;
}

/// A change of metadata alone is a change (pingora and volo lose it).
pub async fn what_is_said_about_an_instance_arrives(world: &mut dyn World) {
    let abilities = world.abilities();
    let mut said = instance("a", "10.0.0.1");
    if abilities.tags {
        said.tags = Tags::new([Arc::from("v1"), Arc::from("canary")]).unwrap();
    }
    if abilities.weights {
        said.weight = 7;
    }
    if abilities.zones {
        said.zone = Some(Arc::from("eu-1"));
    }
    world.put(&said).await;
    let mut updates = world.source().watch(&users());
    let heard = until_hosts(&mut updates, &["10.0.0.1"]).await.instances[0].clone();
    assert_eq!((&heard.tags, heard.weight, &heard.zone), (&said.tags, said.weight, &said.zone));
    if !abilities.metadata {
        return does_not_apply("metadata");
    }
    said.metadata = Metadata::new([(Arc::from("version"), Arc::from("2.0"))]).unwrap();
    world.put(&said).await;
    until(&mut updates, "the metadata is there", |set| {
        set.instances.iter().any(|it| it.metadata.get("version") == Some("2.0"))
    })
    .await;
}

/// go-kit writes IPv6 addresses without brackets (K22).
pub async fn an_address_of_ipv6_arrives(world: &mut dyn World) {
    world.put(&instance("a", "fd00::7")).await;
    let mut updates = world.source().watch(&users());
    let set = until_hosts(&mut updates, &["fd00::7"]).await;
    assert_eq!(set.instances[0].authority().unwrap(), "[fd00::7]:8080");
}

/// go-kit's Eureka source serves instances that are down (K7).
pub async fn what_must_not_be_used_is_not_given(world: &mut dyn World) {
    if !world.abilities().unhealthy {
        return does_not_apply("health");
    }
    let (good, mut bad) = (instance("good", "10.0.0.1"), instance("bad", "10.0.0.2"));
    world.put(&good).await;
    world.put(&bad).await;
    let mut updates = world.source().watch(&users());
    until_hosts(&mut updates, &["10.0.0.1", "10.0.0.2"]).await;
    bad.health = Health::Critical;
    world.put(&bad).await;
    until_hosts(&mut updates, &["10.0.0.1"]).await;
    let mut all = world.source().watch(&users().with_unhealthy());
    let set = until(&mut all, "both are there, one of them broken", |set| {
        set.instances.len() == 2 && set.instances.iter().any(|it| !it.health.is_served())
    })
    .await;
    assert_eq!(hosts(&set), ["10.0.0.1", "10.0.0.2"]);
    bad.health = Health::Passing;
    world.put(&bad).await;
    until_hosts(&mut updates, &["10.0.0.1", "10.0.0.2"]).await;
}

/// Whether the registry filters or the client does.
pub async fn a_tag_narrows_the_set(world: &mut dyn World) {
    if !world.abilities().tags {
        return does_not_apply("tags");
    }
    let tagged = |id: &str, host: &str, tags: &[&str]| {
        let tags = Tags::new(tags.iter().map(|tag| Arc::from(*tag))).unwrap();
        Instance { tags, ..instance(id, host) }
    };
    world.put(&tagged("a", "10.0.0.1", &["v1"])).await;
    world.put(&tagged("b", "10.0.0.2", &["v1", "canary"])).await;
    world.put(&tagged("c", "10.0.0.3", &["canary"])).await;
    let mut updates = world.source().watch(&users().tag("canary").tag("v1"));
    until_hosts(&mut updates, &["10.0.0.2"]).await;
}

/// And when the registry is back, changes arrive again (K3, K4).
pub async fn during_an_outage_the_known_set_is_given_as_stale(world: &mut dyn World) {
    let (a, b) = (instance("a", "10.0.0.1"), instance("b", "10.0.0.2"));
    world.put(&a).await;
    let mut updates = world.source().watch(&users());
    until_hosts(&mut updates, &["10.0.0.1"]).await;
    if !world.cut().await {
        return does_not_apply("an outage");
    }
    let set = until(&mut updates, "it is stale", |set| !set.freshness.is_fresh()).await;
    assert!(matches!(set.freshness, Freshness::Stale { .. }), "{set:?}");
    assert_eq!(hosts(&set), ["10.0.0.1"]);
    world.mend().await;
    world.put(&a).await;
    world.put(&b).await;
    until_hosts(&mut updates, &["10.0.0.1", "10.0.0.2"]).await;
    world.remove(&a).await;
    until_hosts(&mut updates, &["10.0.0.2"]).await;
}

/// In go-kit an error replaces the set, and whoever subscribes then is given nothing (K17).
pub async fn whoever_comes_during_an_outage_is_given_the_known_set(world: &mut dyn World) {
    world.put(&instance("a", "10.0.0.1")).await;
    let mut updates = world.source().watch(&users());
    until_hosts(&mut updates, &["10.0.0.1"]).await;
    if !world.cut().await {
        return does_not_apply("an outage");
    }
    until(&mut updates, "it is stale", |set| !set.freshness.is_fresh()).await;
    let set = world.source().watch(&users()).current();
    assert!(matches!(set.freshness, Freshness::Stale { .. }), "{set:?}");
    assert_eq!(hosts(&set), ["10.0.0.1"]);
}

/// "Nothing is known" is not "there is nothing".
pub async fn before_the_first_answer_nothing_is_known(world: &mut dyn World) {
    if !world.cut().await {
        return does_not_apply("an outage");
    }
    let mut updates = world.source().watch(&users());
    let set = until(&mut updates, "the cause is said", |set| {
        matches!(set.freshness, Freshness::Never { cause: Some(_) })
    })
    .await;
    assert!(set.instances.is_empty());
    world.mend().await;
    until_hosts(&mut updates, &[]).await;
}

/// go-kit broadcasts to unbuffered channels under a lock (K13).
pub async fn a_slow_reader_delays_nobody(world: &mut dyn World) {
    let _never_reads = world.source().watch(&users());
    let mut updates = world.source().watch(&users());
    for (id, host) in [("a", "10.0.0.1"), ("b", "10.0.0.2"), ("c", "10.0.0.3")] {
        world.put(&instance(id, host)).await;
    }
    until_hosts(&mut updates, &["10.0.0.1", "10.0.0.2", "10.0.0.3"]).await;
}

/// go-kit opens one watch for each method of each endpoint (K9).
pub async fn a_hundred_readers_are_one_watch(world: &mut dyn World) {
    let mut readers: Vec<Updates> = (0..100).map(|_| world.source().watch(&users())).collect();
    world.put(&instance("a", "10.0.0.1")).await;
    for reader in &mut readers {
        until_hosts(reader, &["10.0.0.1"]).await;
    }
    match world.open_watches().await {
        Some(open) => assert_eq!(open, 1),
        None => does_not_apply("counting watches"),
    }
}

/// At once, whatever it waits for (K12), and ending twice is ending once (K20).
pub async fn the_watch_ends_with_its_last_reader(world: &mut dyn World) {
    let first = world.source().watch(&users());
    let mut second = first.clone();
    until_hosts(&mut second, &[]).await;
    drop(first);
    world.put(&instance("a", "10.0.0.1")).await;
    until_hosts(&mut second, &["10.0.0.1"]).await;
    drop(second);
    if world.open_watches().await.is_none() {
        return does_not_apply("counting watches");
    }
    let ended = async {
        while world.open_watches().await != Some(0) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let ended = tokio::time::timeout(PATIENCE, ended).await;
    assert!(ended.is_ok(), "the watch goes on without a reader");
}
