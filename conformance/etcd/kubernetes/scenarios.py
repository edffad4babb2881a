"""What a Kubernetes API server is asked to do. Each scenario checks what must be so, and notes answers, which have to be the same
on every store."""

import time

from cluster import APPLY, MERGE, PATCH, STRATEGIC
from notes import config_map, happened, named, namespace, version
from tap import equal


def objects(api, notes):
    """Create, read, update, patch, apply, delete, with their conflicts and preconditions."""
    place = f"{namespace(api, 'objects')}/configmaps"
    one = f"{place}/one"
    created = notes.note("create", api.post(place, config_map("one")))
    notes.note("create again", api.call("POST", place, config_map("one")))
    notes.note("create with a version", api.call("POST", place, config_map("two", resourceVersion="1")))
    notes.note("nothing there", api.call("GET", f"{place}/none"))
    equal(version(api.get(one)), version(created), "the version that was created")
    equal(version(api.get(one, resourceVersion="0")), version(created), "the version in the cache")
    updated = notes.note("update", api.done("PUT", one, {**created, "data": {"k": "w"}}))
    assert int(version(updated)) > int(version(created))
    notes.note("update of an old version", api.call("PUT", one, {**created, "data": {"k": "x"}}))
    same = api.done("PUT", one, updated)
    equal(version(same), version(updated), "the version after an update that changes nothing")
    notes.note("update without a version", api.done("PUT", one, config_map("one", {"k": "y"})))
    notes.note("update of another uid", api.call("PUT", one, config_map("one", uid="11111111-2222-3333-4444-555555555555")))
    notes.note("merge", api.done("PATCH", one, {"data": {"l": "m", "k": None}}, kind=MERGE))
    notes.note("patch", api.done("PATCH", one, [{"op": "add", "path": "/metadata/labels", "value": {"a": "b"}}], kind=PATCH))
    notes.note("patch of what is not so", api.call("PATCH", one, [{"op": "test", "path": "/data/l", "value": "n"}], kind=PATCH))
    notes.note("strategic", api.done("PATCH", one, {"metadata": {"annotations": {"c": "d"}}}, kind=STRATEGIC))
    notes.note("dry run", api.done("PATCH", one, {"data": {"dry": "run"}}, kind=MERGE, dryRun="All"))
    assert "dry" not in api.get(one)["data"]
    applied = config_map("applied", {"k": "1"})
    notes.note("apply", api.call("PATCH", f"{place}/applied", applied, kind=APPLY, fieldManager="first"))
    notes.note("apply again", api.call("PATCH", f"{place}/applied", applied, kind=APPLY, fieldManager="first"))
    applied["data"] = {"k": "2"}
    notes.note("apply of another's", api.call("PATCH", f"{place}/applied", applied, kind=APPLY, fieldManager="second"))
    notes.note("apply by force", api.call("PATCH", f"{place}/applied", applied, kind=APPLY, fieldManager="second", force="true"))
    generated = api.post(place, {"metadata": {"generateName": "made-"}})
    assert generated["metadata"]["name"].startswith("made-")
    held = {"preconditions": {"uid": "11111111-2222-3333-4444-555555555555"}}
    notes.note("delete of another uid", api.call("DELETE", one, held))
    notes.note("delete of an old version", api.call("DELETE", one, {"preconditions": {"resourceVersion": version(created)}}))
    notes.note("delete", api.call("DELETE", one, {"preconditions": {"resourceVersion": version(api.get(one))}}))
    notes.note("delete again", api.call("DELETE", one))
    large = config_map("large", {"k": "x" * 1_000_000})
    equal(len(api.post(place, large)["data"]["k"]), 1_000_000, "bytes that came back")
    equal(len(api.get(f"{place}/large")["data"]["k"]), 1_000_000, "bytes that were kept")
    notes.note("too large", api.call("POST", place, config_map("larger", {"k": "x" * 1_100_000})))
    # One that the apiserver lets pass, and whose size the store itself refuses.
    annotated = config_map("largest", {"k": "x" * 1_040_000}, annotations={"a": "x" * 250_000}, labels={f"l{n}": "y" * 60 for n in range(4000)})
    notes.note("too large for the store", api.call("POST", place, annotated))


