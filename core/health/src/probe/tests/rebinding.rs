use super::*;

/// A name server that answers with a harmless address when a check is looked at, and with another one when it is
/// connected to, gets a registry to talk to whomever it likes, if the two are two lookups.
#[tokio::test]
async fn a_name_that_changes_its_mind_gains_nothing() {
    let allowed = Canary::at("127.0.0.2:0").await;
    let port = allowed.address.port();
    let forbidden = Canary::at(&format!("127.0.0.1:{port}")).await;
    let config = Config { allow: vec!["127.0.0.2/32".parse().unwrap()], ..Config::default() };
    let good: &[&str] = &["127.0.0.2"];
    let bad: &[&str] = &["127.0.0.1"];
    let mapped: &[&str] = &["::ffff:127.0.0.1"];
    let mixed: &[&str] = &["127.0.0.1", "127.0.0.2", "169.254.169.254"];
    let flips = [good, bad, good, bad, mapped, good, mixed, bad, mixed, good];
    let lab = Lab::new(config).resolves(&flips);
    for (turn, answer) in flips.iter().enumerate() {
        let outcome = lab.ask("rebound.example", port, tcp()).await;
        let expected = if answer.contains(&"127.0.0.2") { Answer::Pass } else { Answer::Refused };
        assert_eq!(outcome.answer, expected, "turn {turn}: {outcome:?}");
        assert_eq!(lab.lookups.load(Ordering::Relaxed), turn + 1);
    }
    assert_eq!(allowed.seen().await, 6);
    assert_eq!(forbidden.seen().await, 0);
}
