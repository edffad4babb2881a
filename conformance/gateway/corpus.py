"""Hostile requests, made from lists: each a case of bytes with what must become of them.

`refuse`: nothing of it may reach an instance. `pass`: it must arrive. `any`: either is right, as long as an instance reads one request, framed one
way. In every case the request within the request, to /users/smuggledN, must not arrive, unless `pipelined` says that it stands behind the first.
"""

from dataclasses import dataclass


@dataclass
class Case:
    family: str
    what: str
    data: bytes
    verdict: str
    pipelined: bool = False
    # After a refusal nobody knows where the next request begins.
    closes: bool = False


def raw(text):
    return text if isinstance(text, bytes) else text.encode("latin-1")


class Corpus:
    def __init__(self):
        self.cases = []

    def add(self, family, what, make, verdict, **more):
        number = len(self.cases)
        self.cases.append(Case(family, what, raw(make(number)), verdict, **more))

    def request(self, family, lines, body="", verdict="refuse", method="POST", target=None, version="HTTP/1.1", host="host: x\r\n", what=None, **more):
        def make(n):
            head = f"{method} {target or f'/users/c{n}'} {version}\r\n{host}{lines}".replace("{n}", str(n))
            return raw(head + "\r\n\r\n") + raw(body.replace("{n}", str(n)) if isinstance(body, str) else body)

        self.add(family, what or repr(lines), make, verdict, **more)


INNER = "GET /users/smuggled{n} HTTP/1.1\r\nhost: x\r\n\r\n"
AFTER_CHUNKS = "0\r\n\r\n" + INNER

LENGTHS = ["+5", "-5", "5,5", "5, 6", "5,", ",5", "0x5", "5.0", "5e0", "", "5 5", "5;", "5\x0b", "\x0b5", "5\x0c", "\xa05", "\xb2", "05 5", "18446744073709551621",
           "9223372036854775813", "99999999999999999999999999", "1" + "0" * 40, "'5'", "\"5\"", "five", "5\x00", "\x005", "5\x01", "_5", "5_0", "0b101", "0o5", "NaN", "5L", "5\x7f"]
CODINGS = ["chunked, identity", "identity, chunked", "identity", "xchunked", "chunkedx", "chunked;q=1", "chunked; x", "\x0bchunked", "chunked\x0b", "\x0cchunked", "chun ked", "'chunked'",
           '"chunked"', "chunked,chunked", "chunked, chunked", "gzip, chunked", "chunked, gzip", "gzip", "deflate, chunked", "chunked\x00", "\x00chunked", "cow", "", "x-chunked", "chunked x",
           "tchunked", "chunk", "chunked\x01", "chunked-", "chunked\xa0", "\xa0chunked", "chunked/1", "(chunked)", "chunked=1", "\x85chunked", "chu\x08nked", "chunked\x7f", "trailers", "chunked, cow",
           "cow, chunked", "compress, chunked", "chunked, trailers", "identity;chunked", "identity chunked"]
FINE_CODINGS = ["chunked", "CHUNKED", "Chunked", " chunked", "\tchunked", "chunked ", "chunked\t", "  chunked  "]
NAMES = ["{} ", " {}", "{}\t", "\t{}", "{}\x00", "{}\x0b", "\x00{}", "{}\xa0", "{};", "({})", "{}\x7f", "\x01{}", "{}=", "{}@", "[{}]", "{},", "\"{}\"", "{}/", "{{{}}}", "{}\\"]
HARMLESS_NAMES = ["x-{}", "{}-x", "{}_", "_{}"]
CONTROLS = [chr(c) for c in range(0x20) if chr(c) not in "\t\r\n"] + ["\x7f"]