def contention(api, notes):
    """Many who change one object at the same time: each change happens once, whether by retrying or by patching."""
    place = f"{namespace(api, 'contention')}/configmaps"
    counter = f"{place}/counter"
    api.post(place, config_map("counter", {"count": "0"}))

    def add(_):
        while True:
            found = api.get(counter)
            found["data"]["count"] = str(int(found["data"]["count"]) + 1)
            status, answer = api.call("PUT", counter, found)
            if status != 409:
                assert status == 200, f"{status}: {answer}"
                return version(answer)

    versions = api.at_once(add, range(60), 6)
    equal(len(set(versions)), 60, "versions that were given out")
    equal(api.get(counter)["data"]["count"], "60", "what was counted")
    api.at_once(lambda n: api.done("PATCH", counter, {"data": {f"by-{n}": "x"}}, kind=MERGE), range(30))
    notes.note("all of them", sorted(api.get(counter)["data"]))


def finalizers(api, notes):
    """What is deleted stays as long as somebody holds it."""
    place = f"{namespace(api, 'finalizers')}/configmaps"
    held = f"{place}/held"
    api.post(place, config_map("held", finalizers=["example.com/hold"]))
    notes.note("deleted", api.done("DELETE", held))
    found = notes.note("still there", api.get(held))
    assert found["metadata"]["deletionTimestamp"]
    notes.note("another hold", api.call("PATCH", held, {"metadata": {"finalizers": ["example.com/hold", "example.com/more"]}}, kind=MERGE))
    notes.note("let go", api.call("PATCH", held, {"metadata": {"finalizers": []}}, kind=MERGE))
    equal(api.call("GET", held)[0], 404, "after the last hold")
    api.post(place, config_map("orphan"))
    notes.note("in the background", api.done("DELETE", f"{place}/orphan", {"propagationPolicy": "Foreground"}))
    notes.note("waits for a collector", api.get(f"{place}/orphan")["metadata"]["finalizers"])


def collections(api, notes):
    """Deleting all of a kind, and some of it."""
    place = f"{namespace(api, 'collections')}/configmaps"
    api.at_once(lambda n: api.post(place, config_map(f"c-{n:03}", labels={"odd": str(n % 2)})), range(200))
    gone = api.done("DELETE", place, labelSelector="odd=1")
    equal(len(gone["items"]), 100, "deleted by their label")
    notes.note("left", named(api.get(place)))
    notes.note("gone", api.done("DELETE", place)["kind"])
    notes.note("nothing", named(api.get(place)))


