//! The examples, run as programs of their own against our registry in this process.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::support::{Api, Server, until};

/// Cargo builds examples with the tests, beside them; but not if only one test was asked for, and then they may be old.
fn example(name: &str) -> Option<PathBuf> {
    let tests = std::env::current_exe().unwrap();
    let path = tests.parent()?.parent()?.join("examples").join(name);
    if !path.exists() {
        eprintln!("not run: the examples are not built; `cargo test -p switchboard` builds them");
        return None;
    }
    Some(path)
}

fn command(path: &Path, server: &Server) -> Command {
    let mut command = Command::new(path);
    command.env("SWITCHBOARD_SERVER", format!("http://{}", server.native)).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn run(command: &mut Command) -> Output {
    let output = tokio::time::timeout(std::time::Duration::from_secs(120), command.output());
    output.await.expect("it does not end").unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// A greeter that has registered itself.
async fn greeter(path: &Path, server: &Server) -> (Child, String) {
    let mut child = command(path, server).arg("0").spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.next_line().await.unwrap().unwrap();
    assert!(line.ends_with("is registered"), "{line}");
    let port = line.split(' ').nth(2).unwrap().to_owned();
    // Read on, so that it can write on.
    tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
    (child, port)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn servers_register_and_a_client_calls_them_by_name_and_goes_on_without_the_registry() {
    let (Some(server_path), Some(client_path)) = (example("server"), example("client")) else { return };
    let server = Server::start().await;
    let folder = tempfile::tempdir().unwrap();
    let client = || {
        let mut client = command(&client_path, &server);
        client.env("KEEP_IN", folder.path());
        client
    };
    let (first, first_port) = greeter(&server_path, &server).await;
    let (mut second, second_port) = greeter(&server_path, &server).await;
    let output = run(&mut client()).await;
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    assert_eq!(text.matches("hello from").count(), 10, "{text}");
    // Chance decides who is called how often; nobody else is called.
    let by_them = [&first_port, &second_port].map(|port| text.matches(&format!("hello from {port}")).count());
    assert_eq!(by_them.iter().sum::<usize>(), 10, "{text}");
    assert!(text.contains("greeter: Fresh, 10 calls"), "{text}");

    // Told to stop, a server deregisters before it ends.
    let pid = second.id().unwrap().to_string();
    assert!(Command::new("sh").args(["-c", &format!("kill -TERM {pid}")]).status().await.unwrap().success());
    assert!(second.wait().await.unwrap().success());
    let greeters = Api::at(server.native).get("/v1/services/greeter?status=any").await;
    assert_eq!(greeters["instances"].as_array().unwrap().len(), 1, "{greeters}");

    // With every registry gone a new process starts from what an earlier one kept, and says so.
    let mut kept = client();
    kept.env("SWITCHBOARD_SERVER", "http://127.0.0.1:1");
    let output = run(&mut kept).await;
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    assert_eq!(text.matches("hello from").count(), 10, "{text}");
    assert!(text.contains("greeter: Stale"), "{text}");
    drop(first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_is_called_by_name_unary_and_streaming() {
    let Some(path) = example("grpc") else { return };
    let server = Server::start().await;
    let output = run(&mut command(&path, &server)).await;
    let text = said(&output);
    assert!(output.status.success(), "{text}");
    assert_eq!(text.matches("streaming: ").count(), 2, "{text}");
    assert!(text.contains("unary: HealthCheckResponse { status: Serving }"), "{text}");
    until("nobody is left", || async {
        let left = Api::at(server.native).get("/v1/services/health?status=any").await;
        left["instances"].as_array().is_some_and(Vec::is_empty)
    })
    .await;
}