def lengths(corpus):
    for value in LENGTHS:
        corpus.request("length", f"content-length: {value}", "hello" + INNER, closes=True)
        corpus.request("length", f"content-length: 5\r\ncontent-length: {value}", "hello" + INNER, closes=True)
    for value, verdict in [("5\r\ncontent-length: 6", "refuse"), ("5\r\ncontent-length: 0", "refuse"), ("0\r\ncontent-length: 5", "refuse"), ("5\r\ncontent-length: 5", "any"), ("05", "any"),
                           ("0000000000000000000000005", "any"), ("  5", "pass"), ("5  ", "pass"), ("\t5", "pass")]:
        # Behind a body of five bytes there stands another request, and that is no smuggling.
        corpus.request("length", f"content-length: {value}", "hello" + INNER, verdict, pipelined=verdict != "refuse", closes=True)
    for method in ["GET", "HEAD", "DELETE", "OPTIONS", "PUT", "PATCH", "PROPFIND"]:
        corpus.request("length", "content-length: {}".format(len(INNER.replace("{n}", "000"))), INNER.replace("{n}", "000"), "pass", method=method, what=f"a request in the body of {method}")
        corpus.request("length", "content-length: x", INNER, method=method, closes=True, what=f"nonsense with {method}")


def codings(corpus):
    for value in CODINGS:
        corpus.request("coding", f"transfer-encoding: {value}", AFTER_CHUNKS, closes=True)
        corpus.request("coding", f"content-length: 5\r\ntransfer-encoding: {value}", AFTER_CHUNKS, closes=True)
        corpus.request("coding", f"transfer-encoding: chunked\r\ntransfer-encoding: {value}", AFTER_CHUNKS, closes=True)
    for value in FINE_CODINGS:
        corpus.request("coding", f"transfer-encoding: {value}", "5\r\nhello\r\n" + AFTER_CHUNKS, "pass", pipelined=True)
        corpus.request("coding", f"content-length: 5\r\ntransfer-encoding: {value}", AFTER_CHUNKS, "any", what=f"both, {value!r} last")
        corpus.request("coding", f"transfer-encoding: {value}\r\ncontent-length: 5", AFTER_CHUNKS, "any", what=f"both, {value!r} first")
    for version in ["HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.2", "HTTP/3"]:
        corpus.request("coding", "transfer-encoding: chunked", AFTER_CHUNKS, version=version, closes=True, what=f"chunked in {version}")
        corpus.request("coding", "transfer-encoding: chunked\r\ncontent-length: 5", AFTER_CHUNKS, version=version, closes=True, what=f"both in {version}")
    for method in ["GET", "HEAD", "DELETE", "OPTIONS"]:
        corpus.request("coding", "transfer-encoding: chunked", "5\r\nhello\r\n0\r\n\r\n", "any", method=method, what=f"chunked with {method}")
        corpus.request("coding", "transfer-encoding: chunked, identity", AFTER_CHUNKS, method=method, closes=True, what=f"identity with {method}")


def names(corpus):
    for name in NAMES:
        for field, value in [("transfer-encoding", "chunked"), ("content-length", "5"), ("host", "y")]:
            # A name that begins with space continues the line before, where that is still understood.
            corpus.request("name", f"a: b\r\n{name.format(field)}: {value}", "0\r\n\r\n" + INNER, closes=True, what=f"{name!r} {field}")
    for name in HARMLESS_NAMES:
        corpus.request("name", f"{name.format('transfer-encoding')}: chunked", "", "any", method="GET", what=f"harmless {name!r}")
    for control in CONTROLS:
        corpus.request("control", f"x{control}y: 1", "", method="GET", closes=True, what=f"{control!r} in a name")
        corpus.request("control", f"x: 1{control}2", "", "any" if control != "\x00" else "refuse", method="GET", what=f"{control!r} in a value")
        corpus.request("control", "a: b", "", method="GET", target=f"/users/c{{n}}{control}", closes=True, what=f"{control!r} in a path")
    for line in [": empty", "no colon", "a b: c", "a\xe9: b", "a: b\r\n c: d", "a: b\r\n\tc", "\r\n", " a: b"]:
        corpus.request("name", line, "", "any" if line == "\r\n" else "refuse", method="GET", pipelined=True)
    for end in ["\n", "\r", "\r\r\n", "\n\r\n", "\x00\r\n", " \r\n", "\x0b\r\n", "\x85\r\n"]:
        verdict = "any" if end in ("\n", "\n\r\n", " \r\n", "\r\r\n", "\x0b\r\n", "\x85\r\n") else "refuse"
        corpus.request("line end", f"a: b{end}transfer-encoding: chunked", AFTER_CHUNKS, verdict, pipelined=verdict == "any", what=f"{end!r} before Transfer-Encoding")
        corpus.request("line end", f"a: b{end}content-length: 44", INNER, verdict, pipelined=verdict == "any", what=f"{end!r} before Content-Length")