def listing(api, notes):
    """Lists in pages, of now and of then, while others write."""
    home = namespace(api, "listing")
    place = f"{home}/configmaps"
    api.at_once(lambda n: api.post(place, config_map(f"c-{n:03}", {"n": "0"}, labels={"third": str(n % 3)})), range(250))
    then = version(api.get(place))
    names = [f"c-{n:03}" for n in range(250)]

    def pages(**params):
        seen, token, versions = [], None, set()
        while True:
            more = {"continue": token} if token else params
            page = api.get(place, limit="40", **more)
            seen += page["items"]
            versions.add(version(page))
            token = page["metadata"].get("continue")
            # A page is of the moment of the first one, whatever happens in between.
            number = len(seen)
            api.done("PATCH", f"{place}/c-249", {"data": {"n": str(number)}}, kind=MERGE)
            if not token:
                return seen, versions, page

    for what, params in {
        "pages": {},
        "pages of then": {"resourceVersion": then, "resourceVersionMatch": "Exact"},
        "pages since then": {"resourceVersion": then, "resourceVersionMatch": "NotOlderThan"},
    }.items():
        seen, versions, last = pages(**params)
        equal([it["metadata"]["name"] for it in seen], names, what)
        equal(len(versions), 1, f"{what}: versions")
        notes.note(what, [(it["metadata"]["name"], it["data"]) for it in seen][:-1])
        notes.note(f"last of {what}", {"metadata": last["metadata"], "kind": last["kind"]})
    first = notes.note("a page's metadata", api.get(place, limit="100")["metadata"])
    equal(first["remainingItemCount"], 150, "what remains")
    api.at_once(lambda n: api.done("DELETE", f"{place}/c-{n:03}"), range(0, 250, 2))
    page = api.get(place, **{"limit": "100", "continue": first["continue"]})
    equal(named(page), names[100:200], "a second page, although half of it was deleted")
    exact = {"resourceVersion": then, "resourceVersionMatch": "Exact"}
    old = api.get(place, **exact)
    equal((named(old), version(old)), (names, then), "exactly then")
    assert {it["data"]["n"] for it in old["items"]} == {"0"}
    notes.note("exactly then, by label", named(api.get(place, labelSelector="third=2", **exact)))
    for n, version_then in enumerate(api.at_once(lambda n: version(api.done("PATCH", f"{place}/c-001", {"data": {"n": f"v{n}"}}, kind=MERGE)), range(12), 1)):
        found = api.get(place, resourceVersion=version_then, resourceVersionMatch="Exact", fieldSelector="metadata.name=c-001")
        equal([it["data"]["n"] for it in found["items"]], [f"v{n}"], f"at {version_then}")
    equal(named(api.get(place, resourceVersion="0")), names[1::2], "from the cache")
    since = api.get(place, resourceVersion=then)
    assert int(version(since)) >= int(then)
    notes.note("since then", named(since))
    for what, params in {
        "by name": {"fieldSelector": "metadata.name=c-033"},
        "by label": {"labelSelector": "third in (0,1)"},
        "by label in pages": {"labelSelector": "third=1", "limit": "7"},
        "all namespaces": {"fieldSelector": f"metadata.namespace={home.rsplit('/', 1)[1]}"},
    }.items():
        notes.note(what, named(api.get("/api/v1/configmaps" if what == "all namespaces" else place, **params)))
    ahead = str(int(then) + 1_000_000)
    for what, params in {
        "of the future": {"resourceVersion": ahead, "timeout": "2s"},
        "exactly of the future": {"resourceVersion": ahead, "resourceVersionMatch": "Exact", "timeout": "2s"},
        "a match without a version": {"resourceVersionMatch": "Exact"},
        "a token that is none": {"continue": "bm90aGluZw", "limit": "2"},
        "a version that is none": {"resourceVersion": "abc"},
        "exactly zero": {"resourceVersion": "0", "resourceVersionMatch": "Exact"},
    }.items():
        status, answer = api.call("GET", place, **params)
        details = {key: answer.get(key) for key in ("kind", "status", "reason", "code")}
        notes.note(what, (status, details))
    table = "application/json;as=Table;v=v1;g=meta.k8s.io"
    notes.note("as a table", api.done("GET", place, accept=table, limit="3")["columnDefinitions"])
    answer = api.raw("GET", place, accept="application/vnd.kubernetes.protobuf")
    equal(answer.content[:4], b"k8s\0", "as protobuf")


