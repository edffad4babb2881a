"""Users, roles and permissions: the same requests get the answers that a real etcd gave, word for word.

`python run.py --record http://127.0.0.1:2379` asks an empty real etcd and writes down what it says."""

import base64
import json
import os
import pathlib
import sys

import requests

RECORDED = pathlib.Path(__file__).with_name("recorded.jsonl")
# Leases that nobody chooses by chance.
FREE, OWN = "70001", "70002"


def b64(text):
    return base64.b64encode(text.encode("latin1")).decode()


def on_key(kind, key, end=None, **more):
    return {kind: {"key": b64(key), **({"range_end": b64(end)} if end else {}), **more}}


def put(key, **more):
    return on_key("request_put", key, **more)


def get(key, end=None, **more):
    return on_key("request_range", key, end, **more)


def delete(key, end=None, **more):
    return on_key("request_delete_range", key, end, **more)


def compare(key, end=None):
    return on_key("compare", key, end, target="VERSION")["compare"]


def txn(success=(), failure=(), compares=()):
    return {"success": list(success), "failure": list(failure), "compare": list(compares)}


def nested(*success, **more):
    return {"request_txn": txn(success, **more)}


def permission(kind, key, end=None):
    return on_key("perm", key, end, permType=kind)["perm"]


def sign_in(name, password=None):
    return ("auth/authenticate", {"name": name, "password": name if password is None else password}, None)


# Each with the least that it can be asked for.
EVERYTHING = [
    ("kv/range", {"key": b64("a")}),
    ("kv/put", {"key": b64("a")}),
    ("kv/put", {}),
    ("kv/deleterange", {"key": b64("a")}),
    ("kv/txn", {}),
    ("kv/txn", txn([put("a")])),
    ("kv/txn", txn([get("a")])),
    ("kv/compaction", {"revision": "1"}),
    ("lease/grant", {"TTL": "9000000001"}),
    ("lease/revoke", {"ID": "7"}),
    ("lease/timetolive", {"ID": "7"}),
    ("lease/leases", {}),
    ("lease/keepalive", {"ID": "7"}),
    ("cluster/member/list", {}),
    ("cluster/member/remove", {"ID": "1"}),
    ("cluster/member/update", {"ID": "1", "peerURLs": ["http://127.0.0.1:1"]}),
    ("cluster/member/promote", {"ID": "1"}),
    ("maintenance/alarm", {}),
    ("maintenance/alarm", {"action": "DEACTIVATE"}),
    ("maintenance/defragment", {}),
    ("maintenance/hash", {}),
    ("maintenance/hashkv", {}),
    ("maintenance/transfer-leadership", {}),
    ("maintenance/downgrade", {}),
    ("auth/enable", {}),
    ("auth/user/add", {"name": "z", "password": "z"}),
    ("auth/user/get", {"name": "u1"}),
    ("auth/user/get", {"name": "u2"}),
    ("auth/user/get", {"name": "none"}),
    ("auth/user/list", {}),
    ("auth/user/delete", {"name": "u1"}),
    ("auth/user/changepw", {"name": "u1", "password": "x"}),
    ("auth/user/grant", {"user": "u1", "role": "r2"}),
    ("auth/user/revoke", {"name": "u1", "role": "r1"}),
    ("auth/role/add", {"name": "z"}),
    ("auth/role/get", {"role": "r1"}),
    ("auth/role/get", {"role": "r2"}),
    ("auth/role/list", {}),
    ("auth/role/delete", {"role": "r1"}),
    ("auth/role/grant", {"name": "r1"}),
    ("auth/role/revoke", {"role": "r1", "key": b64("a")}),
    ("auth/disable", {}),
    ("lock/unlock", {"key": b64("lock/1")}),
    ("election/leader", {"name": b64("e")}),
    ("election/proclaim", {}),
    ("election/proclaim", {"leader": {"name": b64("e"), "key": b64("e/1"), "rev": "1", "lease": "1"}}),
    ("election/resign", {"leader": {"name": b64("e"), "key": b64("e/1"), "rev": "1", "lease": "1"}}),
]