CHUNKS = ["+5\r\nhello\r\n", "-5\r\nhello\r\n", "0x5\r\nhello\r\n", " \r\nhello\r\n", "\r\nhello\r\n", "g\r\nhello\r\n", "5g\r\nhello\r\n", "5,\r\nhello\r\n", "5.0\r\nhello\r\n",
          "FFFFFFFFFFFFFFFF5\r\nhello\r\n", "10000000000000005\r\nhello\r\n", "8000000000000005\r\nhello\r\n", "5\r\nhelloXX", "5\r\nhello\r\r\n", "5\r\nhelloX\r\n", "4\r\nhello\r\n", "6\r\nhello\r\n",
          "5\x00\r\nhello\r\n", "5\x0b\r\nhello\r\n", "_5\r\nhello\r\n", "5_\r\nhello\r\n", "5 5\r\nhello\r\n", "'5'\r\nhello\r\n", "\xb2\r\nhello\r\n", "5\x7f\r\nhello\r\n", "\x005\r\nhello\r\n",
          "5:x\r\nhello\r\n", "5=x\r\nhello\r\n", "0x\r\nhello\r\n", "x5\r\nhello\r\n", "h5\r\nhello\r\n", "5h\r\nhello\r\n"]
UNSURE_CHUNKS = ["5;a\r\nhello\r\n", "5;a=b\r\nhello\r\n", '5;a="b"\r\nhello\r\n', "5 \r\nhello\r\n", "5\t\r\nhello\r\n", "00000000005\r\nhello\r\n", "5 ;a\r\nhello\r\n", "5;\r\nhello\r\n", "5;;;\r\nhello\r\n",
                 "5\nhello\r\n", "5\r\nhello\n", "5;a\nhello\r\n", '5;a="\n"\r\nhello\r\n', "5;\x00\r\nhello\r\n", " 5\r\nhello\r\n", "5;" + "a" * 20_000 + "\r\nhello\r\n", "0" * 300 + "5\r\nhello\r\n",
                 "5\rhello\r\n", "5;a\rb\r\nhello\r\n"]
TRAILERS = ["x: y", "content-length: 5", "transfer-encoding: chunked", "host: evil", "connection: close", "x-forwarded-for: 1.2.3.4", "trailer: x", "authorization: x", ": x", "x", "x : y", "a\x00: b", "x: y\x00",
            "x: a\r\n b", "x: " + "y" * 100_000]


def chunks(corpus):
    for chunk in CHUNKS:
        corpus.request("chunk", "transfer-encoding: chunked", chunk + "0\r\n\r\n" + INNER, "refuse", what=repr(chunk))
    for chunk in UNSURE_CHUNKS:
        corpus.request("chunk", "transfer-encoding: chunked", chunk + "0\r\n\r\n" + INNER, "any", pipelined=True, what=repr(chunk[:40]))
    for trailer in TRAILERS:
        corpus.request("trailer", "transfer-encoding: chunked", f"5\r\nhello\r\n0\r\n{trailer}\r\n\r\n", "any", what=repr(trailer[:40]))
    for end in ["0\r\n", "0\r\n\r", "0\n\n", "00\r\n\r\n", "0;a\r\n\r\n", "0 \r\n\r\n", "-0\r\n\r\n", "0x0\r\n\r\n", "\r\n\r\n"]:
        corpus.request("chunk", "transfer-encoding: chunked", f"5\r\nhello\r\n{end}" + INNER, "any", pipelined=True, what=f"the last is {end!r}")


