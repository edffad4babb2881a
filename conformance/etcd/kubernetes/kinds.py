"""Kinds that are more to an API server than objects: custom resources, events, namespaces, what a cluster is full of, and what it
thinks of itself."""

import re

from cluster import APPLY, MERGE, STRATEGIC, waited_for
from notes import NAMESPACES, config_map, happened, named, namespace, version
from tap import equal


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


ALL = [custom, expiring, namespaces, workloads, bootstrap, sizes]
