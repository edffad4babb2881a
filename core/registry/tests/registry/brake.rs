use std::time::Duration;

use switchboard_model::*;
use switchboard_registry::plan::*;

use crate::support::*;

async fn register_many(world: &World, count: usize) {
    for n in 0..count {
        world.submit(with_ttl("web", &format!("i{n}"))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn below_ten_every_single_loss_is_believed() {
    let world = world().await;
    register_many(&world, 5).await;
    world.pass(TTL * 2).await;
    assert_eq!(world.view().tally().lapsed, 5);
    assert_eq!(world.view().tally().suspect, 0);
}

#[tokio::test(start_paused = true)]
async fn mass_silence_takes_fifteen_percent_a_minute_and_the_rest_stays_in_service() {
    let world = world().await;
    register_many(&world, 200).await;
    world.pass(TTL + Duration::from_secs(2)).await;
    let tally = world.view().tally();
    assert_eq!((tally.lapsed, tally.suspect, tally.served), (30, 170, 170));
    let suspect =
        world.view().service("default", "web").unwrap().instances().find(|it| it.is_served()).cloned();
    let reasons = suspect.unwrap().reasons();
    assert!(reasons[0].contains("kept in service"), "{reasons:?}");
    world.pass(Duration::from_secs(61)).await;
    let lapsed = world.view().tally().lapsed + (200 - world.view().tally().instances);
    assert_eq!(lapsed, 60, "the brake lets go of another 15 % each minute");
}

#[tokio::test(start_paused = true)]
async fn suspects_that_are_heard_of_again_are_suspect_no_more() {
    let world = world().await;
    register_many(&world, 200).await;
    world.pass(TTL + Duration::from_secs(2)).await;
    let ids: Vec<String> = (0..200).map(|n| format!("i{n}")).collect();
    for id in &ids {
        world.beat("web", id).await;
    }
    world.pass(Duration::from_secs(2)).await;
    let tally = world.view().tally();
    assert_eq!((tally.lapsed, tally.suspect, tally.served), (0, 0, 200));
    world.pass(TTL - Duration::from_secs(4)).await;
    assert_eq!(world.view().tally().served, 200, "they came back without their full TTL");
}

#[tokio::test(start_paused = true)]
async fn deregistration_and_reports_are_never_braked() {
    let world = world().await;
    register_many(&world, 100).await;
    for n in 0..50 {
        world.submit(Deregister { key: key("web", &format!("i{n}")) }).await;
    }
    for n in 50..100 {
        let check =
            Check { probe: Probe::Manual, ..ttl_check(Owner::Instance(key("web", &format!("i{n}"))), "s") };
        world.submit(PutCheck { check: check.clone() }).await;
        world.registry.report(&caller(), &check.key, Status::Critical, "down").await.unwrap();
    }
    assert_eq!(world.view().tally().served, 0);
    assert_eq!(world.view().tally().suspect, 0);
}

#[tokio::test(start_paused = true)]
async fn failing_probes_of_many_at_once_are_not_believed() {
    let world = world().await;
    let check = |n: usize| ttl_check(Owner::Instance(key("web", &format!("i{n}"))), "probe");
    for n in 0..100 {
        world.submit(Register { checks: Some(vec![check(n)]), ..forever("web", &format!("i{n}")) }).await;
    }
    for n in 0..100 {
        world.registry.evidence(&caller(), &check(n).key, Status::Critical, "refused").await.unwrap();
    }
    let tally = world.view().tally();
    assert_eq!((tally.served, tally.suspect), (85, 85));
    // The same evidence a minute later is believed a little further.
    world.pass(Duration::from_secs(5)).await;
    for n in 0..100 {
        world.registry.report(&caller(), &check(n).key, Status::Passing, "").await.unwrap();
    }
    assert_eq!((world.view().tally().served, world.view().tally().suspect), (100, 0));
}
