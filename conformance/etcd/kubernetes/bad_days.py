"""What must hold when the store is killed under an apiserver, when the apiserver starts again, and when history is compacted."""

import base64
import contextlib
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import requests
from cluster import MERGE, Cluster, registry, waited_for
from notes import config_map, named, namespace, version
from tap import equal

WRITERS, KILLS = 6, 3


class Writer(threading.Thread):
    """Counts upward in one object, whatever happens to the store, and remembers what was acknowledged."""

    def __init__(self, api, place, name, over):
        super().__init__(daemon=True)
        self.api, self.place, self.name_of, self.over, self.kept, self.refused = api, f"{place}/{name}", name, over, [], 0

    def run(self):
        number = 0
        while not self.over.is_set():
            number += 1
            with contextlib.suppress(requests.RequestException):
                status, answer = self.api.call("PATCH", self.place, {"data": {"n": str(number)}}, kind=MERGE)
                if status == 200:
                    self.kept.append((version(answer), number))
                    continue
            self.refused += 1
            time.sleep(0.1)


def all_go_on(writers):
    before = {writer: len(writer.kept) for writer in writers}
    waited_for("every writer goes on", lambda: all(len(writer.kept) > count + 20 for writer, count in before.items()))


def killed(cluster, notes):
    """The store is killed three times under load: nothing acknowledged is lost, no watcher misses anything"""
    api = cluster.api
    place = f"{namespace(api, 'killed')}/configmaps"
    over = threading.Event()
    writers = [Writer(api, place, f"w-{n}", over) for n in range(WRITERS)]
    for writer in writers:
        api.post(place, config_map(writer.name_of, {"n": "0"}))
    watch = api.watch(place, resourceVersion=version(api.get(place)), timeoutSeconds="600")
    for writer in writers:
        writer.start()
    for _ in range(KILLS):
        all_go_on(writers)
        cluster.store.kill()
        waited_for("it is noticed", lambda: api.raw("GET", "/readyz/etcd").status_code == 500)
        cluster.start_store()
        waited_for("health is back", lambda: api.raw("GET", "/readyz/etcd").status_code == 200)
    all_go_on(writers)
    over.set()
    for writer in writers:
        writer.join()
    for writer in writers:
        found = int(api.get(writer.place)["data"]["n"])
        assert found >= writer.kept[-1][1], f"{writer.name_of}: {writer.kept[-1]} was acknowledged, {found} is there"
    api.post(place, config_map("last"))
    told = [event["object"] for event in watch.until(lambda event: event["object"]["metadata"].get("name") == "last")]
    watch.close()
    seen = {(version(it), it["metadata"]["name"]) for it in told}
    missed = [(kept, writer.name_of) for writer in writers for kept, _ in writer.kept if (kept, writer.name_of) not in seen]
    assert not missed, f"{len(missed)} acknowledged changes were not told: {missed[:3]}"
    numbers = [int(version(it)) for it in told]
    equal(numbers, sorted(set(numbers)), "versions told, each once and in order")
    notes.note("went on", True)


def shared(cluster, notes):
    """Two apiservers share the store: what one writes the other lists and tells, and only one changes an object at a time"""
    first = cluster.api
    place = f"{namespace(first, 'shared')}/configmaps"
    other = cluster.another()
    try:
        second = other.api
        watch = second.watch(place, resourceVersion=version(second.get(place)), timeoutSeconds="300")
        for n in range(50):
            made = first.post(place, config_map(f"c-{n}"))
            equal(version(second.get(f"{place}/c-{n}")), version(made), "read at the other")
        equal([event["object"]["metadata"]["name"] for event in watch.take(50)], [f"c-{n}" for n in range(50)], "told by the other")
        equal(len(named(second.get(place))), 50, "listed by the other")

        def change(number):
            api = (first, second)[number % 2]
            while True:
                found = api.get(f"{place}/c-0")
                found["data"]["n"] = str(int(found["data"].get("n", "0")) + 1)
                status, answer = api.call("PUT", f"{place}/c-0", found)
                if status != 409:
                    equal(status, 200, answer)
                    return

        first.at_once(change, range(60))
        equal([api.get(f"{place}/c-0")["data"]["n"] for api in (first, second)], ["60", "60"], "what was counted by both")
        watch.close()
    finally:
        other.server.kill()
    notes.note("shared", named(first.get(place)))


def everything(api):
    kinds = ("configmaps", "services", "secrets", "namespaces", "pods")
    return [(kind, it["metadata"]["name"], version(it), it["metadata"]["uid"]) for kind in kinds for it in api.get(f"/api/v1/{kind}")["items"]]


