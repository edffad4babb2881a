"""The requests of lua-resty-etcd, as APISIX makes them: legacy paths, both spellings, and a stream that is read chunk by chunk.

OpenResty is not to be had everywhere, so they are sent as that library builds them, over plain sockets."""

import base64
import json
import os
import socket
import time

from own import Server, until
from tap import check, equal, finish

HOST, PORT = os.environ["SWITCHBOARD_ETCD"].rsplit(":", 1)
PREFIX = "/apisix/"


def b64(text):
    return base64.b64encode(text.encode()).decode()


def value(what):
    # Everything it keeps is JSON.
    return b64(json.dumps(what))


class Connection:
    """One that is kept alive, as its pool keeps them."""

    def __init__(self, place=(HOST, PORT), token=None):
        self.socket = socket.create_connection((place[0], int(place[1])), 60)
        self.rest = b""
        self.token = token

    def ask(self, path, body=None, method="POST"):
        # The library has no Content-Type, and without a body no Content-Length either.
        text = json.dumps(body).encode() if body else b""
        lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", "User-Agent: lua-resty-http/0.17 (Lua) ngx_lua/10026"]
        lines += [f"Content-Length: {len(text)}"] if text else []
        lines += [f"Authorization: {self.token}"] if self.token else []
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + text)
        return self.head()

    def head(self):
        while b"\r\n\r\n" not in self.rest:
            self.more()
        head, self.rest = self.rest.split(b"\r\n\r\n", 1)
        first, *lines = head.decode().split("\r\n")
        return int(first.split(" ")[1]), {name.lower(): text for name, text in (line.split(": ", 1) for line in lines)}

    def more(self):
        read = self.socket.recv(65536)
        assert read, f"hung up after {self.rest!r}"
        self.rest += read

    def chunk(self):
        """What its reader of a watch gets at once, and takes for a whole document."""
        while b"\r\n" not in self.rest:
            self.more()
        size, self.rest = self.rest.split(b"\r\n", 1)
        while len(self.rest) < int(size, 16) + 2:
            self.more()
        chunk, self.rest = self.rest[: int(size, 16)], self.rest[int(size, 16) + 2 :]
        return chunk

    def whole(self, path, body=None, method="POST"):
        status, headers = self.ask(path, body, method)
        if headers.get("transfer-encoding") == "chunked":
            text = b"".join(iter(self.chunk, b""))
        else:
            while len(self.rest) < int(headers["content-length"]):
                self.more()
            length = int(headers["content-length"])
            text, self.rest = self.rest[:length], self.rest[length:]
        return status, json.loads(text) if text.startswith(b"{") else text.decode()

    def good(self, path, body=None):
        status, said = self.whole(path, body)
        equal(status, 200, said)
        return said


def directory(key):
    return {"key": b64(key), "range_end": b64(key[:-1] + chr(ord(key[-1]) + 1))}


def starts():
    """What it does when it starts: version, what is there, its own directories."""
    etcd = Connection()
    status, said = etcd.whole("/version", method="GET")
    equal((status, said["etcdcluster"].startswith("3.")), (200, True), said)
    said = etcd.good("/v3/kv/range", directory(PREFIX))
    assert "kvs" not in said and int(said["header"]["revision"]) > 0, said
    for name in ("routes/", "upstreams/", "services/"):
        said = etcd.good("/v3/kv/put", {"key": b64(PREFIX + name), "value": value("init_dir")})
    said = etcd.good("/v3/kv/range", {**directory(PREFIX + "routes/"), "limit": 10, "sort_order": 1, "sort_target": 0})
    equal([said["count"], said["kvs"][0]["value"]], ["1", value("init_dir")], "what is there")
    for path in ("/v2/stats/leader", "/v2/stats/self"):
        equal(etcd.whole(path, method="GET")[0], 404, path)


