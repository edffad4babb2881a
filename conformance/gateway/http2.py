"""Hostile requests over HTTP/2, as frames made by hand: what an instance that speaks HTTP/1.1 would read differently must not arrive."""

import socket
import struct

from hpack import Encoder

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, GOAWAY = 0, 1, 3, 4, 7
END_STREAM, END_HEADERS = 1, 4
SMUGGLED = "GET /users/smuggled HTTP/1.1\r\nhost: x\r\n\r\n"


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def case(verdict, *fields, body=None, trailers=None, **pseudo):
    """`pseudo` replaces the fields that begin with a colon; None leaves one out."""
    return verdict, fields, body, trailers, pseudo


CASES = [
    case("pass"),
    case("pass", body="hello"),
    case("pass", ("content-length", "5"), body="hello"),
    case("pass", ("cookie", "a=1"), ("cookie", "b=2")),
    case("pass", ("te", "trailers")),
    case("refuse", ("transfer-encoding", "chunked"), body="0\r\n\r\n" + SMUGGLED),
    case("refuse", ("Transfer-Encoding", "chunked"), body="0\r\n\r\n" + SMUGGLED),
    case("refuse", ("content-length", "4"), body="hello"),
    # It may be on its way, without a body, before the body that it must not have is seen.
    case("any", ("content-length", "0"), body=SMUGGLED),
    case("refuse", ("content-length", "6"), body="hello"),
    case("refuse", ("content-length", "x"), body="hello"),
    case("refuse", ("content-length", "+5"), body="hello"),
    case("refuse", ("content-length", "5"), ("content-length", "6"), body="hello"),
    case("refuse", ("content-length", "5")),
    *[case("refuse", (name, "x")) for name in ["connection", "keep-alive", "proxy-connection", "upgrade"]],
    case("refuse", ("connection", "host")),
    *[case("refuse", ("te", value)) for value in ["gzip", "chunked", "trailers, gzip"]],
    *[case("refuse", (name, "1")) for name in ["X-Upper", "x y", "x:y", "x\r\ny", "x\ny", "x\0y", "", "x\ry", "x\x7f", "\xe9", "transfer-encoding:", "x: y\r\ntransfer-encoding"]],
    *[case("refuse", ("x", value)) for value in ["a\r\nb: c", "a\nb: c", "a\rb", "a\0b", "a\r\n\r\n" + SMUGGLED, "a\r\ntransfer-encoding: chunked"]],
    case("any", ("x", " a ")),
    case("any", ("x", "\xe9")),
    *[case("refuse", path=path) for path in ["/users/h{n} HTTP/1.1\r\nx: y", "/users/h{n} x", "users/h{n}", "", "*", "/users/../users/h{n}", "/users/%2e%2e/h{n}", "/users/h{n}\\x", "/users/h{n}\0", "/users/h{n}%00", None]],
    *[case("any", path=path) for path in ["/users/h{n}#x", "/users/h{n}?\r", "/users/h{n}?a b", "//users/h{n}", "http://x/users/h{n}"]],
    *[case("refuse", method=method) for method in ["GET /users/smuggled HTTP/1.1\r\nhost: x\r\n\r\nGET", "G ET", "", "GET\r\n", "CONNECT", "TRACE", "G\0T", None]],
    *[case("refuse", authority=authority) for authority in ["x\r\ny: z", "u@x", "x/y", "x y", "x\0"]],
    case("refuse", ("host", "y")),
    case("refuse", ("host", "x"), ("host", "x")),
    case("refuse", authority=None),
    case("pass", ("host", "x"), authority=None),
    case("any", ("host", "x")),
    *[case("any", scheme=scheme) for scheme in ["https", "ftp", "h\r\nttp", "", None]],
    case("refuse", (":path", "/users/h{n}")),
    case("refuse", (":method", "POST")),
    case("refuse", (":status", "200")),
    case("refuse", (":x", "1")),
    case("any", body="hello", trailers=[("x", "y")]),
    # The pseudo field is taken off.
    case("any", body="hello", trailers=[(":path", "/users/smuggled")]),
    *[case("any", body="hello", trailers=[(name, "5")]) for name in ["content-length", "transfer-encoding", "host", "X-Upper", "x y"]],
    case("refuse", body="hello", trailers=[("x", "a\r\n\r\n" + SMUGGLED)]),
    case("refuse", *[(f"x-{i}", "y" * 100) for i in range(1000)]),
]


def converse(address, number):
    """Sends one request on a connection of its own, and waits until it is answered or refused."""
    _, fields, body, trailers, pseudo = CASES[number]
    fill = lambda text: text.replace("{n}", str(number)).encode("latin-1")
    given = {"method": "POST" if body else "GET", "scheme": "http", "authority": "x", "path": "/users/h{n}", **pseudo}
    head = [(b":" + name.encode(), fill(value)) for name, value in given.items() if value is not None]
    head += [(name.encode("latin-1"), fill(value)) for name, value in fields]
    encoder, said = Encoder(), PREFACE + frame(SETTINGS, 0, 0, b"")
    block = encoder.encode(head)
    first, rest = block[:16000], block[16000:]
    said += frame(HEADERS, (0 if body or trailers else END_STREAM) | (0 if rest else END_HEADERS), 1, first)
    while rest:
        part, rest = rest[:16000], rest[16000:]
        said += frame(9, 0 if rest else END_HEADERS, 1, part)
    if body:
        said += frame(DATA, 0 if trailers else END_STREAM, 1, fill(body))
    if trailers:
        said += frame(HEADERS, END_HEADERS | END_STREAM, 1, encoder.encode([(name.encode(), fill(value)) for name, value in trailers]))
    with socket.create_connection(address, timeout=15) as connection:
        try:
            connection.sendall(said)
            return ends(connection)
        except OSError:
            return "reset"


def ends(connection):
    """How the stream ends."""
    heard = b""
    while True:
        while len(heard) >= 9 and len(heard) >= 9 + int.from_bytes(heard[:3], "big"):
            length, kind, flags = int.from_bytes(heard[:3], "big"), heard[3], heard[4]
            heard = heard[9 + length :]
            if kind == GOAWAY:
                return "goaway"
            if kind == RST_STREAM:
                return "reset"
            if kind in (HEADERS, DATA) and flags & END_STREAM:
                return "answered"
        part = connection.recv(65536)
        if not part:
            return "closed"
        heard += part
