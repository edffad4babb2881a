//! Calls `greeter` by name, ten times, and says what it knows about the instances.
#![allow(clippy::print_stdout, reason = "an example talks to its user")]

use switchboard::{HttpClient, LastKnownGood, Native, SharedOptions};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let registry = std::env::var("SWITCHBOARD_SERVER").unwrap_or_else(|_| "http://127.0.0.1:7700".to_owned());
    let folder = std::env::var("KEEP_IN")
        .map_or_else(|_| std::env::temp_dir().join("switchboard-example"), Into::into);
    let options =
        SharedOptions { last_known_good: Some(LastKnownGood::in_folder(folder)), ..SharedOptions::default() };
    let http = HttpClient::new(Native::at(&registry)?.source_with(options));
    for i in 0..10 {
        print!("{}", http.get(&format!("http://greeter/{i}")).await?.text().await?);
    }
    for status in http.status() {
        println!(
            "{}: {:?}, {} calls, {} retries",
            status.service, status.freshness, status.calls, status.retries
        );
        for instance in status.instances {
            println!("  {} {:?} {:?}", instance.endpoint.key.id, instance.phase, instance.latency);
        }
    }
    Ok(())
}