def restarted(cluster, notes):
    """The store and then the apiserver start again: everything is as it was"""
    before = everything(cluster.api)
    cluster.store.kill()
    cluster.start_store()
    cluster.wait_until_ready()
    equal(everything(cluster.api), before, "after the store's restart")
    cluster.server.stop()
    cluster.start_server()
    equal(everything(cluster.api), before, "after the apiserver's restart")
    notes.note("as it was", len(before) > 1000)


def compacted(cluster, notes):
    """The apiserver compacts history: what is older is refused as too old, lists and watches go on"""
    cluster.server.stop()
    cluster.start_server("--etcd-compaction-interval=2s")
    api = cluster.api
    place = f"{namespace(api, 'compacted')}/configmaps"
    api.at_once(lambda n: api.post(place, config_map(f"c-{n}")), range(20))
    page = api.get(place, limit="5")
    then, token = version(page), page["metadata"]["continue"]
    watch = api.watch(place, resourceVersion=then, timeoutSeconds="600")
    exact = {"resourceVersion": then, "resourceVersionMatch": "Exact"}
    numbers = iter(range(1_000_000))

    def refused():
        api.done("PATCH", f"{place}/c-0", {"data": {"n": str(next(numbers))}}, kind=MERGE)
        status, answer = api.call("GET", place, **exact)
        return (status, answer) if status != 200 else None

    notes.note("exactly then", waited_for("history is compacted", refused))
    status, answer = api.call("GET", place, **{"limit": "5", "continue": token})
    notes.note("a token of then", (status, answer))
    going_on = answer["metadata"]["continue"]
    notes.note("from there, as it is now", named(api.get(place, **{"limit": "5", "continue": going_on})))
    for key in ("/registry/configmaps", "compact_rev_key"):
        answer = requests.post(f"{cluster.store_url}/v3/kv/range", json={"key": encoded(key), "revision": then}, timeout=30).json()
        notes.note(f"the store about {key}", answer["message"])
    last = next(numbers)
    api.done("PATCH", f"{place}/c-0", {"data": {"n": str(last)}}, kind=MERGE)
    told = watch.until(lambda event: event["object"]["data"].get("n") == str(last))
    equal(len(told), last + 1, "changes told by a watch that goes on")
    watch.close()
    # The cache of a server that has just started knows nothing of then.
    cluster.server.stop()
    cluster.start_server()
    late = api.watch(place, resourceVersion=then, timeoutSeconds="30")
    event = late.next()
    notes.note("a watch from then", (event["type"], event["object"]["code"], event["object"]["reason"]))
    late.close()


def encoded(text):
    return base64.b64encode(text.encode()).decode()


ALL = [shared, killed, restarted, compacted]


def with_certificates(apiserver, scratch):
    """An apiserver that shows a certificate, of which the store knows its name as a user."""
    folder = Path(tempfile.mkdtemp(prefix="tls-", dir=scratch))

    def openssl(*words):
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority", "-days", "2")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n")
    for name in ("server", "kube"):
        openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names"]
        openssl("x509", "-req", "-in", f"{name}.csr", "-out", f"{name}.pem", *signed)
    store, port = registry(folder)
    tls = f'etcd.tls={{ certificate = "{folder}/server.pem", key = "{folder}/server.key", client_ca = "{folder}/ca.pem" }}'
    store.words += ["--set", tls]
    cluster = Cluster(apiserver, store, port, folder)
    cluster.store_url = f"https://127.0.0.1:{port}"
    cluster.http = {"cert": (f"{folder}/kube.pem", f"{folder}/kube.key"), "verify": f"{folder}/ca.pem"}
    cluster.server.words[1] = f"--etcd-servers={cluster.store_url}"
    cluster.server.words += [f"--etcd-cafile={folder}/ca.pem", f"--etcd-certfile={folder}/kube.pem", f"--etcd-keyfile={folder}/kube.key"]
    try:
        cluster.start_store()
        # From now on the name in the certificate says who it is.
        users = [("user/add", {"name": name, "options": {"no_password": True}}) for name in ("root", "kube")]
        grants = [("user/grant", {"user": name, "role": "root"}) for name in ("root", "kube")]
        for path, body in (("role/add", {"name": "root"}), *users, *grants, ("enable", {})):
            answer = requests.post(f"{cluster.store_url}/v3/auth/{path}", json=body, timeout=30, **cluster.http)
            equal(answer.status_code, 200, path)
        refused = requests.post(f"{cluster.store_url}/v3/kv/range", json={"key": "YQ=="}, timeout=30, **cluster.http)
        equal(refused.json()["message"], "etcdserver: user name is empty", "who shows nothing but a certificate to the gateway")
        cluster.start_server()
        place = f"{namespace(cluster.api, 'tls')}/configmaps"
        cluster.api.at_once(lambda n: cluster.api.post(place, config_map(f"c-{n}")), range(50))
        equal(len(cluster.api.get(place)["items"]), 50, "objects")
    finally:
        cluster.end()
