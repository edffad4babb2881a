//! Keys that are instances, and instances that are keys.

use std::sync::Arc;

use switchboard_model::*;
use switchboard_registry::Options;
use switchboard_registry::plan::{Keep, Register, SetLifecycle};

use crate::support::*;

fn register(service: &str, id: &str, node: Option<&str>) -> Register {
    let name = |text: &str| Name::parse("name", text).unwrap();
    let key = InstanceKey {
        namespace: Name::default_namespace(),
        service: name(service),
        node: node.map(name),
        id: Id::parse("id", id).unwrap(),
    };
    let instance = Instance {
        key: Arc::new(key),
        address: "10.0.0.9".into(),
        ports: [Port { name: "".into(), number: 90 }].into(),
        tags: Tags::new(["blue".into()]).unwrap(),
        metadata: Metadata::default(),
        weight: 1,
        warning_weight: None,
        zone: None,
        lifecycle: Lifecycle::Up,
        lease: None,
        origin: "test".into(),
        annex: Annex::default(),
    };
    Register { instance, checks: None, keep: Keep::Forever }
}

#[tokio::test]
async fn a_put_registers_and_a_delete_deregisters() {
    let world = world().await;
    let revision = world.put("/services/web/1", "http://10.0.0.1:8080/x").await;
    let view = world.registry.view(&caller()).unwrap();
    let found = view.find_instance("default", "1", Some("web"), None).unwrap();
    assert_eq!((&*found.instance.address, found.instance.port()), ("10.0.0.1", Some(8080)));
    assert_eq!(found.instance.modified, Revision(u64::try_from(revision).unwrap()));
    // Word for word, although the prefix's own form is another.
    assert_eq!(
        world.all("/services/", 0).await.unwrap(),
        [format!("/services/web/1=http://10.0.0.1:8080/x@{revision}")]
    );
    assert_eq!(world.delete("/services/web/1").await, 1);
    assert!(world.registry.view(&caller()).unwrap().service("default", "web").is_none());
}

#[tokio::test]
async fn instances_from_elsewhere_are_keys_at_their_own_revision() {
    let world = world_with("node = 'here'", Options::default()).await;
    let mut watches = world.watches().await;
    watches.create(watch("/services/", "/services0", 0)).await;
    let first = world.registry.submit(&caller(), register("web", "a", None)).await.unwrap().revision;
    assert_eq!(watches.told().await, [format!("PUT /services/web/a=10.0.0.9:90@{first}")]);
    let here = world.registry.submit(&caller(), register("web", "b", Some("here"))).await.unwrap().revision;
    let there = world.registry.submit(&caller(), register("web", "b", Some("there"))).await.unwrap().revision;
    let expected = [
        format!("/services/web/a=10.0.0.9:90@{first}"),
        format!("/services/web/b=10.0.0.9:90@{here}"),
        format!("/services/web/b@there=10.0.0.9:90@{there}"),
    ];
    assert_eq!(world.all("/services/", 0).await.unwrap(), expected);
    assert_eq!(world.all("/services/web/", 0).await.unwrap(), expected);
}

#[tokio::test]
async fn writing_back_what_was_read_makes_no_commit() {
    let world = world().await;
    let mut registration = register("web", "a", None);
    registration.keep =
        Keep::Ttl { ttl: std::time::Duration::from_secs(60), linger: std::time::Duration::from_secs(60) };
    world.registry.submit(&caller(), registration).await.unwrap();
    let head = world.registry.head();
    assert_eq!(world.put("/services/web/a", "10.0.0.9:90").await, i64::try_from(head.0).unwrap());
    let lease = world.grant(60).await;
    let revision = world.put_under("/services/web/b", "10.0.0.1:80", lease).await;
    assert_eq!(world.put_under("/services/web/b", "10.0.0.1:80", lease).await, revision);
    assert_eq!(world.registry.head(), Revision(u64::try_from(revision).unwrap()));
    // Another value keeps what it does not speak of.
    world.put("/services/web/a", "10.0.0.10:91").await;
    let view = world.registry.view(&caller()).unwrap();
    let found = view.find_instance("default", "a", Some("web"), None).unwrap();
    assert_eq!(found.instance.address, "10.0.0.10".into());
    assert!(found.instance.tags.contains("blue") && found.lease.is_some());
    assert_eq!(&*found.instance.origin, "etcd");
}

#[tokio::test]
async fn a_value_that_is_no_instance_is_an_ordinary_key() {
    let world = world().await;
    let first = world.put("/services/web/a", "hello").await;
    assert_eq!(world.all("/services/", 0).await.unwrap(), [format!("/services/web/a=hello@{first}")]);
    assert!(world.registry.view(&caller()).unwrap().service("default", "web").is_none());
    let mut watches = world.watches().await;
    watches
        .create(switchboard_protocol_etcd::etcdserverpb::WatchCreateRequest {
            prev_kv: true,
            ..watch("/services/", "/services0", 0)
        })
        .await;
    let second = world.put("/services/web/a", "10.0.0.1:80").await;
    assert_eq!(watches.told().await, [format!("PUT /services/web/a=10.0.0.1:80@{second}<hello")]);
    assert!(world.registry.view(&caller()).unwrap().service("default", "web").is_some());
    let third = world.put("/services/web/a", "hello").await;
    assert_eq!(watches.told().await, [format!("PUT /services/web/a=hello@{third}<10.0.0.1:80")]);
    assert!(world.registry.view(&caller()).unwrap().service("default", "web").is_none());
}

#[tokio::test]
async fn what_is_not_served_is_not_shown() {
    let world = world().await;
    world.put("/services/web/a", "10.0.0.1:80").await;
    let mut watches = world.watches().await;
    watches.create(watch("/services/web/a", "", 0)).await;
    let view = world.registry.view(&caller()).unwrap();
    let key = view.find_instance("default", "a", Some("web"), None).unwrap().key().clone();
    let set = |lifecycle| SetLifecycle { key: key.clone(), lifecycle };
    world.registry.submit(&caller(), set(Lifecycle::OutOfService)).await.unwrap();
    assert!(watches.told().await[0].starts_with("DELETE /services/web/a="));
    assert!(world.all("/services/", 0).await.unwrap().is_empty());
    world.registry.submit(&caller(), set(Lifecycle::Up)).await.unwrap();
    assert!(watches.told().await[0].starts_with("PUT /services/web/a=10.0.0.1:80@"));
}

#[tokio::test]
async fn every_form_is_shown_as_configured() {
    for (form, expected) in [
        ("address", "10.0.0.9:90"),
        ("url", "http://10.0.0.9:90"),
        ("grpc-endpoint", r#"{"Addr":"10.0.0.9:90","Metadata":null,"Op":0}"#),
    ] {
        let settings = format!("prefixes = [{{ keys = 'n/{{service}}/{{id}}', value = '{form}' }}]");
        let world = world_with(&settings, Options::default()).await;
        world.registry.submit(&caller(), register("web", "a", None)).await.unwrap();
        let head = world.registry.head();
        assert_eq!(world.all("n/", 0).await.unwrap(), [format!("n/web/a={expected}@{head}")]);
        assert_eq!(world.put("n/web/a", expected).await, i64::try_from(head.0).unwrap(), "{form}");
    }
}