LINES = [("{m}  /users/c{n} HTTP/1.1", "refuse"), ("{m} /users/c{n}  HTTP/1.1", "refuse"), ("{m}\t/users/c{n}\tHTTP/1.1", "refuse"), (" {m} /users/c{n} HTTP/1.1", "refuse"),
         ("{m} /users/c{n} HTTP/1.1 ", "any"), ("{m} /users/c{n}", "refuse"), ("{m}", "refuse"), ("{m} /users/c{n} HTTP/1.1x", "refuse"), ("{m} /users/c{n} HTTP/01.1", "refuse"),
         ("{m} /users/c{n} HTTP/1.01", "refuse"), ("{m} /users/c{n} HTTP/11", "refuse"), ("{m} /users/c{n} http/1.1", "refuse"), ("{m} /users/c{n} HTTP/2.0", "refuse"), ("{m} /users/c{n} HTTP/1.9", "refuse"),
         ("{m} /users/c{n} HTTP/0.9", "refuse"), ("{m} /users/c{n} HTTP/1,1", "refuse"), ("{m} /users/c{n} HTTPS/1.1", "refuse"), ("{m} /users/c{n} HTTP/1.1\x00", "refuse"), ("{m} /users/c{n} x HTTP/1.1", "refuse"),
         ("{m} http://y/users/c{n} HTTP/1.1", "refuse"), ("{m} http://u@x/users/c{n} HTTP/1.1", "refuse"), ("{m} http://u:p@x/users/c{n} HTTP/1.1", "refuse"), ("{m} http:///users/c{n} HTTP/1.1", "refuse"),
         ("{m} http:/users/c{n} HTTP/1.1", "refuse"), ("{m} x/users/c{n} HTTP/1.1", "refuse"), ("{m} users/c{n} HTTP/1.1", "refuse"), ("{m} * HTTP/1.1", "refuse"), ("{m} x:80 HTTP/1.1", "refuse"),
         ("{m} /users/c{n}#x HTTP/1.1", "any"), ("{m} /users/c{n}\\x HTTP/1.1", "refuse"), ("{m} /users/c{n}?\\x HTTP/1.1", "any"), ("{m} /users/../users/c{n} HTTP/1.1", "refuse"), ("{m} /users/./c{n} HTTP/1.1", "refuse"),
         ("{m} /users/%2e%2e/users/c{n} HTTP/1.1", "refuse"), ("{m} /users/%2E/c{n} HTTP/1.1", "refuse"), ("{m} /users/..%2fusers/c{n} HTTP/1.1", "refuse"), ("{m} /users/..%5cusers/c{n} HTTP/1.1", "refuse"),
         ("{m} /users/..;/c{n} HTTP/1.1", "refuse"), ("{m} /users/%2e%2e;x/c{n} HTTP/1.1", "refuse"), ("{m} /users/c{n}%00 HTTP/1.1", "refuse"), ("{m} /users/c{n}/.. HTTP/1.1", "refuse"), ("{m} /users/c{n}/. HTTP/1.1", "refuse"),
         ("{m} /users/c{n}/%2e%2e%2f HTTP/1.1", "refuse"), ("{m} /users//c{n} HTTP/1.1", "any"), ("{m} //users/c{n} HTTP/1.1", "any"), ("{m} ///users/c{n} HTTP/1.1", "any"), ("{m} /users%2fc{n} HTTP/1.1", "any"),
         ("{m} /users/c{n}?a=/../b HTTP/1.1", "any"), ("{m} /users/c{n}\xe9 HTTP/1.1", "any"), ("{m} /users/c{n}\x7f HTTP/1.1", "refuse"), ("{m} /users/c{n}\" HTTP/1.1", "any"), ("{m} /users/c{n}<> HTTP/1.1", "any"),
         ("{m} /users/c{n}{{}} HTTP/1.1", "any"), ("{m} /users/c{n}%zz HTTP/1.1", "any"), ("{m} /users/c{n}% HTTP/1.1", "any"), ("{m} /users/c{n}%0d%0aX:%20y HTTP/1.1", "any"), ("{m} /users/c{n}%c0%ae%c0%ae/ HTTP/1.1", "any"),
         ("{m} ftp://x/users/c{n} HTTP/1.1", "any"), ("{m} javascript:x HTTP/1.1", "refuse"), ("{m} /users/c{n} HTTP/1.1\r", "any")]
