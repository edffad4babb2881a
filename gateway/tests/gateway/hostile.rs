use std::sync::Arc;

use parking_lot::Mutex;

use crate::support::*;

/// Hears every byte that arrives and answers each head.
async fn listening() -> (std::net::SocketAddr, Arc<Mutex<String>>) {
    let heard = Arc::new(Mutex::new(String::new()));
    let told = heard.clone();
    let address = raw_backend(move |mut raw| {
        let told = told.clone();
        async move {
            let mut buffer = [0; 4096];
            while let Ok(read) = tokio::io::AsyncReadExt::read(&mut raw.0, &mut buffer).await {
                if read == 0 {
                    return;
                }
                let said = String::from_utf8_lossy(&buffer[..read]).into_owned();
                let ends = said.contains("\r\n\r\n");
                told.lock().push_str(&said);
                if ends {
                    raw.say("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await;
                }
            }
        }
    })
    .await;
    (address, heard)
}

/// The last request of each conversation; whatever is not refused before it comes this far.
const LAST: &str = "GET /nobody/last HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";

/// Says bytes and a last request, and gives the statuses of all answers, and what the instance heard.
async fn hear(world: &World, heard: &Mutex<String>, bytes: &str) -> (Vec<String>, String) {
    heard.lock().clear();
    let mut raw = world.connect().await;
    raw.say(format!("{bytes}{LAST}")).await;
    let said = raw.all().await;
    let statuses = said.split("HTTP/1.").skip(1).map(|answer| answer[2..5].to_owned()).collect();
    (statuses, heard.lock().clone())
}

#[tokio::test]
async fn two_meanings_in_one_request_are_refused_and_reach_nobody() {
    let world = world().await;
    let (address, heard) = listening().await;
    world.register("users", "a", address).await;
    let post =
        |lines: &str, rest: &str| format!("POST /users/x HTTP/1.1\r\nhost: x\r\n{lines}\r\n\r\n{rest}");
    let smuggled = "0\r\n\r\nGET /admin HTTP/1.1\r\nhost: x\r\n\r\n";
    for bytes in [
        post("transfer-encoding: chunked\r\ntransfer-encoding: identity", smuggled),
        post("transfer-encoding: identity, chunked", smuggled),
        post("transfer-encoding: chunked, identity", smuggled),
        post("transfer-encoding: xchunked", smuggled),
        post("transfer-encoding : chunked", smuggled),
        post(" transfer-encoding: chunked", smuggled),
        post("transfer-encoding:\x0bchunked", smuggled),
        post("content-length: 5\r\ncontent-length: 6", "hello!"),
        post("content-length: +5", "hello"),
        post("content-length: 5 5", "hello"),
        post("content-length: 0x5", "hello"),
        post("content-length: -1", "hello"),
        post("content-length: 99999999999999999999", "hello"),
        post("connection: host", ""),
        post("connection: x-forwarded-for", ""),
        post("connection: :authority", ""),
        post("connection: a,b,c,d,e,f,g,h,i,j", ""),
        post("host: y", ""),
        post("expect: 200-ok", ""),
        "GET http://y/users/x HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "GET /users/x HTTP/1.1\r\n\r\n".to_owned(),
        "GET /users/../admin HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "GET /users/%2e%2e/admin HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "GET /users/..%2fadmin HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "POST /users/x HTTP/1.0\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
        "CONNECT users:80 HTTP/1.1\r\nhost: users:80\r\n\r\n".to_owned(),
        "TRACE /users/x HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "GET /users/x HTTP/1.1\r\nhost: x\r\nx: a\r\n b\r\n\r\n".to_owned(),
        "GET /users/x\r\n\r\n".to_owned(),
        "GET  /users/x HTTP/1.1\r\nhost: x\r\n\r\n".to_owned(),
        "GET /users/x HTTP/1.1\r\nhost: x\r\nx\x00y: 1\r\n\r\n".to_owned(),
    ] {
        let (statuses, reached) = hear(&world, &heard, &bytes).await;
        assert!(statuses.len() <= 1, "{bytes:?} was answered {statuses:?}");
        assert!(
            statuses.iter().all(|status| status.starts_with('4') || status.starts_with('5')),
            "{bytes:?}: {statuses:?}"
        );
        assert_eq!(reached, "", "{bytes:?} reached the instance");
    }
}

/// What is understood one way only is passed on in our own words: whatever the client meant by its way of writing, the
/// instance reads one request.
#[tokio::test]
async fn what_is_passed_on_is_framed_anew() {
    let world = world().await;
    let (address, heard) = listening().await;
    world.register("users", "a", address).await;
    for bytes in [
        // Where both are said the library goes by the coding, and the connection ends with it.
        "POST /users/x HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "POST /users/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "POST /users/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n5;ext=1\r\nhello\r\n0\r\n\r\n",
        "POST /users/x HTTP/1.1\r\nhost: x\r\ntransfer-encoding: CHUNKED\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ] {
        let (statuses, reached) = hear(&world, &heard, bytes).await;
        let expected: &[_] = if bytes.contains("content-length") { &["200"] } else { &["200", "404"] };
        assert_eq!(statuses, expected, "{bytes:?}");
        assert_eq!(reached.matches("HTTP/1.1").count(), 1, "{reached:?}");
        assert!(reached.to_lowercase().contains("transfer-encoding: chunked"), "{reached:?}");
        assert!(!reached.contains("content-length") && !reached.contains("ext"), "{reached:?}");
    }
}

/// The rest of a body that nobody read must not become the next request.
#[tokio::test]
async fn a_body_that_nobody_read_is_no_request() {
    let world = world().await;
    let (address, heard) = listening().await;
    world.register("users", "a", address).await;
    let inner = "GET /users/smuggled HTTP/1.1\r\nhost: x\r\n\r\n";
    let bytes =
        format!("POST /nobody/x HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n{inner}", inner.len());
    let (statuses, reached) = hear(&world, &heard, &bytes).await;
    assert_eq!((statuses, reached), (vec!["404".to_owned(); 2], String::new()));
}

/// Old clients say by hanging up that their body ends; ours never do, so there is no body.
#[tokio::test]
async fn an_old_request_without_a_length_has_no_body() {
    let world = world().await;
    let (address, heard) = listening().await;
    world.register("users", "a", address).await;
    let bytes = "POST /users/x HTTP/1.0\r\nhost: x\r\n\r\nGET /users/smuggled HTTP/1.1\r\nhost: x\r\n\r\n";
    let (statuses, reached) = hear(&world, &heard, bytes).await;
    assert_eq!(statuses.len(), 1, "{statuses:?}");
    assert!(!reached.contains("smuggled"), "{reached:?}");
}

/// An instance that says two lengths, or nonsense, is not believed.
#[tokio::test]
async fn an_answer_with_two_meanings_is_not_passed_on() {
    for head in [
        "content-length: 2\r\ncontent-length: 5",
        "content-length: 2, 5",
        "content-length: x",
        "transfer-encoding: chunked\r\nx\x00y: 1",
    ] {
        let world = world().await;
        let address = raw_backend(move |mut raw| async move {
            raw.until("\r\n\r\n").await;
            raw.say(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\nok")).await;
            raw.all().await;
        })
        .await;
        world.register("users", "a", address).await;
        assert_eq!(world.get("/users/").await.status.as_u16(), 502, "{head:?}");
    }
}