def administers():
    """What its API for administrators does."""
    etcd, key = Connection(), b64(PREFIX + "routes/1")
    create = {"target": "CREATE", "key": key, "createRevision": 0}
    route = value({"uri": "/hello", "id": "1"})
    put = {"requestPut": {"key": key, "value": route}}
    said = etcd.good("/v3/kv/txn", {"compare": [create], "success": [put]})
    equal(said["succeeded"], True, "created")
    said = etcd.good("/v3/kv/txn", {"compare": [create], "success": [put]})
    assert "succeeded" not in said and "responses" not in said, said
    found = etcd.good("/v3/kv/range", {"key": key})["kvs"][0]
    # Over what was read, as its patch does it: the revision is the text that was answered.
    compare = {"key": key, "target": "MOD", "result": "EQUAL", "mod_revision": found["mod_revision"]}
    changed = {"requestPut": {"key": key, "value": value({"uri": "/other"})}}
    said = etcd.good("/v3/kv/txn", {"compare": [compare], "success": [changed]})
    equal(said["succeeded"], True, "changed")
    equal(etcd.good("/v3/kv/txn", {"compare": [compare], "success": [changed]}).get("succeeded"), None, "changed meanwhile")
    said = etcd.good("/v3/kv/txn", {"compare": [create], "failure": [put]})
    equal([list(one) for one in said["responses"]], [["response_put"]], "the other branch")
    said = etcd.good("/v3/kv/put", {"key": key, "value": value({}), "prev_kv": True})
    equal(said["prev_kv"]["value"], route, "what was there")
    said = etcd.good("/v3/kv/deleterange", {"key": key, "prev_kv": True})
    equal((said["deleted"], said["prev_kvs"][0]["value"]), ("1", value({})), "deleted")
    assert "deleted" not in etcd.good("/v3/kv/deleterange", {"key": key})


def leases():
    """Its own servers tell that they are there under a lease; the paths are the older ones."""
    etcd, key = Connection(), b64(PREFIX + "data_plane/server_info/a")
    lease = etcd.good("/v3/lease/grant", {"TTL": 60, "ID": 0})["ID"]
    etcd.good("/v3/kv/put", {"key": key, "value": value({"id": "a"}), "lease": lease})
    said = etcd.good("/v3/kv/lease/timetolive", {"ID": lease, "keys": True})
    equal((said["grantedTTL"], said["keys"]), ("60", [key]), "its lease")
    equal(etcd.good("/v3/lease/keepalive", {"ID": lease})["result"]["TTL"], "60", "renewed")
    # This one is sent without a body.
    assert lease in [one["ID"] for one in etcd.good("/v3/lease/leases")["leases"]]
    etcd.good("/v3/kv/lease/revoke", {"ID": lease})
    status, said = etcd.whole("/v3/kv/lease/revoke", {"ID": lease})
    equal((status, said["code"], said["message"]), (404, 5, "etcdserver: requested lease not found"), "again")
    # It looks for a renewed TTL, and grants another lease if there is none.
    assert "TTL" not in etcd.good("/v3/lease/keepalive", {"ID": lease})["result"]
    equal(etcd.good("/v3/kv/lease/timetolive", {"ID": lease})["TTL"], "-1", "gone")


def watches():
    etcd = Connection()
    now = int(etcd.good("/v3/kv/range", directory(PREFIX))["header"]["revision"])
    stream = Connection()
    create = {**directory(PREFIX), "start_revision": now + 1, "prev_kv": True, "progress_notify": True}
    status, headers = stream.ask("/v3/watch", {"create_request": create})
    equal((status, headers["transfer-encoding"]), (200, "chunked"), "the stream")
    equal(document(stream)["created"], True, "created")
    key = b64(PREFIX + "routes/2")
    for what in ({"n": 1}, {"n": 2}):
        etcd.good("/v3/kv/put", {"key": key, "value": value(what)})
    etcd.good("/v3/kv/deleterange", {"key": key})
    events = []
    while len(events) < 3:
        events += document(stream).get("events", [])
    told = [(event.get("type"), event["kv"].get("value"), event.get("prev_kv", {}).get("value")) for event in events]
    one, two = value({"n": 1}), value({"n": 2})
    equal(told, [(None, one, None), (None, two, one), ("DELETE", None, two)], "events")
    # Its reader gives up after a while and begins again where it was.
    stream.socket.close()
    again = Connection()
    again.ask("/v3/watch", {"create_request": {**directory(PREFIX), "start_revision": now + 1}})
    events = []
    while len(events) < 3:
        events += document(again).get("events", [])
    equal([event["kv"]["mod_revision"] for event in events], [str(now + 1), str(now + 2), str(now + 3)], "from the same revision")


