"""A snapshot that etcdctl saves, etcdutl 3.7.3 restores and a real etcd 3.7.3 serves: it answers as we did. And the way back:
one that is saved from the real etcd is imported, and we answer as it did."""

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import ctl
from tap import check, equal, finish, skip

OURS = f"http://{os.environ['SWITCHBOARD_ETCD']}"
SCRATCH = Path(os.environ["SWITCHBOARD_CONFORMANCE_DIR"]) / "etcd-snapshot"
FILE, RESTORED = SCRATCH / "saved.db", SCRATCH / "restored"
THEIRS, IMPORTED = SCRATCH / "theirs.db", SCRATCH / "imported"
ROOT = ("--user", "root:root")
# A busy machine looks at passwords for a while.
PATIENT = ("--dial-timeout", "60s", "--command-timeout", "60s")


def b64(text):
    return base64.b64encode(text.encode()).decode()


def ask(place, path, **body):
    request = urllib.request.Request(f"{place}/v3/{path}", json.dumps(body).encode(), method="POST")
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        raise AssertionError(f"{path}: {error.code} {error.read().decode()}") from error


def run(program, *words):
    done = subprocess.run([PROGRAMS[program], *words], capture_output=True, text=True, check=False, timeout=120, env=ENVIRONMENT)
    if done.returncode:
        raise AssertionError(f"{program} {' '.join(map(str, words))}: {done.stderr[-500:] or done.stdout[-500:]}")
    return done.stdout.strip()


def asked(place, *words, user=ROOT):
    return json.loads(run("etcdctl", "--endpoints", place, *PATIENT, *user, "-w", "json", *words))


def put(key, value, **more):
    return {"request_put": {"key": b64(key), "value": b64(value), **more}}


def fill():
    """Enough for three levels of pages, with what is longer than a page."""
    for first in range(0, 20_000, 100):
        ask(OURS, "kv/txn", success=[put(f"many/{i:06}", f"value {i}" * (i % 5)) for i in range(first, first + 100)])
    for size in (0, 1, 4_000, 4_080, 4_096, 10_000, 1_000_000):
        ask(OURS, "kv/put", key=b64(f"long/{size}"), value=b64("x" * size))
    for value in "abc":
        ask(OURS, "kv/put", key=b64("changed"), value=b64(value))
    ask(OURS, "kv/deleterange", key=b64("many/000007"))
    ask(OURS, "lease/grant", ID=7001, TTL=5000)
    ask(OURS, "lease/grant", ID=7002, TTL=6000)
    ask(OURS, "kv/put", key=b64("leased"), value=b64("1"), lease=7001)
    # An instance is a key there as well.
    ask(OURS, "kv/put", key=b64("/services/web/1"), value=b64("10.0.0.1:80"), lease=7002)
    for path, body in (
        ("user/add", {"name": "root", "password": "root"}),
        ("user/grant", {"user": "root", "role": "root"}),
        ("user/add", {"name": "alice", "password": "secret"}),
        ("user/add", {"name": "certified", "options": {"no_password": True}}),
        ("role/add", {"name": "reader"}),
        ("role/grant", {"name": "reader", "perm": {"permType": "READ", "key": b64("long/"), "range_end": b64("long0")}}),
        ("role/grant", {"name": "reader", "perm": {"permType": "READWRITE", "key": b64("changed")}}),
        ("user/grant", {"user": "alice", "role": "reader"}),
        ("enable", {}),
    ):
        ask(OURS, f"auth/{path}", **body)


def save():
    run("etcdctl", "--endpoints", OURS, *PATIENT, *ROOT, "snapshot", "save", FILE)
    status = json.loads(run("etcdutl", "snapshot", "status", FILE, "-w", "json"))
    now = asked(OURS, "endpoint", "status")[0]["Status"]
    equal(status["revision"], last_change(OURS), "its revision is that of the key that changed last")
    equal(status["version"], now["storageVersion"], "its version")
    equal(status["totalSize"] % 4096, 0, "whole pages")


def last_change(place):
    return max(kv["mod_revision"] for kv in asked(place, "get", "", "--prefix")["kvs"])


def restore():
    run("etcdutl", "snapshot", "restore", FILE, "--data-dir", RESTORED)


def free():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def started():
    """The process and its address. A port may be taken between two looks at it."""
    for _ in range(5):
        client, peer = f"http://127.0.0.1:{free()}", f"http://127.0.0.1:{free()}"
        command = [PROGRAMS["server"], "--data-dir", RESTORED, "--log-level", "error"]
        command += ["--listen-client-urls", client, "--advertise-client-urls", client, "--listen-peer-urls", peer]
        server = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *command], stdin=subprocess.DEVNULL)
        for _ in range(300):
            try:
                with urllib.request.urlopen(f"{client}/health", timeout=10) as answer:
                    if answer.status == 200:
                        return server, client
            except OSError:
                time.sleep(0.1)
            if server.poll() is not None:
                break
        server.kill()
        server.wait()
    raise AssertionError("a real etcd does not start on what was restored")


