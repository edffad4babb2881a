//! Earlier revisions.

use bytes::Bytes;
use switchboard_model::*;
use switchboard_registry::What;
use switchboard_registry::plan::{Deregister, PutEntry};

use crate::support::*;

fn put(key: &str, value: &str) -> PutEntry {
    let key = EntryKey { keyspace: "test".into(), key: Bytes::from(key.to_owned()) };
    let value = Bytes::from(value.to_owned());
    PutEntry {
        entry: Entry { key, value, lease: None, flags: 0, annex: Annex::default() },
        if_revision: None,
    }
}

fn value(view: &switchboard_registry::View, key: &str) -> Option<String> {
    let key = EntryKey { keyspace: "test".into(), key: Bytes::from(key.to_owned()) };
    view.entry(&key).map(|entry| String::from_utf8_lossy(&entry.value.value).into_owned())
}

#[tokio::test]
async fn every_revision_reads_as_it_was() {
    let world = world().await;
    world.submit(forever("web", "a")).await;
    for i in 0..3000 {
        world.submit(put("k", &i.to_string())).await;
    }
    world.submit(Deregister { key: key("web", "a") }).await;
    for revision in [1, 2, 3, 1500, 1501, 1025, 3001, 3002] {
        let view = world.registry.view_at(&caller(), Revision(revision)).await.unwrap();
        assert_eq!(view.revision(), Revision(revision));
        assert_eq!(view.instance(&key("web", "a")).is_some(), revision < 3002, "{revision}");
        let expected = (revision > 1).then(|| (revision.min(3001) - 2).to_string());
        assert_eq!(value(&view, "k"), expected, "{revision}");
    }
    let Err(Rejection::NotYet { .. }) = world.registry.view_at(&caller(), Revision(3003)).await else {
        panic!("a revision that has not happened was read");
    };
}

#[tokio::test]
async fn commits_are_read_page_by_page_and_nobody_waits_for_one() {
    let world = world().await;
    for i in 0..1500 {
        world.submit(put("k", &i.to_string())).await;
    }
    world.registry.compact(&caller(), Revision(5)).await.unwrap();
    let (mut cursor, mut pages) = (Revision(5), 0);
    loop {
        let page = world.registry.commits(&caller(), cursor).await.unwrap();
        let Some(last) = page.last() else { break };
        assert!(page.iter().map(|commit| commit.revision.0).eq(cursor.0 + 1..=last.revision.0));
        (cursor, pages) = (last.revision, pages + 1);
    }
    assert_eq!((cursor, pages), (Revision(1500), 2));
    let gone = world.registry.commits(&caller(), Revision(4)).await.unwrap_err();
    assert_eq!(gone, Rejection::Compacted { wanted: Revision(4), floor: Revision(5) });
}

#[tokio::test]
async fn what_was_compacted_is_said_and_the_rest_still_reads() {
    let world = world().await;
    for i in 0..10 {
        world.submit(put("k", &i.to_string())).await;
    }
    world.registry.view_at(&caller(), Revision(4)).await.unwrap();
    world.registry.compact(&caller(), Revision(5)).await.unwrap();
    assert_eq!(world.registry.floor(), Revision(5));
    let gone = world.registry.view_at(&caller(), Revision(4)).await.unwrap_err();
    assert_eq!(gone, Rejection::Compacted { wanted: Revision(4), floor: Revision(5) });
    let view = world.registry.view_at(&caller(), Revision(6)).await.unwrap();
    assert_eq!(value(&view, "k").as_deref(), Some("5"));
    assert!(world.registry.compact(&caller(), Revision(11)).await.is_err());
    // Another process over the same data knows it too.
    let again = open(world.engine.clone(), Default::default()).await;
    assert_eq!(again.floor(), Revision(5));
}

#[tokio::test]
async fn a_replay_tells_all_of_history_in_order() {
    let world = world().await;
    for i in 0..2500 {
        world.submit(put("k", &i.to_string())).await;
    }
    let mut replay = world.registry.replay(&caller(), Revision(7)).await.unwrap();
    let mut told = Vec::new();
    loop {
        let page = replay.next().await.unwrap();
        if page.is_empty() {
            break;
        }
        told.extend(page);
    }
    assert_eq!(
        told.iter().map(|changes| changes.revision.0).collect::<Vec<_>>(),
        (8..=2500).collect::<Vec<_>>()
    );
    let What::Entry { before: Some(before), after: Some(after) } = &told[0].items[0].what else {
        panic!("no entry with both sides");
    };
    assert_eq!((&before.value.value[..], &after.value.value[..]), (&b"6"[..], &b"7"[..]));
}

#[tokio::test]
async fn a_selector_of_several_is_about_what_any_of_them_is_about() {
    let world = world().await;
    let start = Bytes::from_static(b"a");
    let selector = Selector::AnyOf(
        [
            Selector::Entries { keyspace: "test".into(), start, end: Some(Bytes::from_static(b"b")) },
            Selector::Services { namespace: None, prefix: "we".into() },
        ]
        .into(),
    );
    let mut watch = world.registry.watch(&caller(), &selector, Revision::ZERO).unwrap();
    world.submit(put("z", "no")).await;
    world.submit(put("a1", "yes")).await;
    world.submit(forever("other", "no")).await;
    world.submit(forever("web", "yes")).await;
    assert_eq!(watch.next().await.unwrap().revision(), Revision(2));
    assert_eq!(watch.next().await.unwrap().revision(), Revision(4));
}