def document(stream):
    chunk = stream.chunk()
    assert chunk.endswith(b"\n") and chunk.count(b"\n") == 1, chunk
    return json.loads(chunk)["result"]


def compacted():
    """It reads everything anew when it is told that its revision is gone."""
    etcd = Connection()
    etcd.good("/v3/kv/put", {"key": b64(PREFIX + "c"), "value": value(1)})
    now = etcd.good("/v3/kv/put", {"key": b64(PREFIX + "c"), "value": value(2)})["header"]["revision"]
    etcd.good("/v3/kv/compaction", {"revision": now})
    stream = Connection()
    stream.ask("/v3/watch", {"create_request": {**directory(PREFIX), "start_revision": 1}})
    said = document(stream)
    if "canceled" not in said:
        said = document(stream)
    equal((said["canceled"], said["compact_revision"]), (True, now), said)


def users():
    with Server("etcd.bcrypt_cost=4", 'etcd.auth_token_ttl="1s"') as server:
        place = server.place.rsplit(":", 1)
        etcd = Connection(place)
        for path, body in (
            ("user/add", {"name": "root", "password": "root"}), ("role/add", {"name": "root"}), ("user/grant", {"user": "root", "role": "root"}),
            ("user/add", {"name": "apisix", "password": "secret"}), ("role/add", {"name": "apisix"}), ("user/grant", {"user": "apisix", "role": "apisix"}),
            ("role/grant", {"name": "apisix", "perm": {"permType": "READWRITE", **directory(PREFIX)}}), ("enable", None),
        ):
            etcd.good(f"/v3/auth/{path}", body)
        mine = Connection(place)
        mine.token = etcd.good("/v3/auth/authenticate", {"name": "apisix", "password": "secret"})["token"]
        mine.good("/v3/kv/put", {"key": b64(PREFIX + "a"), "value": value(1)})
        status, said = mine.whole("/v3/kv/range", {"key": b64("/elsewhere")})
        equal((status, said["message"], said["code"]), (403, "etcdserver: permission denied", 7), "elsewhere")
        status, said = etcd.whole("/v3/auth/authenticate", {"name": "apisix", "password": "wrong"})
        equal((status, said["code"]), (400, 3), said)
        # Refused within a stream, it looks at the status by number.
        stream = Connection(place, mine.token)
        stream.ask("/v3/watch", {"create_request": directory("/elsewhere/")})
        said = document(stream)
        assert said["created"] and said["canceled"] and "permission denied" in said["cancel_reason"], said
        ended = until("the end of its token", lambda: (answer := after_a_while(place, mine.token))[0] == 401 and answer[1])
        equal((ended["message"], ended["code"]), ("etcdserver: invalid auth token", 16), "it signs in again")
        stream = Connection(place, mine.token)
        stream.ask("/v3/watch", {"create_request": directory(PREFIX)})
        equal(document(stream)["cancel_reason"], "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token", "the stream")
        # What is refused before a stream has begun has a status of its own.
        status, said = Connection(place, mine.token).whole("/v3/lease/keepalive", {"ID": 1})
        equal((status, said["error"]["message"]), (401, "etcdserver: invalid auth token"), "a keepalive")


def after_a_while(place, token):
    """Whoever looks at a token more often keeps it."""
    time.sleep(2.5)
    return Connection(place, token).whole("/v3/kv/range", {"key": b64(PREFIX + "a")})


check("it starts", starts)
check("it administers routes", administers)
check("leases, by their older paths", leases)
check("a watch, each document a chunk that ends with its line", watches)
check("a watch of what was compacted", compacted)
check("users: allowed, refused, and tokens that end", users)
finish()
