//! The sources of this crate against the suite, and what sharing, staleness and the last known good promise.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of a test may fail it"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use switchboard_discover::suite::{Abilities, World, hosts, until};
use switchboard_discover::{
    Feed, FeedError, File, Fixed, Freshness, Instance, LastKnownGood, Publisher, Query, Shared,
    SharedOptions, Source,
};
use tokio::sync::watch;

fn instance(id: &str, host: &str) -> Instance {
    Instance::new("users", id, host, 8080).unwrap()
}

fn users() -> Query {
    Query::service("users").unwrap()
}

mod fixed {
    use super::*;

    struct FixedWorld {
        source: Arc<Fixed>,
        instances: BTreeMap<String, Instance>,
    }

    impl FixedWorld {
        fn new() -> FixedWorld {
            FixedWorld { source: Arc::new(Fixed::new([])), instances: BTreeMap::new() }
        }
    }

    #[async_trait]
    impl World for FixedWorld {
        fn source(&self) -> Arc<dyn Source> {
            self.source.clone()
        }

        fn abilities(&self) -> Abilities {
            Abilities::ALL
        }

        async fn put(&mut self, instance: &Instance) {
            self.instances.insert(instance.key.id.to_string(), instance.clone());
            self.source.set(self.instances.values().cloned());
        }

        async fn remove(&mut self, instance: &Instance) {
            self.instances.remove(instance.key.id.as_str());
            self.source.set(self.instances.values().cloned());
        }
    }

    switchboard_discover::source_suite!(FixedWorld::new());
}

mod file {
    use super::*;

    struct FileWorld {
        source: Arc<dyn Source>,
        folder: tempfile::TempDir,
        instances: BTreeMap<String, serde_json::Value>,
    }

    impl FileWorld {
        fn new() -> FileWorld {
            let folder = tempfile::tempdir().unwrap();
            let source = File::looking_every(folder.path().join("services.json"), Duration::from_millis(5));
            let world = FileWorld { source: Arc::new(source), folder, instances: BTreeMap::new() };
            world.write();
            world
        }

        fn write(&self) {
            let instances: Vec<_> = self.instances.values().collect();
            let text = serde_json::json!({ "instances": instances }).to_string();
            let aside = self.folder.path().join("aside");
            std::fs::write(&aside, text).unwrap();
            std::fs::rename(aside, self.folder.path().join("services.json")).unwrap();
        }
    }

    #[async_trait]
    impl World for FileWorld {
        fn source(&self) -> Arc<dyn Source> {
            self.source.clone()
        }

        fn abilities(&self) -> Abilities {
            Abilities::ALL
        }

        async fn put(&mut self, instance: &Instance) {
            let metadata: BTreeMap<_, _> =
                instance.metadata.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
            let mut written = serde_json::json!({
                "service": instance.key.service.as_str(), "id": instance.key.id.as_str(), "host": &*instance.host,
                "port": instance.port(), "weight": instance.weight, "health": instance.health.as_str(),
                "tags": instance.tags.iter().map(ToString::to_string).collect::<Vec<_>>(), "metadata": metadata,
            });
            if let Some(zone) = &instance.zone {
                written["zone"] = zone.to_string().into();
            }
            self.instances.insert(instance.key.id.to_string(), written);
            self.write();
        }

        async fn remove(&mut self, instance: &Instance) {
            self.instances.remove(instance.key.id.as_str());
            self.write();
        }

        async fn cut(&mut self) -> bool {
            std::fs::remove_file(self.folder.path().join("services.json")).unwrap();
            true
        }

        async fn mend(&mut self) {
            self.write();
        }
    }

    switchboard_discover::source_suite!(FileWorld::new());

    #[tokio::test]
    async fn what_is_wrong_with_a_file_is_said_and_changes_nothing() {
        let mut world = FileWorld::new();
        world.put(&instance("a", "10.0.0.1")).await;
        let mut updates = world.source.watch(&users());
        until(&mut updates, "a is there", |set| set.instances.len() == 1).await;
        let path = world.folder.path().join("services.json");
        for (text, wanted) in [
            (r#"{"instances":[{"service":"users","host":"h","prot":1}]}"#, "prot"),
            (
                r#"{"instances":[{"service":"users","host":"h","port":1},{"service":"users","host":"h","port":0}]}"#,
                "instances[1]",
            ),
            ("{", "EOF"),
        ] {
            std::fs::write(&path, text).unwrap();
            let set = until(&mut updates, wanted, |set| match &set.freshness {
                Freshness::Stale { cause, .. } => cause.contains(wanted),
                _ => false,
            })
            .await;
            assert_eq!(hosts(&set), ["10.0.0.1"]);
        }
    }
}

/// A feed that a test steers.
#[derive(Clone)]
struct Puppet {
    /// The set, or why there is none.
    says: watch::Receiver<Result<Vec<Instance>, String>>,
    follows: Arc<AtomicUsize>,
    running: Arc<AtomicUsize>,
}

/// Files that are whole.
fn kept(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).into_iter().flatten();
    entries.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|it| it == "json")).count()
}

