//! Whoever depends on the client must not get a server with it.

use std::process::Command;

#[test]
fn the_client_brings_no_server_no_store_and_no_kubernetes() {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let output = Command::new(cargo)
        .args(["tree", "--locked", "--offline", "--package", "switchboard", "--edges", "normal,build"])
        .args(["--all-features", "--prefix", "none", "--format", "{p}"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let tree = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let crates: std::collections::BTreeSet<&str> =
        tree.lines().filter_map(|line| line.split(' ').next()).filter(|name| !name.is_empty()).collect();
    assert!(crates.contains("switchboard-balance"), "{tree}");
    let ours = crates.iter().copied().filter(|name| name.starts_with("switchboard"));
    let ours: Vec<&str> = ours.collect();
    assert_eq!(ours, ["switchboard", "switchboard-balance", "switchboard-discover", "switchboard-model"]);
    for unwanted in ["redb", "kube", "kube-client", "k8s-openapi", "axum", "reqwest", "openssl-sys", "clap"] {
        assert!(!crates.contains(unwanted), "{unwanted} comes with it");
    }
}
