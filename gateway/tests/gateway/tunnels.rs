use crate::support::*;

const ASK: &str = "GET /ws/x HTTP/1.1\r\nhost: x\r\nconnection: keep-alive, Upgrade\r\nupgrade: websocket\r\n\
sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n";

/// Agrees, then says everything back.
async fn echo(mut raw: Raw) {
    let head = raw.until("\r\n\r\n").await;
    assert!(head.starts_with("GET /x HTTP/1.1") && head.contains("upgrade: websocket"), "{head}");
    assert!(head.ends_with("\r\n\r\n"), "bytes came before it agreed: {head:?}");
    raw.say("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-accept: x\r\n\r\n")
        .await;
    let (mut read, mut write) = raw.0.split();
    let _ = tokio::io::copy(&mut read, &mut write).await;
}

#[tokio::test]
async fn a_websocket_passes_bytes_in_both_directions_until_one_side_ends() {
    let world = world().await;
    world.register("ws", "a", raw_backend(echo).await).await;
    let mut raw = world.connect().await;
    raw.say(ASK).await;
    let head = raw.until("\r\n\r\n").await;
    assert!(head.starts_with("HTTP/1.1 101") && head.contains("sec-websocket-accept: x"), "{head}");
    raw.say("hello").await;
    assert_eq!(raw.until("hello").await, "hello");
    assert!(world.metrics().contains("switchboard_gateway_tunnels_open 1"));
    tokio::io::AsyncWriteExt::shutdown(&mut raw.0).await.unwrap();
    assert_eq!(raw.all().await, "");
}

/// Bytes that follow the request are not the instance's before it has agreed: whoever sends them to one that does not
/// would have a second request read that nobody looked at.
#[tokio::test]
async fn bytes_that_come_early_wait_for_the_agreement() {
    let world = world().await;
    world.register("ws", "a", raw_backend(echo).await).await;
    let mut raw = world.connect().await;
    raw.say(format!("{ASK}early")).await;
    raw.until("early").await;
}

#[tokio::test]
async fn an_instance_that_does_not_agree_gets_nothing_more() {
    let world = world().await;
    let (heard, mut hearing) = tokio::sync::mpsc::channel(8);
    let refuses = raw_backend(move |mut raw| {
        let heard = heard.clone();
        async move {
            let head = raw.until("\r\n\r\n").await;
            raw.say("HTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno").await;
            let _ = heard.send((head, raw.all().await)).await;
        }
    })
    .await;
    world.register("ws", "a", refuses).await;
    let mut raw = world.connect().await;
    raw.say(format!("{ASK}GET /admin HTTP/1.1\r\nhost: x\r\n\r\n")).await;
    let said = raw.until("HTTP/1.1 404").await;
    assert!(said.starts_with("HTTP/1.1 403"), "{said}");
    drop((raw, world));
    let (head, rest) = within(hearing.recv()).await.unwrap();
    assert!(!head.contains("/admin") && rest.is_empty(), "{head:?} {rest:?}");
}

#[tokio::test]
async fn an_instance_cannot_switch_to_what_nobody_asked_for() {
    let world = world().await;
    let switches = raw_backend(|mut raw| async move {
        raw.until("\r\n\r\n").await;
        raw.say("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: other\r\n\r\n").await;
        raw.all().await;
    })
    .await;
    world.register("ws", "a", switches).await;
    let mut raw = world.connect().await;
    raw.say(ASK).await;
    assert!(raw.until("\r\n\r\n").await.starts_with("HTTP/1.1 502"));
}

#[tokio::test]
async fn tunnels_are_bounded_and_end_with_the_process() {
    let mut world = world_with("limits.tunnels = 1\nlimits.drain = '100ms'").await;
    world.register("ws", "a", raw_backend(echo).await).await;
    let (mut first, mut second) = (world.connect().await, world.connect().await);
    first.say(ASK).await;
    first.until("\r\n\r\n").await;
    second.say(ASK).await;
    assert!(second.until("\r\n\r\n").await.starts_with("HTTP/1.1 503"));
    world.stop.cancel();
    within(world.serving.take().unwrap()).await.unwrap().unwrap();
    assert_eq!(first.all().await, "");
}

#[tokio::test]
async fn a_silent_tunnel_ends() {
    let world = world_with("timeouts.tunnel = '100ms'").await;
    world.register("ws", "a", raw_backend(echo).await).await;
    let mut raw = world.connect().await;
    raw.say(ASK).await;
    raw.until("\r\n\r\n").await;
    assert_eq!(raw.all().await, "");
}