def keys(real):
    ours, theirs = (asked(place, "get", "", "--prefix") for place in (OURS, real))
    equal(theirs["count"], ours["count"], "how many")
    for one, other in zip(ours["kvs"], theirs["kvs"], strict=True):
        equal(other, one, "a key")
    equal(theirs["header"]["revision"], ours["header"]["revision"], "revision")
    hashed = [asked(place, "endpoint", "hashkv")[0]["HashKV"]["hash"] for place in (OURS, real)]
    equal(hashed[1], hashed[0], "what HashKV makes of it")


def history(real):
    head = asked(real, "get", "changed")["header"]["revision"]
    asked(real, "get", "changed", "--rev", str(head))
    try:
        asked(real, "get", "changed", "--rev", str(head - 1))
    except AssertionError as error:
        assert "required revision has been compacted" in str(error), error
    else:
        raise AssertionError("what was not saved can be read")
    equal(asked(real, "put", "changed", "d")["header"]["revision"], head + 1, "the next revision")


def leases(real):
    ours, theirs = ({it["id"] for it in asked(place, "lease", "list")["leases"]} for place in (OURS, real))
    equal(theirs, ours, "leases")
    for id in (7001, 7002):
        ours, theirs = (asked(place, "lease", "timetolive", f"{id:x}", "--keys") for place in (OURS, real))
        equal((theirs["granted-ttl"], theirs["keys"]), (ours["granted-ttl"], ours["keys"]), f"lease {id}")
        assert theirs["ttl"] > 0, theirs


def users(real, other=OURS):
    for words in (["user", "list"], ["user", "get", "alice"], ["role", "list"], ["role", "get", "reader"], ["auth", "status"]):
        ours, theirs = (asked(place, *words) for place in (other, real))
        ours.pop("header"), theirs.pop("header")
        equal(theirs, ours, " ".join(words))
    alice = ("--user", "alice:secret")
    equal(asked(real, "get", "long/1", user=alice)["count"], 1, "what alice may read")
    try:
        asked(real, "get", "leased", user=alice)
    except AssertionError as error:
        assert "permission denied" in str(error), error
    else:
        raise AssertionError("alice reads what she may not")


def saved_there(real):
    run("etcdctl", "--endpoints", real, *PATIENT, *ROOT, "snapshot", "save", THEIRS)
    said = run("switchboard", "import", "etcd", THEIRS, "--data-dir", IMPORTED, "--json")
    count = asked(real, "get", "", "--prefix", "--keys-only")["count"]
    equal({**json.loads(said), "revision": 0}, {"keys": count, "leases": 2, "users": 3, "roles": 1, "revision": 0}, "what was imported")


def imported():
    places = SCRATCH / "places"
    command = [PROGRAMS["switchboard"], "serve", "--data-dir", IMPORTED, "--only", "etcd", "--listen", "etcd=127.0.0.1:0", "--port-file", places]
    server = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *command], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=ENVIRONMENT)
    for _ in range(600):
        if places.exists():
            return server, "http://" + places.read_text().strip().partition("=")[2]
        time.sleep(0.1)
    server.kill()
    raise AssertionError("we do not start on what was imported")


def same(ours, real):
    of = ("key", "value", "lease")
    found = [[{name: kv.get(name) for name in of} for kv in asked(place, "get", "", "--prefix")["kvs"]] for place in (ours, real)]
    equal(len(found[0]), len(found[1]), "how many")
    for one, other in zip(*found, strict=True):
        equal(one, other, "a key")
    for id in (7001, 7002):
        one, other = (asked(place, "lease", "timetolive", f"{id:x}", "--keys") for place in (ours, real))
        equal((one["granted-ttl"], one["keys"]), (other["granted-ttl"], other["keys"]), f"lease {id}")
    users(ours, real)


def main():
    shutil.rmtree(SCRATCH, ignore_errors=True)
    SCRATCH.mkdir(parents=True)
    check("a store of keys, leases, instances and users", fill)
    check("etcdctl saves a snapshot, and etcdutl finds it whole", save)
    check("etcdutl restores it", restore)
    server, real = check("a real etcd starts on it", started) or (None, None)
    if server:
        try:
            check("it has the same keys, at the same revisions, and HashKV says so", keys, real)
            check("it has the same leases, with the same keys", leases, real)
            check("it has the same users and roles, with the same passwords", users, real)
            check("it goes on after our last revision, and says that what was before is compacted", history, real)
            check("a snapshot of a real etcd is imported", saved_there, real)
            server_of_ours, ours = check("a server starts on it", imported) or (None, None)
            if server_of_ours:
                try:
                    check("it has the same keys, leases, users and roles", same, ours, real)
                finally:
                    server_of_ours.kill()
                    server_of_ours.wait()
        finally:
            server.kill()
            server.wait()
    shutil.rmtree(SCRATCH, ignore_errors=True)


ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith("SWITCHBOARD_")}
PROGRAMS = {"switchboard": os.environ["SWITCHBOARD_BINARY"]}
for name in ("etcdctl", "etcdutl", "server"):
    PROGRAMS[name], why = ctl.built(name)
    if why:
        skip("snapshots", why)
        sys.exit()
main()
finish()