METHODS = ["CONNECT", "TRACE", "G ET", "GE\x00T", "GÉT", "GET,", "(GET)", "", "PRI", "TRACK", "DEBUG", "get", "FOO", "G" * 100, "G" * 70_000]


def lines(corpus):
    for line, verdict in LINES:
        for method in ["GET", "POST"]:
            corpus.add("line", line.replace("{m}", method), lambda n, line=line, method=method: line.replace("{m}", method).replace("{{", "{").replace("}}", "}").replace("{n}", str(n)) + "\r\nhost: x\r\n\r\n", verdict)
    for method in METHODS:
        verdict = "any" if method in ("PRI", "TRACK", "DEBUG", "get", "FOO", "G" * 100) else "refuse"
        corpus.request("method", "a: b", "", verdict, method=method, what=repr(method[:20]))
    corpus.request("method", "a: b", "", method="CONNECT", target="users:80")
    corpus.add("line", "empty lines before", lambda n: f"\r\n\r\nGET /users/c{n} HTTP/1.1\r\nhost: x\r\n\r\n", "any")
    corpus.add("line", "a bare LF before", lambda n: f"\nGET /users/c{n} HTTP/1.1\r\nhost: x\r\n\r\n", "any")
    corpus.add("line", "bare LFs only", lambda n: f"GET /users/c{n} HTTP/1.1\nhost: x\n\n", "any")
    corpus.add("line", "a long target", lambda n: f"GET /users/c{n}?{'a' * 200_000} HTTP/1.1\r\nhost: x\r\n\r\n", "refuse", closes=True)
    corpus.add("line", "many fields", lambda n: f"GET /users/c{n} HTTP/1.1\r\nhost: x\r\n" + "".join(f"x-{i}: y\r\n" for i in range(5000)) + "\r\n", "refuse", closes=True)
    corpus.add("line", "a long field", lambda n: f"GET /users/c{n} HTTP/1.1\r\nhost: x\r\nx: {'a' * 200_000}\r\n\r\n", "refuse", closes=True)
    corpus.add("line", "TLS", lambda n: b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200), "refuse", closes=True)
    corpus.add("line", "half a preface of HTTP/2", lambda n: b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "refuse", closes=True)


HOSTS = [("", "refuse"), ("host: x\r\nhost: x\r\n", "refuse"), ("host: x\r\nhost: y\r\n", "refuse"), ("host: x\r\nHost: \r\n", "refuse"), ("host: u@x\r\n", "refuse"), ("host: u:p@x\r\n", "refuse"), ("host: x/y\r\n", "refuse"),
         ("host: x y\r\n", "refuse"), ("host: x,y\r\n", "any"), ("host: x\\y\r\n", "refuse"), ("host: x?y\r\n", "refuse"), ("host: x#y\r\n", "refuse"), ("host: x:\r\n", "any"), ("host: x:y\r\n", "any"), ("host: x:99999\r\n", "any"),
         ("host: x:80:80\r\n", "any"), ("host: [::1\r\n", "any"), ("host: ::1\r\n", "any"), ("host: [::1]\r\n", "any"), ("host: \r\n", "any"), ("host: x\x00\r\n", "refuse"), ("host: \xe9\r\n", "any"), ("host: http://x/\r\n", "refuse"),
         ("host : x\r\n", "refuse"), (" host: x\r\n", "refuse"), ("host: x\r\n y\r\n", "refuse"), ("host: <x>\r\n", "any"), ("host: x;y\r\n", "any"), ("host: 'x'\r\n", "any"), ("host: x%00\r\n", "any"), ("host: " + "x" * 300 + "\r\n", "any")]
