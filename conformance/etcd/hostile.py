"""What nobody should send to etcd's port, over HTTP/1, HTTP/2 and gRPC: it is refused or hung up on, others are served
meanwhile, and memory stays what it was."""

import base64
import json
import os
import pathlib
import random
import shutil
import socket
import struct
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

from tap import check, finish

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 8, 9
END_STREAM, END_HEADERS = 1, 4
SEED = random.randrange(1 << 32)
CHANCE = random.Random(SEED)
MEGABYTE = 1 << 20
UNREAD = 64 * MEGABYTE


class Server:
    """One of its own, whose memory can be looked at."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=os.environ["SWITCHBOARD_CONFORMANCE_DIR"]))
        ports = self.folder / "ports"
        arguments = ["serve", "--only", "etcd", "--engine", "memory", "--listen", "etcd=127.0.0.1:0", "--set", f"etcd.unread_bytes={UNREAD}"]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SWITCHBOARD_")}
        self.process = subprocess.Popen(
            [os.environ["SWITCHBOARD_BINARY"], *arguments, "--data-dir", self.folder / "data", "--port-file", ports],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until = time.monotonic() + 30
        while time.monotonic() < until and not (ports.exists() and "etcd=" in ports.read_text()):
            time.sleep(0.05)
        place = ports.read_text().split("etcd=")[1].split()[0]
        self.address = (place.rsplit(":", 1)[0], int(place.rsplit(":", 1)[1]))
        self.post("/v3/kv/put", {"key": "YQ==", "value": "dg=="})

    def memory(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) * 1024

    def post(self, path, body):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request("http://%s:%d%s" % (*self.address, path), data, method="POST")
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
                return answer.status, json.loads(answer.readline() or b"null")
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def is_well(self):
        status, found = self.post("/v3/kv/range", {"key": "YQ=="})
        assert status == 200 and found["kvs"][0]["value"] == "dg==", (status, found)

    def connect(self):
        connection = socket.create_connection(self.address, timeout=30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return connection

    def end(self):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def setting(number, value):
    return struct.pack(">HI", number, value)


def field(name, value):
    """A literal that nobody keeps."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def head(path, kind=b"application/grpc"):
    fields = [(b":method", b"POST"), (b":scheme", b"http"), (b":path", path), (b":authority", b"x"), (b"te", b"trailers")]
    return b"".join(field(*pair) for pair in [*fields, (b"content-type", kind)])


def call(path, stream, message):
    """A whole call over gRPC."""
    body = b"\x00" + struct.pack(">I", len(message)) + message
    return frame(HEADERS, END_HEADERS, stream, head(path)) + frame(DATA, END_STREAM, stream, body)


RANGE = b"/etcdserverpb.KV/Range"


def send(connection, data):
    """Whether all of it could be sent before the other side hung up."""
    try:
        connection.sendall(data)
        return True
    except OSError:
        return False


def hear(connection, enough=1 << 20, patience=5.0):
    """What is said until it is enough, or the other side hangs up or falls silent."""
    said = b""
    connection.settimeout(patience)
    try:
        while len(said) < enough and (part := connection.recv(65536)):
            said += part
    except OSError:
        pass
    return said


def stays_well(server, attack, more=48 * MEGABYTE):
    """Nothing that is sent makes it forget others, or keep what was sent."""
    before = server.memory()
    attack()
    server.is_well()
    grown = server.memory() - before
    assert grown < more, f"{grown >> 20} MiB more than before"


def noise(server):
    for _ in range(300):
        with server.connect() as connection:
            begun = CHANCE.choice([b"", PREFACE, b"POST /v3/kv/put HTTP/1.1\r\nhost: x\r\n", PREFACE + frame(SETTINGS, 0, 0)])
            send(connection, begun + CHANCE.randbytes(CHANCE.randrange(2000)))


def frames_of_chance(server):
    for _ in range(300):
        with server.connect() as connection:
            said = PREFACE + frame(SETTINGS, 0, 0)
            for _ in range(CHANCE.randrange(1, 30)):
                payload = CHANCE.choice([b"", head(RANGE), CHANCE.randbytes(CHANCE.randrange(200))])
                said += frame(CHANCE.randrange(12), CHANCE.randrange(256), CHANCE.randrange(8), payload)
            send(connection, said)


