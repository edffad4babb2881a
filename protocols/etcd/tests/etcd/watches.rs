//! Watches: order, identity, history, progress.

use switchboard_protocol_etcd::etcdserverpb as pb;
use switchboard_protocol_etcd::etcdserverpb::watch_request::RequestUnion;

use crate::support::*;

#[tokio::test]
async fn many_watchers_share_a_stream_and_each_hears_its_own() {
    let world = world().await;
    let mut watches = world.watches().await;
    assert_eq!(watches.create(watch("a", "", 0)).await.watch_id, 0);
    assert_eq!(watches.create(watch("b", "", 0)).await.watch_id, 1);
    world.put("b", "1").await;
    let said = watches.next().await;
    assert_eq!((said.watch_id, said.events.len()), (1, 1));
    world.put("a", "1").await;
    assert_eq!(watches.next().await.watch_id, 0);
    watches.ask(RequestUnion::CancelRequest(pb::WatchCancelRequest { watch_id: 77 })).await;
    watches.ask(RequestUnion::CancelRequest(pb::WatchCancelRequest { watch_id: 0 })).await;
    let said = watches.next().await;
    assert!(said.canceled && said.watch_id == 0, "{said:?}");
}

#[tokio::test]
async fn a_watch_begins_in_the_past_and_goes_on_live() {
    let world = world().await;
    for i in 0..2000 {
        world.put("k", &i.to_string()).await;
    }
    let mut watches = world.watches().await;
    watches.create(pb::WatchCreateRequest { prev_kv: true, ..watch("k", "", 1995) }).await;
    let mut heard = Vec::new();
    while heard.len() < 7 {
        heard.extend(watches.told().await);
    }
    assert_eq!(heard[0], "PUT k=1993@1995<1992");
    world.delete("k").await;
    assert_eq!(watches.told().await, ["DELETE k=@2002<1999"]);
}

#[tokio::test]
async fn what_cannot_be_watched_is_said_in_one_answer() {
    let world = world().await;
    let mut watches = world.watches().await;
    let mut check = async |request, reason: &str| {
        let said = watches.create(request).await;
        assert!(said.created && said.canceled && said.watch_id == -1, "{said:?}");
        assert_eq!(said.cancel_reason, reason);
    };
    check(watch("b", "a", 0), "mvcc: watcher range is empty").await;
    check(watch("a", "", -1), "etcdserver: mvcc: required revision has been compacted").await;
    let chosen = || pb::WatchCreateRequest { watch_id: 9, ..watch("a", "", 0) };
    let mut watches = world.watches().await;
    assert_eq!(watches.create(chosen()).await.watch_id, 9);
    let said = watches.create(chosen()).await;
    assert_eq!(said.cancel_reason, "mvcc: duplicate watch ID provided on the WatchStream");
}

#[tokio::test]
async fn a_compacted_start_is_created_and_then_canceled() {
    let world = world().await;
    for i in 0..5 {
        world.put("a", &i.to_string()).await;
    }
    world.kv().compact(pb::CompactionRequest { revision: 4, physical: false }).await.unwrap();
    let mut watches = world.watches().await;
    assert!(watches.create(watch("a", "", 3)).await.created);
    let said = watches.next().await;
    assert!(said.canceled && said.compact_revision == 4 && said.cancel_reason.is_empty(), "{said:?}");
    assert_eq!(said.header.unwrap().revision, 0);
    assert!(watches.create(watch("a", "", 4)).await.created);
    assert_eq!(watches.told().await[0], "PUT a=2@4");
}

/// Kubernetes's storage test `TestWatch/WatchFromZero`: the event of the compacted revision itself came with what the key had
/// been before, which etcd has forgotten by then.
#[tokio::test]
async fn the_compacted_revision_is_told_without_what_was_before() {
    let world = world().await;
    for value in ["1", "2", "3"] {
        world.put("a", value).await;
    }
    world.kv().compact(pb::CompactionRequest { revision: 3, physical: true }).await.unwrap();
    let mut watches = world.watches().await;
    watches.create(pb::WatchCreateRequest { prev_kv: true, ..watch("a", "", 3) }).await;
    let mut heard = Vec::new();
    while heard.len() < 2 {
        heard.extend(watches.told().await);
    }
    assert_eq!(heard, ["PUT a=2@3", "PUT a=3@4<2"]);
}