NOMINATED = [("host", "refuse"), ("Host", "refuse"), ("x-forwarded-for", "refuse"), ("x-forwarded-host", "refuse"), ("x-forwarded-proto", "refuse"), (":authority", "refuse"), (":path", "refuse"), ("a,b,c,d,e,f,g,h,i,j", "refuse"),
             ("a b", "refuse"), ("a;b", "refuse"), ("(a)", "refuse"), ("\x01", "refuse"), ("a=b", "refuse"), ("content-length", "any"), ("transfer-encoding", "any"), ("connection", "any"), ("authorization", "any"), ("cookie", "any"),
             ("te", "any"), ("trailer", "any"), ("via", "any"), ("forwarded", "any"), ("x-forwarded-port", "any"), ("x-forwarded-prefix", "any"), ("close, x-secret", "any"), (",", "any"), ("", "any"), ("keep-alive, host", "refuse"),
             ("close\r\nconnection: host", "refuse"), ("upgrade, host", "refuse"), ("\xe9", "refuse"), ("\"host\"", "refuse"), ("expect", "any"), ("range", "any"), ("if-match", "any")]


def hosts(corpus):
    for host, verdict in HOSTS:
        for method in ["GET", "POST"]:
            corpus.request("host", "a: b", "", verdict, method=method, host=host, what=repr(host[:30]))
        corpus.request("host", "a: b", "", "refuse", method="GET", host=host, target="http://z/users/c{n}", what=f"a target elsewhere and {host[:30]!r}") if host else None
    for nominated, verdict in NOMINATED:
        corpus.request("nominated", f"connection: {nominated}\r\nx-secret: 1", "", verdict, method="GET")
        corpus.request("nominated", f"content-length: {len(INNER) - 3 + 3}\r\nconnection: {nominated}", INNER.replace("{n}", "000"), verdict)
    for value in ["200-ok", "100-continue, x", "100-continuex", "", "x", "100", "100-continue;q=1"]:
        corpus.request("expect", f"expect: {value}\r\ncontent-length: 5", "hello", "any" if value == "" else "refuse")


UPGRADES = ["websocket", "WebSocket", "h2c", "h2", "TLS/1.0", "websocket, h2c", "h2c, websocket", "HTTP/2.0", "xwebsocket", "websocket/13", "", "WebSocket\x0b", "connect-udp"]


def upgrades(corpus):
    for value in UPGRADES:
        key = "sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13"
        for connection in ["connection: upgrade", "connection: Upgrade, keep-alive", "a: b"]:
            # What follows a request that asks to become something else must wait for the answer.
            corpus.request("upgrade", f"{connection}\r\nupgrade: {value}\r\n{key}", INNER, "any", method="GET", pipelined=True)
        corpus.request("upgrade", f"connection: upgrade, http2-settings\r\nupgrade: {value}\r\nhttp2-settings: AAMAAABkAARAAAAAAAIAAAAA", INNER, "any", method="GET", pipelined=True)
        corpus.request("upgrade", f"connection: upgrade\r\nupgrade: {value}\r\n{key}\r\ncontent-length: 5", "hello" + INNER, "any", pipelined=True)


def bodies(corpus):
    """A body that nobody reads, because there is nobody or because it is refused, is no request."""
    for target in ["/nobody/c{n}", "/", "/users/../x", "/none"]:
        for method in ["POST", "PUT", "GET", "DELETE"]:
            body = INNER.replace("{n}", "000")
            corpus.request("body", f"content-length: {len(body)}", body, "refuse", method=method, target=target, what=f"{method} {target} with a length")
            corpus.request("body", "transfer-encoding: chunked", f"{len(body):x}\r\n{body}\r\n0\r\n\r\n", "refuse", method=method, target=target, what=f"{method} {target} in chunks")
    for version in ["HTTP/1.0"]:
        for method in ["POST", "PUT", "GET"]:
            corpus.request("body", "a: b", INNER, "pass", method=method, version=version, what=f"{method} of HTTP/1.0 without a length")
            corpus.request("body", "connection: keep-alive", INNER, "pass", method=method, version=version, pipelined=True, what=f"{method} of HTTP/1.0 that stays")


def corpus():
    all_of_it = Corpus()
    for family in [lengths, codings, names, chunks, lines, hosts, upgrades, bodies]:
        family(all_of_it)
    return all_of_it.cases


if __name__ == "__main__":
    print(len(corpus()))
