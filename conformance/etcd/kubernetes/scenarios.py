"""What a Kubernetes API server is asked to do. Each scenario checks what must be so, and notes answers, which have to be the same
on every store."""

import re
import time

from cluster import APPLY, MERGE, PATCH, STRATEGIC, waited_for
from tap import equal

NAMESPACES = "/api/v1/namespaces"
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
ADDRESS = re.compile(r"10\.96\.\d+\.\d+")
# What every store and every run gives differently.
OWN = {"uid": "UID", "resourceVersion": "VERSION", "continue": "TOKEN", "nodePort": "PORT", "name": None, "message": None}


class Notes:
    """Answers without what differs from run to run."""

    def __init__(self):
        self.lines = []

    def note(self, what, answer):
        self.lines.append((what, plain(answer)))
        return answer


def plain(value, key=None):
    if isinstance(value, dict):
        return {name: plain(inner, name) for name, inner in value.items()}
    if key == "managedFields":
        # They are in the order of their times, which have whole seconds.
        return sorted((plain(inner) for inner in value), key=str)
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if OWN.get(key) and value not in ("", "0"):
        return OWN[key]
    if isinstance(value, str):
        value = ADDRESS.sub("ADDRESS", MOMENT.sub("MOMENT", value))
        # Versions that are named in a sentence; uids.
        value = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}", "UID", value)
        value = re.sub(r"\b\d{2,}\b", "NUMBER", value) if key == "message" else value
    return value


def version(thing):
    return thing["metadata"]["resourceVersion"]


def named(things):
    return [thing["metadata"]["name"] for thing in things["items"]]


def happened(events):
    return [(event["type"], event["object"]["metadata"]["name"]) for event in events]


def config_map(name, data=None, **metadata):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": data or {"k": "v"}}


def namespace(api, name):
    name += api.mark
    api.post(NAMESPACES, {"metadata": {"name": name}})
    return f"{NAMESPACES}/{name}"


def bootstrap(api, notes):
    """What it writes for itself on an empty store, and what it thinks of its own health."""
    for path in ("/readyz", "/livez", "/healthz"):
        notes.note(path, api.raw("GET", path, verbose="").text)
    notes.note("etcd", [api.raw("GET", f"/{kind}/etcd{more}").status_code for kind, more in (("livez", ""), ("readyz", ""), ("readyz", "-readiness"))])
    for path in (
        NAMESPACES,
        "/apis/rbac.authorization.k8s.io/v1/clusterroles",
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        "/apis/flowcontrol.apiserver.k8s.io/v1/flowschemas",
        "/apis/flowcontrol.apiserver.k8s.io/v1/prioritylevelconfigurations",
        "/apis/scheduling.k8s.io/v1/priorityclasses",
        "/apis/apiregistration.k8s.io/v1/apiservices",
        "/api/v1/services",
    ):
        found = named(api.get(path))
        assert found, f"nothing under {path}"
        notes.note(path, found)
    services = api.get("/apis/apiregistration.k8s.io/v1/apiservices")["items"]
    notes.note("available", [(it["metadata"]["name"], [c["status"] for c in it["status"]["conditions"]]) for it in services])


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

    def changes(watch):
        return [event for event in watch.until(lambda event: event["type"] == "DELETED" and event["object"]["metadata"]["name"] == "b") if event["type"] != "BOOKMARK"]

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


