"""etcdctl 3.7.3, unmodified: every subcommand that asks a server something."""

import json
import os
import queue
import re
import subprocess
import sys
import threading
from pathlib import Path

import ctl
from tap import check, equal, finish, later, skip

PLACE = os.environ["SWITCHBOARD_ETCD"]
SCRATCH = Path(os.environ["SWITCHBOARD_CONFORMANCE_DIR"])
FULL = os.environ.get("SWITCHBOARD_CONFORMANCE_FULL") == "1"
PATIENCE = 60


def run(*words, stdin="", place=PLACE, patience=PATIENCE):
    command = [PROGRAM, "--endpoints", place, *words]
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, timeout=patience)


def said(*words, **more):
    """What it printed; it must have succeeded."""
    done = run(*words, **more)
    if done.returncode:
        raise AssertionError(f"{' '.join(words)}: {done.returncode}: {done.stderr or done.stdout}")
    return done.stdout.strip()


def refused(*words, **more):
    """What it complained about; it must have failed."""
    done = run(*words, **more)
    if not done.returncode:
        raise AssertionError(f"{' '.join(words)} succeeded: {done.stdout}")
    # Beside the error there is a log line of the client's.
    return [line for line in done.stderr.splitlines() if not line.startswith("{")][-1]


def parsed(*words, **more):
    return json.loads(said(*words, "-w", "json", **more))


