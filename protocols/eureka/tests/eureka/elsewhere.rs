use http::StatusCode;
use serde_json::json;
use switchboard_model::{Health, InstanceKey, Lifecycle, Name, Port};
use switchboard_registry::Caller;

use crate::support::{java, world};

#[tokio::test]
async fn an_instance_of_another_protocol_looks_like_a_spring_application() {
    let world = world().await;
    world
        .register_elsewhere("u1", |instance| {
            instance.zone = Some("east-1".into());
            instance.weight = 5;
        })
        .await;
    let mut shown = world.instance("user-service", "u1").await;
    let dirty = shown["lastDirtyTimestamp"].take();
    assert_eq!(shown["lastUpdatedTimestamp"].take(), dirty);
    shown["leaseInfo"] = json!(null);
    assert_eq!(
        shown,
        json!({
            "instanceId": "u1", "hostName": "192.168.1.100", "app": "USER-SERVICE", "ipAddr": "192.168.1.100",
            "status": "UP", "overriddenStatus": "UNKNOWN", "overriddenstatus": "UNKNOWN",
            "port": { "$": 8080, "@enabled": "true" }, "securePort": { "$": 443, "@enabled": "false" },
            "countryId": 1,
            "dataCenterInfo": { "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "name": "MyOwn" },
            "leaseInfo": null,
            "metadata": { "version": "v1.2", "zone": "east-1", "weight": "5" },
            "homePageUrl": "http://192.168.1.100:8080/",
            "vipAddress": "User-Service", "secureVipAddress": "User-Service",
            "isCoordinatingDiscoveryServer": "false", "lastUpdatedTimestamp": null, "lastDirtyTimestamp": null,
        })
    );
    let found = world.get("/eureka/vips/User-Service").await.json();
    assert_eq!(found["applications"]["apps__hashcode"], "UP_1_");
    assert_eq!(world.put("/eureka/apps/USER-SERVICE/u1").await, StatusCode::OK);
}

#[tokio::test]
async fn tls_is_what_clients_use_only_where_it_is_the_main_port() {
    let world = world().await;
    world
        .register_elsewhere("s", |instance| {
            instance.ports = [Port { name: "https".into(), number: 8443 }].into();
        })
        .await;
    let shown = world.instance("user-service", "s").await;
    assert_eq!(shown["securePort"], json!({ "$": 8443, "@enabled": "true" }));
    assert_eq!(shown["port"]["@enabled"], "false");
    assert_eq!(shown["homePageUrl"], "https://192.168.1.100:8443/");
}

#[tokio::test]
async fn the_same_id_on_two_nodes_is_two_instances() {
    let world = world().await;
    for node in ["web-1", "web-2"] {
        world
            .register_elsewhere("app", |instance| {
                let node = Some(Name::parse("node", node).unwrap());
                instance.key = InstanceKey { node, ..(*instance.key).clone() }.into();
            })
            .await;
    }
    let all = world.get("/eureka/apps/user-service").await.json();
    let ids: Vec<_> =
        all["application"]["instance"].as_array().unwrap().iter().map(|one| &one["instanceId"]).collect();
    assert_eq!(ids, ["web-1:app", "web-2:app"]);
    assert_eq!(world.get("/eureka/instances/web-2:app").await.status, StatusCode::OK);
    assert_eq!(
        world.put("/eureka/apps/USER-SERVICE/WEB-1:app/status?value=OUT_OF_SERVICE").await,
        StatusCode::OK
    );
    assert_eq!(world.delete("/eureka/apps/USER-SERVICE/web-2:app").await, StatusCode::OK);
    assert_eq!(world.health("user-service", "app"), Health::OutOfService);
}

#[tokio::test]
async fn what_eureka_registers_is_known_to_all() {
    let world = world().await;
    world.register(&java("USER-SERVICE", "h:user-service:8080")).await;
    let view = world.registry.view(&Caller::internal("test")).unwrap();
    let found = view.find_instance("default", "h:user-service:8080", Some("user-service"), None).unwrap();
    let instance = &found.instance;
    assert_eq!((&*instance.address, instance.port()), ("10.0.0.1", Some(8080)));
    assert_eq!((instance.zone.as_deref(), &*instance.origin), (Some("east-1"), "eureka"));
    assert_eq!(instance.metadata.get("management.port"), Some("8081"));
    assert_eq!((instance.lifecycle, instance.key.service.as_str()), (Lifecycle::Up, "user-service"));
    let lease = found.lease.as_ref().unwrap();
    assert_eq!(lease.ttl.as_secs(), 90);
    drop(view);
    world.deregister_elsewhere("user-service", "h:user-service:8080").await;
    assert_eq!(world.get("/eureka/apps/USER-SERVICE").await.status, StatusCode::NOT_FOUND);
    assert_eq!(
        world.put("/eureka/apps/USER-SERVICE/h:user-service:8080?status=UP").await,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn the_name_keeps_the_case_of_whoever_came_first() {
    let world = world().await;
    world.register_elsewhere("u1", |_| {}).await;
    world.register(&java("USER-SERVICE", "u2")).await;
    let all = world.get("/eureka/apps/").await.json();
    assert_eq!(all["applications"]["application"].as_array().unwrap().len(), 1);
    assert_eq!(world.instance("User-Service", "u1").await["vipAddress"], "User-Service");
    assert_eq!(world.instance("User-Service", "u2").await["vipAddress"], "user-service");
}

/// The annex outlives a registration through another protocol, and what it says of the address is old then.
#[tokio::test]
async fn what_another_protocol_registers_anew_is_told_as_it_is_now() {
    let world = world().await;
    world.register(&java("USER-SERVICE", "u1")).await;
    world.register_elsewhere("u1", |_| {}).await;
    let shown = world.instance("user-service", "u1").await;
    assert_eq!((&shown["ipAddr"], &shown["hostName"]), (&json!("192.168.1.100"), &json!("192.168.1.100")));
    assert_eq!(shown["port"]["$"], 8080);
    world.register(&java("USER-SERVICE", "u1")).await;
    assert_eq!(world.instance("user-service", "u1").await["ipAddr"], "10.0.0.1");
}