def before():
    """While users are not asked for."""
    yield from [("auth/status", {}, None), sign_in("root"), ("auth/enable", {}, None)]
    for name, password in [("", "x"), ("root", "root"), ("root", "root"), ("long", "x" * 73), ("long", "x" * 72)]:
        yield "auth/user/add", {"name": name, "password": password}, None
    yield "auth/enable", {}, None
    yield from [("auth/user/delete", {"name": "long"}, None)] * 2
    for user, role in [("root", "root"), ("root", "root"), ("none", "root"), ("root", "none")]:
        yield "auth/user/grant", {"user": user, "role": role}, None
    yield "auth/role/get", {"role": "root"}, None
    for name in ["", "root", "r1", "r2", "r1"]:
        yield "auth/role/add", {"name": name}, None
    yield "auth/role/get", {"role": "root"}, None
    yield "auth/role/grant", {"name": "r1"}, None
    for role, granted in [
        ("r1", permission("READWRITE", "a", "b")),
        ("none", permission("READWRITE", "a", "b")),
        ("r1", permission("READ", "c", "b")),
        ("r1", permission("READ", "", "b")),
        ("r1", permission("READ", "b", "c")),
        ("r1", permission("WRITE", "w")),
        ("r1", permission("READ", "w")),
        ("r1", permission("WRITE", "w")),
    ]:
        yield "auth/role/grant", {"name": role, "perm": granted}, None
    for role in ["r1", "none"]:
        yield "auth/role/get", {"role": role}, None
        yield "auth/role/revoke", {"role": role, "key": b64("zz")}, None
    yield "auth/role/list", {}, None
    for more in [{"name": "u1", "password": "u1"}, {"name": "u2", "password": "u2"}, {"name": "empty"}]:
        yield "auth/user/add", more, None
    yield "auth/user/add", {"name": "cert", "options": {"no_password": True}}, None
    yield "auth/user/grant", {"user": "u1", "role": "r1"}, None
    for user, role in [("u1", "r2"), ("none", "r2")]:
        yield "auth/user/revoke", {"name": user, "role": role}, None
    yield from [("auth/user/get", {"name": name}, None) for name in ["u1", "none"]]
    yield "auth/user/list", {}, None
    yield "auth/user/changepw", {"name": "none", "password": "x"}, None
    for lease, key in [(FREE, "x"), (OWN, "a1")]:
        yield "lease/grant", {"ID": lease, "TTL": "600"}, None
        yield "kv/put", {"key": b64(key), "lease": lease}, None
    yield from [("auth/status", {}, "bad.1"), ("kv/range", {"key": b64("a")}, "bad.1")]
    yield from [("auth/enable", {}, None), ("auth/status", {}, None), ("auth/status", {}, "bad.1")]


def after():
    for who in [None, "bad.1", "bad"]:
        yield from [(path, body, who) for path, body in EVERYTHING]
    for name, password in [("", ""), ("none", "x"), ("root", "wrong"), ("cert", ""), ("cert", "x"), ("empty", "")]:
        yield sign_in(name, password)
    yield from [sign_in("u1"), sign_in("u2"), sign_in("root")]
    for who in ["u1", "u2"]:
        yield from [(path, body, who) for path, body in EVERYTHING]
    for key in ["x", "b1", "w"]:
        yield "kv/put", {"key": b64(key)}, "root"
    for start in ["a", "a1", "b", "w", "x"]:
        for end in [None, "a", "b", "c", "d", "\0"]:
            # What etcd says of a range that ends before it starts hangs on the shape of a tree.
            if end and "\0" < end < start:
                continue
            where = get(start, end)["request_range"]
            yield "kv/range", {**where, "count_only": True}, "u1"
            yield "watch", {"create_request": where}, "u1"
    for who in [None, "bad.1", "u2"]:
        yield "watch", {"create_request": {"key": b64("a")}}, who
    yield "watch", {"create_request": get("c", "b")["request_range"]}, "root"
    for op in [
        put("a"),
        put("b"),
        put("w"),
        put("x"),
        put("w", prev_kv=True),
        put("a", prev_kv=True),
        put("w", ignore_value=True),
        put("a", lease=FREE),
        put("a", lease=OWN),
        get("w"),
        get("a", "c"),
        get("a", "\0"),
        delete("w", prev_kv=True),
        delete("a", "c"),
        delete("a", "\0"),
        delete("x"),
    ]:
        yield "kv/txn", txn([op]), "u1"
        yield "kv/txn", txn([nested(nested(op))]), "u1"
        yield "kv/txn", txn([nested(failure=[nested(op)])]), "u1"
        [(kind, request)] = op.items()
        path = {"request_put": "kv/put", "request_range": "kv/range", "request_delete_range": "kv/deleterange"}
        yield path[kind], request, "u1"
        # From one to the next on the same keys.
        yield "kv/put", {"key": b64("w")}, "root"
    for key, end in [("a", None), ("x", None), ("a", "c"), ("a", "\0"), ("w", None)]:
        yield "kv/txn", txn(compares=[compare(key, end)]), "u1"
        yield "kv/txn", txn([nested(compares=[compare(key, end)])]), "u1"
    yield "kv/put", {"key": b64("x"), "lease": FREE}, "root"
    yield "kv/put", {"key": b64("a1"), "lease": OWN}, "root"
    for lease in [FREE, OWN]:
        yield "lease/keepalive", {"ID": lease}, "u1"
        yield "lease/timetolive", {"ID": lease}, "u1"
        yield "lease/timetolive", {"ID": lease, "keys": True}, "u1"
        yield "lease/leases", {}, "u1"
        yield "lease/revoke", {"ID": lease}, "u1"
    for name in ["a", "w", "x"]:
        yield "lock/lock", {"name": b64(name), "lease": "7"}, "u1"
        yield "lock/lock", {"name": b64(name), "lease": FREE}, "u1"
        yield "election/leader", {"name": b64(name)}, "u1"
    yield "lock/lock", {"name": b64("x"), "lease": "7"}, "root"
    yield "kv/range", {"key": b64("a"), "count_only": True}, "Bearer u1"
    yield from management()