def custom(api, notes):
    """A resource of one's own, in two versions, of which first one and then the other is stored."""
    home = namespace(api, "custom")
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    properties = {"spec": {"type": "object", "properties": {"size": {"type": "integer", "minimum": 1}, "color": {"type": "string", "default": "red"}}}}
    properties["status"] = {"type": "object", "properties": {"seen": {"type": "integer"}}}
    schema = {"openAPIV3Schema": {"type": "object", "properties": properties}}
    scale = {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.seen"}
    versions = [
        {"name": name, "served": True, "storage": name == "v1", "schema": schema, "subresources": {"status": {}, "scale": scale}} for name in ("v1", "v2")
    ]
    names = {"plural": "widgets", "singular": "widget", "kind": "Widget"}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": versions}
    api.post(definitions, {"metadata": {"name": "widgets.example.com"}, "spec": spec})
    places = {name: f"/apis/example.com/{name}/{home.removeprefix('/api/v1/')}/widgets" for name in ("v1", "v2")}

    def established():
        found = api.get(f"{definitions}/widgets.example.com")
        so = {it["type"]: it["status"] for it in found["status"].get("conditions") or []}
        served = [api.raw("GET", place).status_code == 200 for place in places.values()]
        return found if so.get("Established") == "True" and all(served) else None

    defined = waited_for("the definition is established", established)
    notes.note("stored versions", defined["status"]["storedVersions"])

    def widget(name, size, of="v1"):
        return {"apiVersion": f"example.com/{of}", "kind": "Widget", "metadata": {"name": name}, "spec": {"size": size}}

    begin = version(api.get(places["v2"]))
    watches = {name: api.watch(place, resourceVersion=begin, timeoutSeconds="300") for name, place in places.items()}
    notes.note("create", api.post(places["v1"], widget("one", 1)))
    notes.note("read as the other", api.get(f"{places['v2']}/one"))
    notes.note("what the schema refuses", api.call("POST", places["v1"], widget("wrong", 0)))
    notes.note("status", api.done("PATCH", f"{places['v1']}/one/status", {"status": {"seen": 3}}, kind=MERGE))
    notes.note("scale", api.done("PATCH", f"{places['v2']}/one/scale", {"spec": {"replicas": 7}}, kind=MERGE))
    notes.note("apply", api.done("PATCH", f"{places['v2']}/two", widget("two", 2, "v2"), kind=APPLY, fieldManager="me"))

    def store(stored):
        found = api.get(f"{definitions}/widgets.example.com")
        for one in found["spec"]["versions"]:
            one["storage"] = one["name"] == stored
        api.done("PUT", f"{definitions}/widgets.example.com", found)

    store("v2")
    waited_for("the other version is stored", lambda: len(api.get(f"{definitions}/widgets.example.com")["status"]["storedVersions"]) == 2)
    waited_for("it is served again", established)
    notes.note("after the change", [api.get(place)["items"] for place in places.values()])
    notes.note("create as the other", api.post(places["v2"], widget("three", 3, "v2")))
    notes.note("touch", api.done("PATCH", f"{places['v1']}/one", {"spec": {"color": "blue"}}, kind=MERGE))
    notes.note("all", [named(api.get(place, limit="2")) for place in places.values()])
    for name, watch in watches.items():
        # A changed definition may end its watches.
        events = watch.until(lambda event: event is None or happened([event]) == [("ADDED", "two")])
        notes.note(f"told as {name}", events)
        watch.close()
    api.done("DELETE", f"{definitions}/widgets.example.com")
    waited_for("the definition is gone", lambda: api.call("GET", f"{definitions}/widgets.example.com")[0] == 404)
    waited_for("and not served", lambda: api.raw("GET", places["v1"]).status_code == 404)


def expiring(api, notes):
    """Events are written under a lease of the store's, and go by themselves; leases of Kubernetes's own are ordinary objects."""
    home = namespace(api, "expiring")
    events = f"{home}/events"
    watch = api.watch(events, resourceVersion=version(api.get(events)), timeoutSeconds="300")
    about = {"kind": "ConfigMap", "namespace": "expiring", "name": "one"}
    for n in range(20):
        api.post(events, {"metadata": {"name": f"e-{n:02}"}, "involvedObject": about, "reason": "Test", "message": "m", "type": "Normal"})
    notes.note("created", happened(watch.take(20)))
    equal(len(api.get(events)["items"]), 20, "events")
    gone = watch.take(20)
    notes.note("gone by themselves", sorted(happened(gone)))
    notes.note("the list afterwards", named(api.get(events)))
    watch.close()
    leases = "/apis/coordination.k8s.io/v1/namespaces/expiring/leases"
    spec = {"holderIdentity": "me", "leaseDurationSeconds": 15, "renewTime": "2026-01-01T00:00:00.000000Z"}
    lease = api.post(leases, {"metadata": {"name": "node"}, "spec": spec})
    for n in range(100):
        lease["spec"]["renewTime"] = f"2026-01-01T00:00:00.{n:06}Z"
        lease = api.done("PUT", f"{leases}/node", lease)
    lease["metadata"]["resourceVersion"] = str(int(version(lease)) - 1)
    notes.note("renewed too late", api.call("PUT", f"{leases}/node", lease))


def namespaces(api, notes):
    """A namespace that is deleted waits until somebody has emptied it, and takes nothing new meanwhile."""
    home = namespace(api, "leaving")
    api.post(f"{home}/configmaps", config_map("one"))
    notes.note("deleted", api.done("DELETE", home))
    found = notes.note("leaving", api.get(home))
    notes.note("nothing new", api.call("POST", f"{home}/configmaps", config_map("two")))
    api.done("DELETE", f"{home}/configmaps")
    found["spec"]["finalizers"] = []
    notes.note("finalized", api.done("PUT", f"{home}/finalize", found))
    notes.note("gone", api.call("GET", home))
    namespace(api, "leaving")
    notes.note("the same name again", named(api.get(f"{NAMESPACES}/leaving/configmaps")))


def workloads(api, notes):
    """What a cluster is full of: services with addresses, pods that are bound, deployments that are scaled, secrets, roles."""
    home = namespace(api, "workloads")
    service = {"metadata": {"name": "web"}, "spec": {"type": "NodePort", "selector": {"app": "web"}, "ports": [{"port": 80}]}}
    made = notes.note("service", api.post(f"{home}/services", service))
    taken = {**service, "metadata": {"name": "taken"}, "spec": {"clusterIP": made["spec"]["clusterIP"], "ports": [{"port": 80}]}}
    notes.note("an address that is taken", api.call("POST", f"{home}/services", taken))
    addresses = api.at_once(lambda n: api.post(f"{home}/services", {"metadata": {"name": f"s-{n}"}, "spec": {"ports": [{"port": 80}]}}), range(40))
    equal(len({it["spec"]["clusterIP"] for it in addresses}), 40, "addresses")
    notes.note("addresses kept", len(api.get("/apis/networking.k8s.io/v1/ipaddresses")["items"]) >= 42)
    api.post("/api/v1/nodes", {"metadata": {"name": "node-1"}})
    container = {"name": "c", "image": "example.com/none"}
    pod = {"metadata": {"name": "p", "labels": {"app": "web"}}, "spec": {"containers": [container]}}
    api.post(f"{home}/pods", pod)
    notes.note("bound", api.call("POST", f"{home}/pods/p/binding", {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "node-1"}}))
    notes.note("bound again", api.call("POST", f"{home}/pods/p/binding", {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "node-2"}}))
    notes.note("by node", named(api.get("/api/v1/pods", fieldSelector="spec.nodeName=node-1")))
    status = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
    notes.note("running", api.done("PATCH", f"{home}/pods/p/status", status, kind=STRATEGIC)["status"]["phase"])
    notes.note("going", api.done("DELETE", f"{home}/pods/p")["metadata"]["deletionGracePeriodSeconds"])
    notes.note("gone at once", api.done("DELETE", f"{home}/pods/p", gracePeriodSeconds="0")["kind"])
    apps = "/apis/apps/v1/namespaces/workloads"
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [container]}}
    deployment = {"metadata": {"name": "web"}, "spec": {"replicas": 1, "selector": {"matchLabels": {"app": "web"}}, "template": template}}
    notes.note("deployment", api.post(f"{apps}/deployments", deployment))
    notes.note("scaled", api.done("PATCH", f"{apps}/deployments/web/scale", {"spec": {"replicas": 5}}, kind=MERGE))
    slices = "/apis/discovery.k8s.io/v1/namespaces/workloads/endpointslices"
    ports = [{"name": "", "port": 80, "protocol": "TCP"}]
    slice = {"metadata": {"name": "web-1", "labels": {"kubernetes.io/service-name": "web"}}, "addressType": "IPv4", "ports": ports}
    notes.note("slice", api.post(slices, {**slice, "endpoints": [{"addresses": ["192.0.2.1"]}]}))
    notes.note("secret", api.post(f"{home}/secrets", {"metadata": {"name": "s"}, "stringData": {"a": "b"}, "immutable": True}))
    notes.note("immutable", api.call("PATCH", f"{home}/secrets/s", {"data": {"a": "Yw=="}}, kind=MERGE))
    role = {"metadata": {"name": "r"}, "rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}
    notes.note("role", api.post("/apis/rbac.authorization.k8s.io/v1/namespaces/workloads/roles", role))
    quota = api.post(f"{home}/resourcequotas", {"metadata": {"name": "q"}, "spec": {"hard": {"configmaps": "1"}}})
    notes.note("quota", quota["spec"])
    notes.note("all kinds", [named(api.get(f"{home}/{kind}"))[:3] for kind in ("services", "pods", "secrets", "resourcequotas", "endpoints")])


def sizes(api, notes):
    """What it measures of the store: its size and how many of each kind there are."""
    waited_for("the size of the store", lambda: api.metric("apiserver_storage_size_bytes") > 0)
    maps = len(api.get("/api/v1/configmaps")["items"])
    counted = "apiserver_resource_objects" if api.metric("apiserver_resource_objects") else "apiserver_storage_objects"
    waited_for("the count of objects", lambda: api.metric(counted, resource="configmaps") == maps)
    # With progress that is asked for the cache knows that it is as new as the store; otherwise each list goes to the store.
    before = api.metric("apiserver_watch_cache_consistent_read_total", resource="configmaps", success="true", fallback="false")
    for _ in range(10):
        api.get("/api/v1/configmaps", limit="1")
    after = api.metric("apiserver_watch_cache_consistent_read_total", resource="configmaps", success="true", fallback="false")
    assert after > before, "no consistent list came from the cache"
    notes.note("lists by RangeStream", api.metric("etcd_request_duration_seconds_count", operation="listStream") > 0)
    wrong = {line.rsplit(" ", 1)[0] for line in api.raw("GET", "/metrics").text.splitlines() if line.startswith("etcd_request_errors_total{")}
    notes.note("requests that the store refused", sorted(re.sub(r'(group|resource)="[^"]*",?', "", line) for line in wrong))


ALL = [objects, contention, finalizers, collections, listing, watching, custom, expiring, namespaces, workloads, bootstrap, sizes]
DIRECT = [objects, contention, finalizers, collections, listing, watching]


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