/// Pulls the strings.
struct Strings(watch::Sender<Result<Vec<Instance>, String>>);

impl Strings {
    fn say(&self, what: Result<Vec<Instance>, String>) {
        self.0.send_modify(|said| *said = what);
    }
}

fn puppet() -> (Strings, Puppet) {
    let (tell, says) = watch::channel(Ok(Vec::new()));
    (Strings(tell), Puppet { says, follows: Arc::default(), running: Arc::default() })
}

struct Running(Arc<AtomicUsize>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[async_trait]
impl Feed for Puppet {
    fn name(&self) -> &str {
        "puppet"
    }

    async fn follow(&self, _query: &Query, publisher: &Publisher) -> FeedError {
        self.follows.fetch_add(1, Ordering::SeqCst);
        self.running.fetch_add(1, Ordering::SeqCst);
        let _running = Running(self.running.clone());
        let mut says = self.says.clone();
        for revision in 1.. {
            match says.borrow_and_update().clone() {
                Ok(instances) => publisher.publish(instances, revision),
                Err(why) => return FeedError::new(why),
            }
            if says.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
        FeedError::new("over")
    }
}

mod puppet_suite {
    use super::*;

    struct PuppetWorld {
        tell: Strings,
        instances: BTreeMap<String, Instance>,
        is_cut: bool,
        source: Arc<Shared<Puppet>>,
    }

    impl PuppetWorld {
        fn new() -> PuppetWorld {
            let (tell, puppet) = puppet();
            let source = Arc::new(Shared::new(puppet));
            PuppetWorld { tell, instances: BTreeMap::new(), is_cut: false, source }
        }

        fn say(&self) {
            let instances = self.instances.values().cloned().collect();
            self.tell.say(if self.is_cut { Err("cut".to_owned()) } else { Ok(instances) });
        }
    }

    #[async_trait]
    impl World for PuppetWorld {
        fn source(&self) -> Arc<dyn Source> {
            self.source.clone()
        }

        fn abilities(&self) -> Abilities {
            Abilities::ALL
        }

        async fn put(&mut self, instance: &Instance) {
            self.instances.insert(instance.key.id.to_string(), instance.clone());
            self.say();
        }

        async fn remove(&mut self, instance: &Instance) {
            self.instances.remove(instance.key.id.as_str());
            self.say();
        }

        async fn cut(&mut self) -> bool {
            self.is_cut = true;
            self.say();
            true
        }

        async fn mend(&mut self) {
            self.is_cut = false;
            self.say();
        }

        async fn open_watches(&self) -> Option<usize> {
            Some(self.source.feed().running.load(Ordering::SeqCst))
        }
    }

    switchboard_discover::source_suite!(PuppetWorld::new());
}

/// Duplicates in one answer made go-kit dial twice and leak the first connection (K15).
#[tokio::test]
async fn k15_of_two_instances_with_one_id_the_last_counts() {
    let (tell, puppet) = puppet();
    tell.say(Ok(vec![instance("a", "10.0.0.1"), instance("b", "10.0.0.2"), instance("a", "10.0.0.9")]));
    let set = Shared::new(puppet).watch(&users()).ready().await;
    assert_eq!(hosts(&set), ["10.0.0.2", "10.0.0.9"]);
}

#[tokio::test]
async fn the_same_again_wakes_nobody_and_the_revision_moves_on() {
    let (tell, puppet) = puppet();
    let mut updates = Shared::new(puppet).watch(&users());
    let before = updates.ready().await.revision;
    tell.say(Ok(vec![]));
    tokio::select! {
        set = updates.next() => panic!("woken by {set:?}"),
        () = tokio::time::sleep(Duration::from_millis(50)) => {}
    }
    assert!(updates.current().revision > before);
}

/// The registry answers and breaks at once, again and again: go-kit has asked hundreds of times a second (K10).
#[tokio::test(start_paused = true)]
async fn k10_a_registry_that_accepts_and_breaks_is_not_asked_in_a_tight_loop() {
    struct Breaking(Arc<AtomicUsize>);

    #[async_trait]
    impl Feed for Breaking {
        fn name(&self) -> &str {
            "breaking"
        }

        async fn follow(&self, _query: &Query, publisher: &Publisher) -> FeedError {
            self.0.fetch_add(1, Ordering::SeqCst);
            publisher.publish([], 1);
            FeedError::new("reset by peer")
        }
    }

    let asked = Arc::new(AtomicUsize::new(0));
    let _updates = Shared::new(Breaking(asked.clone())).watch(&users());
    tokio::time::sleep(Duration::from_secs(60)).await;
    let asked = asked.load(Ordering::SeqCst);
    assert!((5..30).contains(&asked), "asked {asked} times in a minute");
}

/// go-kit publishes the error only after the pause (K12), and cannot be stopped while it waits (K20).
#[tokio::test(start_paused = true)]
async fn k12_the_error_is_told_before_the_pause_and_stopping_interrupts_it() {
    let (tell, puppet) = puppet();
    tell.say(Err("down".to_owned()));
    let options = SharedOptions { pause: Duration::from_secs(3600), ..SharedOptions::default() };
    let source = Shared::with(puppet.clone(), options);
    let mut updates = source.watch(&users());
    let told = tokio::time::timeout(Duration::from_secs(1), updates.next()).await.unwrap();
    assert_eq!(told.freshness, Freshness::Never { cause: Some(Arc::from("down")) });
    drop(updates.clone());
    drop(updates);
    assert_eq!(puppet.running.load(Ordering::SeqCst), 0);
    tell.say(Ok(vec![]));
    source.watch(&users()).ready().await;
}

#[tokio::test]
async fn a_new_process_starts_from_the_last_known_good_and_says_that_it_is_stale() {
    let folder = tempfile::tempdir().unwrap();
    let options = || SharedOptions {
        last_known_good: Some(LastKnownGood::in_folder(folder.path().join("lkg"))),
        ..SharedOptions::default()
    };
    let known = Instance { weight: 9, zone: Some(Arc::from("z")), ..instance("a", "fd00::1") };
    {
        let (tell, puppet) = puppet();
        tell.say(Ok(vec![known.clone()]));
        let source = Shared::with(puppet, options());
        let _updates = source.watch(&users());
        while kept(&folder.path().join("lkg")) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    let (tell, puppet) = puppet();
    tell.say(Err("connection refused".to_owned()));
    let source = Shared::with(puppet, options());
    let mut updates = source.watch(&users());
    let set = until(&mut updates, "something is known", |set| !set.freshness.is_never()).await;
    assert_eq!(*set.instances[0], known);
    assert!(matches!(set.freshness, Freshness::Stale { .. }), "{set:?}");
    // Of another query nothing is known, although it is the same service.
    let mut other = source.watch(&users().tag("x"));
    assert!(other.next().await.freshness.is_never());
    tell.say(Ok(vec![]));
    until(&mut updates, "the registry is heard", |set| set.freshness.is_fresh() && set.instances.is_empty())
        .await;
}

#[tokio::test]
async fn a_broken_file_of_the_last_known_good_is_no_obstacle() {
    let folder = tempfile::tempdir().unwrap();
    let options = || SharedOptions {
        last_known_good: Some(LastKnownGood::in_folder(folder.path())),
        ..SharedOptions::default()
    };
    {
        let (_tell, puppet) = puppet();
        let _updates = Shared::with(puppet, options()).watch(&users());
        while kept(folder.path()) == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }
    for entry in std::fs::read_dir(folder.path()).unwrap() {
        std::fs::write(entry.unwrap().path(), b"{\"form\":").unwrap();
    }
    let (tell, puppet) = puppet();
    tell.say(Ok(vec![instance("a", "10.0.0.1")]));
    let set = Shared::with(puppet, options()).watch(&users()).ready().await;
    assert!(set.freshness.is_fresh());
}

#[test]
fn outside_of_a_runtime_nothing_is_known_and_nothing_panics() {
    let (_tell, puppet) = puppet();
    assert!(Shared::new(puppet).watch(&users()).current().freshness.is_never());
}