def management():
    yield "auth/user/delete", {"name": "root"}, "root"
    yield "auth/user/revoke", {"name": "root", "role": "root"}, "root"
    yield from [("auth/role/delete", {"role": role}, "root") for role in ["root", "none", "r1"]]
    yield from [("kv/range", {"key": b64("a")}, "u1"), ("auth/user/get", {"name": "u1"}, "root")]
    yield "auth/user/changepw", {"name": "u1", "password": "new"}, "root"
    yield from [("kv/range", {"key": b64("a")}, "u1"), sign_in("u1"), sign_in("u1", "new")]
    yield "kv/range", {"key": b64("a")}, "u1"
    for more in [{"hashedPassword": "***"}, {}]:
        yield "auth/user/changepw", {"name": "u2", **more}, "root"
    yield from [sign_in("u2", ""), ("kv/range", {"key": b64("a")}, "u2")]
    yield "auth/user/changepw", {"name": "cert", "password": "x"}, "root"
    yield from [sign_in("cert", "x"), ("auth/user/delete", {"name": "u1"}, "root")]
    yield from [("kv/range", {"key": b64("a")}, "u1"), ("auth/status", {}, None)]
    yield from [("auth/disable", {}, "root"), ("auth/disable", {}, None), ("auth/status", {}, None)]
    yield from [("kv/range", {"key": b64("none")}, "root"), ("auth/enable", {}, None)]
    yield "kv/range", {"key": b64("none")}, "root"


def cleaned(said):
    """Without what is another server's own: who it is, its revisions, and how much of a lease is left."""
    if isinstance(said, list):
        # The keys of a lease are in no order there.
        return sorted(said) if all(isinstance(one, str) for one in said) else [cleaned(one) for one in said]
    if not isinstance(said, dict):
        return said
    own = {"header", "create_revision", "mod_revision", "version", "TTL", "members", "hash", "hash_revision",
           "compact_revision", "error", "details", "grpc_code", "http_code", "http_status"}
    if isinstance(said.get("error"), dict):
        own.discard("error")
    return {name: "T" if name == "token" else cleaned(one) for name, one in said.items() if name not in own}


def ask(url, tokens, path, body, who):
    headers = {}
    if who:
        kind, _, name = who.rpartition(" ")
        headers["authorization"] = f"{kind} {tokens.get(name, name)}".strip()
    with requests.post(f"{url}/v3/{path}", json.dumps(body), headers=headers, stream=True, timeout=30) as answer:
        # The first line: some answers are streams that go on.
        said = json.loads(next(answer.iter_lines()))
    if "token" in said:
        tokens[body["name"]] = said["token"]
    return {"status": answer.status_code, "said": cleaned(said)}


def answers(url):
    tokens = {}
    for path, body, who in [*before(), *after()]:
        yield {"path": path, "body": body, "who": who, **ask(url, tokens, path, body, who)}


def main():
    if sys.argv[1:2] == ["--record"]:
        RECORDED.write_text("".join(json.dumps(answer) + "\n" for answer in answers(sys.argv[2])))
        return
    import tap

    recorded = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    found = list(answers(f"http://{os.environ['SWITCHBOARD_ETCD']}"))
    differ = [(want, have) for want, have in zip(recorded, found) if want != have]
    for want, have in differ[:20]:
        print(f"   {want}\n   {have}")
    why = f"{len(differ)} differ" if differ else ""
    if len(recorded) != len(found):
        why = f"{len(found)} requests, {len(recorded)} recorded"
    tap.report(f"{len(recorded)} requests about users, roles and permissions are answered as etcd 3.7.3 answers them", why)
    tap.finish()


main()