#[tokio::test]
async fn progress_is_told_when_all_is_told_and_not_before_the_future() {
    let world = world().await;
    let mut watches = world.watches().await;
    watches.create(watch("a", "", 0)).await;
    let revision = world.put("other", "1").await;
    watches.ask(RequestUnion::ProgressRequest(pb::WatchProgressRequest {})).await;
    let said = watches.next().await;
    assert_eq!((said.watch_id, said.header.unwrap().revision), (-1, revision));
    // This one may hear nothing from before revision 50, progress included.
    watches.create(watch("a", "", 50)).await;
    watches.ask(RequestUnion::ProgressRequest(pb::WatchProgressRequest {})).await;
    watches.ask(RequestUnion::CancelRequest(pb::WatchCancelRequest { watch_id: 1 })).await;
    assert!(watches.next().await.canceled);
}

#[tokio::test]
async fn a_revision_is_told_whole() {
    let world = world().await;
    let mut watches = world.watches().await;
    watches.create(watch("t/", "t0", 0)).await;
    let put = |key: &str| pb::RequestOp {
        request: Some(pb::request_op::Request::RequestPut(pb::PutRequest {
            key: b(key),
            ..Default::default()
        })),
    };
    let request = pb::TxnRequest { success: vec![put("t/b"), put("t/a")], ..Default::default() };
    world.kv().txn(request).await.unwrap();
    assert_eq!(watches.told().await, ["PUT t/b=@2", "PUT t/a=@2"]);
}

/// The header of an answer that was only a part of the past said how far that part went, and clients that wait for a
/// revision took the store for an old one.
#[tokio::test]
async fn who_catches_up_hears_how_new_the_store_is() {
    let world = world().await;
    let mut head = 0;
    for i in 0..1001 {
        head = world.put("k", &i.to_string()).await;
    }
    let mut watches = world.watches().await;
    watches.create(watch("k", "", 1)).await;
    let mut heard = 0;
    while heard < 1001 {
        let said = watches.next().await;
        assert_eq!(said.header.unwrap().revision, head);
        heard += said.events.len();
    }
    let now = world.put("k", "live").await;
    assert_eq!(watches.next().await.header.unwrap().revision, now);
}

/// The past came in answers of a quarter of a megabyte, where etcd's own client counts on as much at once as there is, or
/// on pieces that belong together. Others would refuse what is longer than 4 MiB.
#[tokio::test]
async fn who_takes_answers_of_any_size_is_told_the_past_at_once() {
    let world = world().await;
    let megabyte = "x".repeat(1024 * 1024);
    for i in 0..6 {
        world.put(&format!("big/{i}"), &megabyte).await;
    }
    let events = async |own: bool, fragment: bool| {
        let mut watches = world.watches_of(own).await;
        watches.create(pb::WatchCreateRequest { fragment, ..watch("big/", "big0", 1) }).await;
        let mut together = 0;
        loop {
            let said = watches.next().await;
            together += said.events.len();
            if !said.fragment {
                return together;
            }
        }
    };
    assert_eq!(events(true, false).await, 6);
    assert_eq!(events(false, true).await, 6);
    assert_eq!(events(false, false).await, 1);
}

/// There was nothing that dashboards and tests made for etcd could count watchers by.
#[tokio::test]
async fn watchers_are_counted_under_etcds_name_until_they_are_gone() {
    let world = world().await;
    let metric = async |name: &str| {
        let (_, page) = world.http(http::Method::GET, "/metrics", "").await;
        let page = String::from_utf8(page.to_vec()).unwrap();
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map(|value| value.parse::<u64>().unwrap())
    };
    let mut watches = world.watches().await;
    watches.create(watch("a", "", 0)).await;
    watches.create(watch("b", "", 0)).await;
    assert_eq!(metric("etcd_debugging_mvcc_watcher_total").await, Some(2));
    watches.ask(RequestUnion::CancelRequest(pb::WatchCancelRequest { watch_id: 0 })).await;
    assert!(watches.next().await.canceled);
    while metric("etcd_debugging_mvcc_watcher_total").await != Some(1) {
        tokio::task::yield_now().await;
    }
    world.put("k", "value").await;
    // Keys are counted now and then.
    while metric("etcd_debugging_mvcc_keys_total").await != Some(1) {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(metric("etcd_server_health_failures").await, Some(0));
}