def rapid_reset(server):
    """CVE-2023-44487: requests that are given up as soon as they are made."""
    with server.connect() as connection:
        send(connection, PREFACE + frame(SETTINGS, 0, 0))
        for first in range(1, 60_000, 200):
            both = [frame(HEADERS, END_HEADERS, n, head(RANGE)) + frame(RST_STREAM, 0, n, b"\0\0\0\x08") for n in range(first, first + 200, 2)]
            if not send(connection, b"".join(both)):
                return


def endless_head(server):
    """CVE-2024-27316: a head that is continued for ever."""
    with server.connect() as connection:
        send(connection, PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, 0, 1, head(RANGE)))
        more = frame(CONTINUATION, 0, 1, field(b"a", b"b" * 100) * 150)
        sent = 0
        while sent < 256 * MEGABYTE and send(connection, more):
            sent += len(more)
        assert sent < 256 * MEGABYTE, "a head of 256 MiB is taken"


def unread(server, kind, payload):
    """Things that have to be answered, from somebody who does not read the answers."""
    with server.connect() as connection:
        send(connection, PREFACE + frame(SETTINGS, 0, 0))
        connection.settimeout(2)
        many = frame(kind, 0, 0, payload) * 2000
        for _ in range(200):
            if not send(connection, many):
                return


def ranges_that_nobody_reads(server):
    value = base64.b64encode(b"x" * 4096).decode()
    for first in range(0, 2000, 100):
        puts = [{"request_put": {"key": base64.b64encode(b"big/%d" % n).decode(), "value": value}} for n in range(first, first + 100)]
        assert server.post("/v3/kv/txn", {"success": puts})[0] == 200

    def attack():
        # A window of nothing: not a byte of an answer may be sent.
        with server.connect() as connection:
            send(connection, PREFACE + frame(SETTINGS, 0, 0, setting(4, 0)))
            message = b"\x0a\x04big/\x12\x04big0"
            for n in range(1, 401, 2):
                send(connection, call(RANGE, n, message))
            time.sleep(2)
            server.is_well()
            held = server.memory() - before
            # They are made in buffers that double while they grow.
            assert held < 4 * UNREAD, f"{held >> 20} MiB for 200 answers of 8 MiB that nobody reads"
        # And when those are gone, others have theirs.
        status, said = server.post("/v3/kv/range", {"key": base64.b64encode(b"big/").decode(), "range_end": base64.b64encode(b"big0").decode()})
        assert (status, said["count"]) == (200, "2000"), status

    before = server.memory()
    stays_well(server, attack, 4 * UNREAD)


def watches_that_nobody_reads(server):
    # create_request { key: "a" }
    message = b"\x0a\x03\x0a\x01a"
    body = b"\x00" + struct.pack(">I", len(message)) + message
    with server.connect() as connection:
        send(connection, PREFACE + frame(SETTINGS, 0, 0, setting(4, 0)))
        for n in range(1, 2001, 2):
            send(connection, frame(HEADERS, END_HEADERS, n, head(b"/etcdserverpb.Watch/Watch")) + frame(DATA, 0, n, body))
        for _ in range(100):
            server.post("/v3/kv/put", {"key": "YQ==", "value": base64.b64encode(b"x" * 65536).decode()})
        server.post("/v3/kv/put", {"key": "YQ==", "value": "dg=="})
        server.is_well()


