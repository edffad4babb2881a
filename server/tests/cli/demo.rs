use std::net::TcpListener;

use crate::support::run_in;

/// Also where its port is taken, which is how it often is where tests run.
#[test]
fn the_tour_tells_the_whole_story() {
    let taken = TcpListener::bind("127.0.0.1:7700");
    let folder = tempfile::tempdir().unwrap();
    let said = run_in(folder.path(), &["demo", "--exit"]).expect(0);
    if taken.is_ok() {
        assert!(said.out.contains("Port 7700 is taken"), "{}", said.out);
    }
    for words in [
        "curl -X POST",
        "/v1/register",
        "curl -N",
        "event: change",
        "\"to\": \"critical\"",
        "\"to\": \"passing\"",
    ] {
        assert!(said.out.contains(words), "no {words:?} in {}", said.out);
    }
    assert_eq!(said.err, "");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "it left something behind");
}