class Running:
    """A subcommand that goes on: its lines as they come, until it is ended by its handle."""

    def __init__(self, *words, stdin=None):
        self.child = subprocess.Popen([PROGRAM, "--endpoints", PLACE, *words], stdin=stdin or subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.child.stdout:
            self.lines.put(line.rstrip("\n"))

    def next(self):
        return self.lines.get(timeout=PATIENCE)

    def take(self, count):
        return [self.next() for _ in range(count)]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.kill()
        self.child.wait()


def put_get_del():
    equal(said("put", "c/a", "1"), "OK", "put")
    equal(said("put", "c/a", "2", "--prev-kv"), "OK\nc/a\n1", "put with what was")
    said("put", "c/b", "0")
    said("put", "c/c", "7")
    equal(said("get", "c/a"), "c/a\n2", "get")
    equal(said("get", "--prefix", "c/", "--print-value-only").split(), ["2", "0", "7"], "prefix")
    equal(said("get", "--prefix", "c/", "--keys-only").split(), ["c/a", "c/b", "c/c"], "keys only")
    equal(said("get", "c/a", "c/c", "--keys-only").split(), ["c/a", "c/b"], "range")
    equal(said("get", "--from-key", "c/b", "--limit", "2", "--keys-only").split(), ["c/b", "c/c"], "from key")
    equal(said("get", "--prefix", "c/", "--sort-by", "VALUE", "--order", "DESCEND", "--print-value-only").split(), ["7", "2", "0"], "sorted")
    equal(said("get", "--prefix", "c/", "--consistency", "s", "--limit", "1", "--keys-only"), "c/a", "serializable")
    counted = said("get", "--prefix", "c/", "--count-only", "-w", "fields")
    assert '"Count" : 3' in counted and "Key" not in counted, counted
    kv = parsed("get", "c/a")["kvs"][0]
    equal(kv["version"], 2, "version")
    equal(said("get", "c/a", "--rev", str(kv["create_revision"]), "--print-value-only"), "1", "old revision")
    fields = said("get", "c/a", "-w", "fields")
    assert '"Value" : "2"' in fields and f'"ModRevision" : {kv["mod_revision"]}' in fields, fields
    equal(said("get", "c/a", "--hex").split()[0], r"\x63\x2f\x61", "hex")
    said("put", "c/b", "--ignore-value", "--ignore-lease")
    equal(parsed("get", "c/b")["kvs"][0]["version"], 2, "version after a put without a value")
    assert "key not found" in refused("put", "c/none", "--ignore-value"), "ignore the value of nothing"
    equal(said("put", "c/stdin", stdin="from stdin"), "OK", "value from stdin")
    equal(said("get", "c/stdin", "--print-value-only"), "from stdin", "value from stdin")
    equal(said("del", "c/a", "--prev-kv").split(), ["1", "c/a", "2"], "delete")
    equal(said("del", "c/", "--prefix"), "3", "delete all")
    equal(said("del", "c/a"), "0", "delete nothing")
    assert "future revision" in refused("get", "c/a", "--rev", "999999999")


def txn():
    said("put", "t/a", "1")
    lines = 'value("t/a") = "1"\nmod("t/b") = "0"\n\nput t/b 2\nget t/a\ndel t/none\n\nget t/b\n\n'
    equal(said("txn", stdin=lines).split(), ["SUCCESS", "OK", "t/a", "1", "0"], "then")
    equal(said("txn", stdin=lines).split(), ["FAILURE", "t/b", "2"], "else")
    more = 'ver("t/a") > "0"\ncreate("t/a") > "0"\n\n\n\n'
    equal(said("txn", stdin=more), "SUCCESS", "targets")
    twice = '\nput t/x 1\nput t/x 2\n\n\n'
    assert "duplicate key given in txn request" in refused("txn", stdin=twice)


def watch():
    first = parsed("put", "w/a", "0")["header"]["revision"]
    with Running("watch", "--prefix", "w/", "--rev", str(first), "--prev-kv") as watching:
        equal(watching.take(3), ["PUT", "w/a", "0"], "what was")
        said("put", "w/a", "1")
        equal(watching.take(5), ["PUT", "w/a", "0", "w/a", "1"], "with what was before")
        said("del", "w/a")
        equal(watching.take(5), ["DELETE", "w/a", "1", "w/a", ""], "deleted")
    with Running("watch", "w/a", "--rev", str(first), "-w", "json") as watching:
        equal(json.loads(watching.next())["Events"][0]["kv"]["mod_revision"], first, "as JSON")
    with Running("watch", "w/a", "--rev", str(first), "--", "sh", "-c", "echo $ETCD_WATCH_EVENT_TYPE $ETCD_WATCH_KEY $ETCD_WATCH_VALUE") as watching:
        lines = watching.take(12)
        equal(lines[9:], ['"PUT" "w/a" "0"', '"PUT" "w/a" "1"', '"DELETE" "w/a" ""'], "a command for each")
    with Running("watch", "--interactive", stdin=subprocess.PIPE) as watching:
        watching.child.stdin.write(f"watch --rev {first} w/a\nprogress\n")
        watching.child.stdin.flush()
        equal(watching.take(3), ["PUT", "w/a", "0"], "interactive")


def leases():
    id = re.fullmatch(r"lease (\w+) granted with TTL\(60s\)", said("lease", "grant", "60"))[1]
    said("put", "l/a", "1", "--lease", id)
    left = said("lease", "timetolive", id, "--keys")
    assert re.fullmatch(rf"lease {id} granted with TTL\(60s\), remaining\(\d+s\), attached keys\(\[l/a\]\)", left), left
    assert id in said("lease", "list").split(), "list"
    equal(said("lease", "keep-alive", "--once", id), f"lease {id} keepalived with TTL(60)", "keep alive")
    with Running("lease", "keep-alive", id) as beating:
        equal(beating.next(), f"lease {id} keepalived with TTL(60)", "kept alive")
    equal(said("lease", "revoke", id), f"lease {id} revoked", "revoke")
    equal(said("get", "l/a"), "", "its key")
    equal(said("lease", "timetolive", id), f"lease {id} already expired", "after")
    assert "requested lease not found" in refused("lease", "revoke", id)
    assert "requested lease not found" in refused("put", "l/a", "1", "--lease", id)
    assert "expired or revoked" in said("lease", "keep-alive", id), "keep alive nothing"


def lock():
    with Running("lock", "lk") as holder:
        key = holder.next()
        assert re.fullmatch(r"lk/[0-9a-f]+", key), key
        with Running("lock", "lk", "echo", "mine") as waiter:
            equal(waiter.lines.empty(), True, "locked twice")
            holder.child.terminate()
            equal(waiter.next(), "mine", "the next")
            equal(waiter.child.wait(PATIENCE), 0, "code of the command")
    equal(said("lock", "lk", "--ttl", "5", "--", "echo", "again"), "again", "again")
    equal(run("lock", "lk", "--", "sh", "-c", "exit 3").returncode, 3, "code that the command failed with")


def elect():
    with Running("elect", "el", "one") as leader:
        key, value = leader.take(2)
        equal(value, "one", "elected")
        with Running("elect", "--listen", "el") as listener:
            equal(listener.take(2), [key, "one"], "told")
            with Running("elect", "el", "two") as next:
                leader.child.terminate()
                equal(next.take(2)[1], "two", "the next")
                equal(listener.take(2)[1], "two", "told of the next")


def endpoints():
    assert f"{PLACE} is healthy: successfully committed proposal" in run("endpoint", "health").stdout + run("endpoint", "health").stderr
    assert said("endpoint", "health", "--cluster"), "health of all"
    status = parsed("endpoint", "status")[0]
    equal(status["Endpoint"], PLACE, "status")
    equal(status["Status"]["leader"], status["Status"]["header"]["member_id"], "leader")
    for form in ("table", "fields", "simple"):
        assert PLACE in said("endpoint", "status", "-w", form), form
    hash = parsed("endpoint", "hashkv")[0]["HashKV"]["hash"]
    equal(parsed("endpoint", "hashkv", "--rev", "0")[0]["HashKV"]["hash"], hash, "hash again")


def members():
    member = parsed("member", "list")["members"][0]
    assert member["clientURLs"], member
    assert "started" in said("member", "list"), "list"
    assert "NAME" in said("member", "list", "-w", "table"), "table"
    id = f"{member['ID']:x}"
    for words in (["add", "x", "--peer-urls", "http://127.0.0.1:1"], ["remove", id], ["update", id, "--peer-urls", "http://127.0.0.1:1"], ["promote", id]):
        assert refused("member", *words), words
    assert f"Leadership transferred from {id} to {id}" in said("move-leader", id)


def maintenance():
    before = parsed("put", "m/a", "1")["header"]["revision"]
    now = parsed("put", "m/a", "2")["header"]["revision"]
    equal(said("compaction", str(now)), f"compacted revision {now}", "compaction")
    assert "required revision has been compacted" in refused("get", "m/a", "--rev", str(before))
    assert "required revision has been compacted" in refused("compaction", str(now))
    equal(said("get", "m/a", "--rev", str(now), "--print-value-only"), "2", "at it")
    later = parsed("put", "m/a", "3")["header"]["revision"]
    equal(said("compaction", "--physical", str(later)), f"compacted revision {later}", "physically")
    assert "Finished defragmenting" in said("defrag")
    equal(said("alarm", "list"), "", "alarms")
    equal(said("alarm", "disarm"), "", "disarmed")
    file = SCRATCH / "etcdctl.snapshot"
    assert f"Snapshot saved at {file}" in said("snapshot", "save", str(file)), "snapshot"
    file.unlink()
    assert refused("downgrade", "enable", "3.6"), "downgrade"


def mirror():
    said("put", "from/a", "1")
    said("put", "from/b", "2")
    with Running("make-mirror", "--prefix", "from/", "--dest-prefix", "to/", PLACE):
        with Running("watch", "--prefix", "to/", "--rev", "1") if False else Running("watch", "--prefix", "to/") as told:
            said("put", "from/c", "3")
            seen = set()
            while "to/c" not in seen:
                seen.add(told.next())
    equal(said("get", "--prefix", "to/", "--print-value-only").split(), ["1", "2", "3"], "mirrored")


def elsewhere():
    assert said("version").startswith("etcdctl version: 3.7"), "version"
    assert "_etcdctl" in said("completion", "bash"), "completion"
    assert "--endpoints" in said("options"), "options"
    # A key under the prefix of instances is one.
    said("put", "/services/by-ctl/1", "10.1.2.3:4")
    equal(said("get", "/services/by-ctl/1", "--print-value-only"), "10.1.2.3:4", "instance")


def users():
    """Ends with access control switched off again."""
    root = ["--user", "root:secret"]
    equal(said("user", "add", "root:secret"), "User root created", "root")
    equal(said("user", "add", "reader", "--new-user-password", "pass"), "User reader created", "reader")
    equal(said("user", "add", "nopass", "--no-password"), "User nopass created", "without a password")
    equal(said("user", "list").split(), ["nopass", "reader", "root"], "users")
    equal(said("role", "add", "root"), "Role root created", "role of root")
    equal(said("role", "add", "reads"), "Role reads created", "role")
    equal(said("role", "grant-permission", "--prefix", "reads", "read", "u/"), "Role reads updated", "permission")
    equal(said("role", "list").split(), ["reads", "root"], "roles")
    assert "prefix u/" in said("role", "get", "reads"), said("role", "get", "reads")
    said("user", "grant-role", "root", "root")
    said("user", "grant-role", "reader", "reads")
    assert "reads" in said("user", "get", "reader", "--detail"), "user"
    equal(said("user", "passwd", "reader", "--interactive=false", stdin="other"), "Password updated", "password")
    said("put", "u/a", "1")
    equal(said("auth", "enable"), "Authentication Enabled", "on")
    try:
        reader = ["--user", "reader:other"]
        equal(said(*reader, "get", "u/a", "--print-value-only"), "1", "read")
        assert "permission denied" in refused(*reader, "put", "u/a", "2"), "written"
        assert "invalid user ID or password" in refused("--user", "reader:pass", "get", "u/a"), "old password"
        assert "user name is empty" in refused("get", "u/a"), "nobody"
        assert "Authentication Status: true" in said(*root, "auth", "status"), "status"
        said(*root, "role", "revoke-permission", "--prefix", "reads", "u/")
        assert "permission denied" in refused(*reader, "get", "u/a"), "revoked"
        said(*root, "user", "revoke-role", "reader", "reads")
    finally:
        equal(said(*root, "auth", "disable"), "Authentication Disabled", "off")
    equal(said("user", "delete", "reader"), "User reader deleted", "deleted")
    equal(said("role", "delete", "reads"), "Role reads deleted", "deleted")
    assert "user name not found" in refused("user", "get", "reader")


def performance(load):
    words = said("check", "perf", "--load", load, patience=300)
    assert "PASS" in words.splitlines()[-1], words


def datascale():
    words = said("check", "datascale", "--load", "s", patience=300)
    assert "PASS: Approximate system memory used" in words, words


PROGRAM, why = ctl.built()
if why:
    skip("etcdctl", why)
    sys.exit(0)
check("put, get, del", put_get_del)
check("txn", txn)
check("watch", watch)
check("lease", leases)
check("lock", lock)
check("elect", elect)
check("endpoint health, status, hashkv", endpoints)
check("member, move-leader", members)
check("compaction, defrag, alarm, snapshot; downgrade is refused", maintenance)
check("make-mirror", mirror)
check("version, completion, options, keys that are instances", elsewhere)
check("user, role, auth", users)
if FULL:
    # The next load wants more writes than a development build gives.
    check("check perf --load=s", performance, "s")
    check("check datascale", datascale)
else:
    later("check perf, check datascale")
finish()