def broken_messages(server):
    """Lengths that lie, compression that nobody spoke of, and bytes that are no message."""
    broken = [
        b"\x00\xff\xff\xff\xff" + b"x" * 100,
        b"\x00\x00\x20\x00\x01",
        b"\x01\x00\x00\x00\x03abc",
        b"\x07\x00\x00\x00\x00",
        b"\x00\x00\x00\x00\x05\x0a\xff\xff\xff\xff",
        b"\x00\x00\x00\x00\x02\x0b\x0c",
        b"\x00\x00\x00",
        b"",
    ]
    for body in broken:
        for path in [RANGE, b"/etcdserverpb.KV/Txn", b"/etcdserverpb.Watch/Watch", b"/etcdserverpb.Lease/LeaseKeepAlive", b"/v3lockpb.Lock/Lock"]:
            with server.connect() as connection:
                send(connection, PREFACE + frame(SETTINGS, 0, 0) + frame(HEADERS, END_HEADERS, 1, head(path)) + frame(DATA, END_STREAM, 1, body))
                said = hear(connection, 64, 5)
                assert said, (path, body, "no answer")
    # A message that nests two thousand deep.
    deep = b""
    for _ in range(2000):
        # A transaction as the only operation of another one.
        operation = b"\x22" + varint(len(deep)) + deep
        deep = b"\x12" + varint(len(operation)) + operation
    with server.connect() as connection:
        send(connection, PREFACE + frame(SETTINGS, 0, 0))
        body = b"\x00" + struct.pack(">I", len(deep)) + deep
        send(connection, frame(HEADERS, END_HEADERS, 1, head(b"/etcdserverpb.KV/Txn")))
        for at in range(0, len(body), 16384):
            part = body[at : at + 16384]
            send(connection, frame(DATA, END_STREAM if at + 16384 >= len(body) else 0, 1, part))
        assert hear(connection, 64, 5), "no answer"


def varint(number):
    said = b""
    while number > 127:
        said, number = said + bytes([number & 127 | 128]), number >> 7
    return said + bytes([number])


PATHS = """kv/range kv/put kv/deleterange kv/txn kv/compaction watch lease/grant lease/revoke lease/timetolive lease/leases lease/keepalive
    cluster/member/list cluster/member/add maintenance/alarm maintenance/status maintenance/hashkv maintenance/downgrade auth/enable auth/user/add
    auth/role/grant auth/authenticate lock/lock lock/unlock election/campaign election/leader election/observe""".split()


def refusal(said):
    words = json.loads(said)
    return words["code"] if "code" in words else words["error"]["code"]


WAITING = {"watch", "lock/lock", "election/campaign", "election/observe"}


def broken_json(server):
    broken = [b"{", b"[]", b"null", b'"x"', b"\x00", b"\xff\xfe", b'{"key":"***"}', b'{"key":1}', b'{"key":{}}', b'{"ID":"x"}', b'{"ID":1e400}', b"[" * 50_000,
              b'{"name":' * 50_000, b'{"success":[null]}', b'{"success":[{"request_put":[]}]}', b'{"create_request":[]}', b'{"name":"\\ud800"}', b'{"TTL":"9' + b"9" * 40 + b'"}']
    for path in PATHS:
        # What waits for others is only sent what is no JSON at all: of the rest it may take no notice, and wait.
        for body in broken[:6] if path in WAITING else broken:
            status, said = server.post(f"/v3/{path}", body)
            # Of the refusals etcd has two that are no client's error in HTTP's eyes: one without a code, and what is not there.
            assert status < 500 or refusal(said) in (2, 12), (path, body[:40], status, said)
    status, said = server.post("/v3/kv/put", b'{"key":"YQ==","value":"' + b"A" * (20 * MEGABYTE) + b'"}')
    assert status == 429, (status, said)


def main():
    print(f"   seed {SEED}")
    server = Server()
    try:
        check("bytes of chance", stays_well, server, lambda: noise(server))
        check("frames of chance", stays_well, server, lambda: frames_of_chance(server))
        check("requests given up at once, without end", stays_well, server, lambda: rapid_reset(server))
        check("a head without end", stays_well, server, lambda: endless_head(server))
        check("pings that nobody reads the answers of", stays_well, server, lambda: unread(server, PING, b"12345678"))
        check("settings that nobody reads the answers of", stays_well, server, lambda: unread(server, SETTINGS, setting(4, 65535)))
        check("ranges that nobody reads", ranges_that_nobody_reads, server)
        check("watches that nobody reads", stays_well, server, lambda: watches_that_nobody_reads(server))
        check("messages that are none", stays_well, server, lambda: broken_messages(server))
        check("JSON that is none, and too much of it", stays_well, server, lambda: broken_json(server))
        assert server.process.poll() is None, "it is not there any more"
    finally:
        server.end()
    finish()


main()
