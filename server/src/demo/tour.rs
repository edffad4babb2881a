use std::time::{Duration, Instant};

use http::Method;
use serde_json::Value;

use super::services::Service;
use super::stage::{Stage, quoted};
use crate::client::{Events, with_query};
use crate::failure::Failure;

/// Longer than anything here takes on a slow machine.
const PATIENCE: Duration = Duration::from_secs(20);
const USERS: &str = "/v1/services/user-service";

/// Who is on the stage when the tour is over.
pub(super) struct Cast {
    pub(super) users: Vec<Service>,
    pub(super) orders: Service,
}

/// The whole story. Err: a step did not do what it should.
pub(super) async fn tour(stage: &mut Stage<'_>) -> Result<Cast, Failure> {
    the_registry_runs(stage).await?;
    let mut cast = services_start(stage).await?;
    they_register(stage, &cast).await?;
    look_up(stage).await?;
    found_by_name(stage, &cast).await?;
    let mut watch = start_watching(stage).await?;
    one_dies(stage, &mut cast, &mut watch).await?;
    the_list_without_it(stage, &cast).await?;
    it_comes_back(stage, &mut cast, &mut watch).await?;
    Ok(cast)
}

async fn the_registry_runs(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.title("The registry runs, on the embedded store in a temporary folder.")?;
    stage.get("/v1/status").await?;
    Ok(())
}

async fn services_start(stage: &mut Stage<'_>) -> Result<Cast, Failure> {
    stage.title("Three services start on free ports: two user-service, one order-service.")?;
    let registry = stage.registry.clone();
    let (one, two) =
        (Service::start("user-service", &registry).await?, Service::start("user-service", &registry).await?);
    let cast = Cast { users: vec![one, two], orders: Service::start("order-service", &registry).await? };
    for user in &cast.users {
        stage.get(&format!("{}/users/42", user.url())).await?;
    }
    Ok(cast)
}

async fn they_register(stage: &mut Stage<'_>, cast: &Cast) -> Result<(), Failure> {
    stage.title(
        "Each registers itself: it promises a heartbeat within every 30 s, and lets itself be probed.",
    )?;
    for service in cast.users.iter().chain([&cast.orders]) {
        let answer = stage.post("/v1/register", &service.registration()).await?;
        expect(
            answer.body.get("id").and_then(Value::as_str) == Some(&service.id()),
            "the registry chose another id",
        )?;
    }
    Ok(())
}

async fn look_up(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.title("Where is user-service? Whoever asks is given those that are healthy.")?;
    wait_for_users(stage, 2).await?;
    let answer = stage.get(USERS).await?;
    expect(count(&answer.body) == 2, "the look-up did not find both")
}

async fn found_by_name(stage: &mut Stage<'_>, cast: &Cast) -> Result<(), Failure> {
    stage.title("order-service asks the registry for user-service by name, and calls them in turn.")?;
    for _ in 0..2 {
        stage.get(&format!("{}/orders/7", cast.orders.url())).await?;
    }
    Ok(())
}

async fn start_watching(stage: &mut Stage<'_>) -> Result<Events, Failure> {
    stage.title("Somebody watches user-service. The stream stays open, and tells of every change.")?;
    let path = with_query("/v1/watch", [("service", Some("user-service"))]);
    stage.command(&format!("curl -N {}", quoted(&format!("{}{path}", stage.registry.url))))?;
    let mut watch = stage.registry.stream(&path).await?;
    let first = tokio::time::timeout(PATIENCE, watch.next()).await;
    if let Ok(Some(event)) = first {
        stage.event(&event)?;
    }
    Ok(watch)
}

async fn one_dies(stage: &mut Stage<'_>, cast: &mut Cast, watch: &mut Events) -> Result<(), Failure> {
    let Some(victim) = cast.users.last_mut() else { return Ok(()) };
    stage.title(&format!("{} drops dead: its port closes and its connections break.", victim.id()))?;
    let (id, killed) = (victim.id(), Instant::now());
    victim.kill().await;
    stage.say("The watch says:")?;
    let change =
        next_change(stage, watch, |change| is(change, "id", &id) && !is(change, "to", "passing")).await?;
    let why = change.get("why").and_then(Value::as_array).map_or(0, Vec::len);
    expect(why > 0, "the watch gave no reason")?;
    stage.say(&format!("That was {:.1} s after its death.", killed.elapsed().as_secs_f64()))
}

async fn the_list_without_it(stage: &mut Stage<'_>, cast: &Cast) -> Result<(), Failure> {
    stage.title(
        "Whoever asks now is given the other one only, and order-service has nothing to worry about.",
    )?;
    let answer = stage.get(USERS).await?;
    expect(count(&answer.body) == 1, "the look-up still finds it")?;
    stage.get(&format!("{}/orders/7", cast.orders.url())).await?;
    if let Some(victim) = cast.users.last() {
        stage.say("The registry has not forgotten it, and knows why it is out:")?;
        let path = with_query(USERS, [("status", Some("critical"))]);
        let answer = stage.get(&path).await?;
        expect(answer.text.contains(&victim.id()), "it is not among the critical ones")?;
    }
    Ok(())
}

async fn it_comes_back(stage: &mut Stage<'_>, cast: &mut Cast, watch: &mut Events) -> Result<(), Failure> {
    let Some(victim) = cast.users.last_mut() else { return Ok(()) };
    stage.title(&format!("{} starts again.", victim.id()))?;
    victim.revive().await?;
    let id = victim.id();
    stage.say("The watch says:")?;
    next_change(stage, watch, |change| is(change, "id", &id) && is(change, "to", "passing")).await?;
    let answer = stage.get(USERS).await?;
    expect(count(&answer.body) == 2, "the look-up does not find both again")
}

/// Shows the changes up to the one that is waited for.
async fn next_change(
    stage: &mut Stage<'_>,
    watch: &mut Events,
    is_it: impl Fn(&Value) -> bool,
) -> Result<Value, Failure> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        let event = match tokio::time::timeout_at(deadline, watch.next()).await {
            Ok(Some(event)) => event,
            Ok(None) => return Err(Failure::failed("the watch ended")),
            Err(_) => {
                return Err(Failure::failed(format!("the watch said nothing for {} s", PATIENCE.as_secs())));
            }
        };
        if event.kind != "change" {
            continue;
        }
        stage.event(&event)?;
        let change: Value = serde_json::from_str(&event.data).unwrap_or_default();
        if is_it(&change) {
            return Ok(change);
        }
    }
}

async fn wait_for_users(stage: &Stage<'_>, wanted: usize) -> Result<(), Failure> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let answer = stage.registry.ask(Method::GET, USERS, None).await?;
        if count(&answer.body) == wanted {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Err(Failure::failed(format!("user-service was not healthy within {} s", PATIENCE.as_secs())))
}

fn count(answer: &Value) -> usize {
    answer.get("instances").and_then(Value::as_array).map_or(0, Vec::len)
}

fn is(change: &Value, key: &str, value: &str) -> bool {
    change.get(key).and_then(Value::as_str) == Some(value)
}

fn expect(is_so: bool, otherwise: &str) -> Result<(), Failure> {
    if is_so { Ok(()) } else { Err(Failure::failed(otherwise)) }
}