def watching(api, notes):
    """Watches from now, from then, with what is there already, with bookmarks, by selectors; many of them."""
    home = namespace(api, "watching")
    place = f"{home}/configmaps"
    begin = version(api.get(place))
    live = api.watch(place, resourceVersion=begin, allowWatchBookmarks="true", timeoutSeconds="300")
    many = [api.watch(place, resourceVersion=begin, timeoutSeconds="300") for _ in range(40)]
    by_label = api.watch(place, resourceVersion=begin, labelSelector="on=yes", timeoutSeconds="300")
    by_name = api.watch(place, resourceVersion=begin, fieldSelector="metadata.name=b", timeoutSeconds="300")
    versions = []
    for name in "abc":
        versions.append(version(api.post(place, config_map(name, labels={"on": "yes" if name == "a" else "no"}))))
    for n in range(5):
        versions.append(version(api.done("PATCH", f"{place}/b", {"data": {"n": str(n)}}, kind=MERGE)))
    versions.append(version(api.done("PATCH", f"{place}/a", {"metadata": {"labels": {"on": "no"}}}, kind=MERGE)))
    versions.append(version(api.done("PATCH", f"{place}/c", {"metadata": {"labels": {"on": "yes"}}}, kind=MERGE)))
    api.done("DELETE", f"{place}/b")

    def is_last(event):
        return event["type"] == "DELETED" and event["object"]["metadata"]["name"] == "b"

    def changes(watch):
        return [event for event in watch.until(is_last) if event["type"] != "BOOKMARK"]

    told = changes(live)
    notes.note("told", told)
    equal([version(event["object"]) for event in told][:-1], versions, "versions, in order")
    assert int(version(told[-1]["object"])) > int(versions[-1]), "a deletion has a version of its own"
    for one in many:
        equal(changes(one), told, "what another watch was told")
    notes.note("by name", happened(changes(by_name)))
    notes.note("by label", happened(by_label.take(3)))
    for n, start in enumerate(versions):
        later = api.watch(place, resourceVersion=start, timeoutSeconds="300")
        equal(happened(changes(later)), happened(told[n + 1 :]), f"from {start}")
        later.close()
    initial = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true", "timeoutSeconds": "300"}
    for what, more in {"what is there": {}, "what is there since": {"resourceVersion": versions[-1]}, "what is in the cache": {"resourceVersion": "0"}}.items():
        watch = api.watch(place, **initial, **more)
        events = watch.until(lambda event: event["type"] == "BOOKMARK")
        equal(happened(events[:-1]), [("ADDED", "a"), ("ADDED", "c")], what)
        notes.note(what, events[-1])
        watch.close()
    plain_start = api.watch(place, timeoutSeconds="300")
    equal(sorted(happened(plain_start.take(2))), [("ADDED", "a"), ("ADDED", "c")], "a watch without a version")
    short = api.watch(place, resourceVersion=versions[-1], timeoutSeconds="1")
    notes.note("a watch that ends", [event["type"] for event in short.until_end()])
    ahead = api.watch(place, resourceVersion=str(int(versions[-1]) + 1_000_000), timeoutSeconds="3")
    notes.note("a watch of the future", [event["type"] for event in ahead.until_end() if event["type"] != "ERROR" or event["object"]["code"] != 504])
    # 40 watches and a writer that does not wait for them.
    api.at_once(lambda n: api.post(place, config_map(f"m-{n:03}")), range(300))
    told = {name for _, name in happened(live_changes(live, 300))}
    equal(len(told), 300, "created at once, and told")
    for one in many:
        equal(len(live_changes(one, 300)), 300, "told to another")
    for watch in (live, by_label, by_name, plain_start, *many):
        watch.close()


def live_changes(watch, count):
    found = []
    while len(found) < count:
        event = watch.next()
        if event["type"] != "BOOKMARK":
            found.append(event)
    return found


def many(api, notes, count):
    """Thousands of objects: created at once, listed whole and in pages, and counted."""
    place = f"{namespace(api, 'many')}/configmaps"
    value = "x" * 1000
    started = time.monotonic()
    api.at_once(lambda n: api.post(place, config_map(f"m-{n:06}", {"v": value})), range(count))
    took = time.monotonic() - started
    names = [f"m-{n:06}" for n in range(count)]
    equal(named(api.get(place)), names, "all of them")
    equal(named(api.get(place, resourceVersion="0")), names, "all of them in the cache")
    seen, token = [], None
    while token is not None or not seen:
        page = api.get(place, limit="500", **({"continue": token} if token else {}))
        seen, token = seen + named(page), page["metadata"].get("continue")
    equal(seen, names, "all of them in pages")
    initial = {"sendInitialEvents": "true", "resourceVersionMatch": "NotOlderThan", "allowWatchBookmarks": "true", "timeoutSeconds": "300"}
    watch = api.watch(place, **initial)
    equal(len(watch.until(lambda event: event["type"] == "BOOKMARK")), count + 1, "all of them as events")
    watch.close()
    notes.note("many", len(names))
    return took


ALL = [objects, contention, finalizers, collections, listing, watching]
