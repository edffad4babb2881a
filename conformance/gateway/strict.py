"""An instance that reads as RFC 9112 says and nothing else, and tells what arrived and what was wrong with it."""

import re
import socket
import threading

REQUEST_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [\x21-\x7e\x80-\xff]+ HTTP/1\.[01]")
FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
CHUNK = re.compile(rb"[0-9a-fA-F]{1,16}")


class Wrong(Exception):
    pass


class Reader:
    def __init__(self, connection):
        self.connection, self.buffer = connection, b""

    def more(self):
        part = self.connection.recv(65536)
        if not part:
            raise EOFError
        self.buffer += part

    def until(self, end):
        while end not in self.buffer:
            self.more()
        taken, self.buffer = self.buffer.split(end, 1)
        return taken

    def exactly(self, count):
        while len(self.buffer) < count:
            self.more()
        taken, self.buffer = self.buffer[:count], self.buffer[count:]
        return taken


def read_head(head):
    """The request line and how the body is framed: a length, or None for chunks."""
    lines = head.split(b"\r\n")
    if not REQUEST_LINE.fullmatch(lines[0]):
        raise Wrong(f"the request line {lines[0][:100]!r}")
    fields = []
    for line in lines[1:]:
        match = FIELD.fullmatch(line)
        if not match:
            raise Wrong(f"the field {line[:100]!r}")
        fields.append((match[1].lower(), match[2].strip()))
    of = lambda name: [value for field, value in fields if field == name]
    lengths, codings = of(b"content-length"), of(b"transfer-encoding")
    if len(of(b"host")) != 1 and not lines[0].endswith(b"1.0"):
        raise Wrong(f"{len(of(b'host'))} hosts")
    if codings:
        if lengths or codings != [b"chunked"] or lines[0].endswith(b"1.0"):
            raise Wrong(f"the framing {codings} {lengths}")
        return lines[0], None
    if len(lengths) > 1 or not all(re.fullmatch(rb"[0-9]{1,18}", length) for length in lengths):
        raise Wrong(f"the lengths {lengths}")
    return lines[0], int(lengths[0]) if lengths else 0


def read_chunks(reader):
    while True:
        size = reader.until(b"\r\n")
        if not CHUNK.fullmatch(size):
            raise Wrong(f"the chunk {size[:100]!r}")
        if int(size, 16) == 0:
            break
        reader.exactly(int(size, 16))
        if reader.exactly(2) != b"\r\n":
            raise Wrong("the end of a chunk")
    while trailer := reader.until(b"\r\n"):
        if not FIELD.fullmatch(trailer):
            raise Wrong(f"the trailer {trailer[:100]!r}")


class Instance:
    """Answers every request that is whole."""

    def __init__(self):
        self.lock, self.arrived, self.wrong = threading.Lock(), [], []
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        reader, head = Reader(connection), b""
        try:
            while True:
                head = b""
                head = reader.until(b"\r\n\r\n")
                line, length = read_head(head)
                if length is None:
                    read_chunks(reader)
                else:
                    reader.exactly(length)
                with self.lock:
                    self.arrived.append(line.split(b" ")[1].decode("latin-1"))
                body = b"" if line.startswith(b"HEAD ") else b"ok"
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n" + body)
        except Wrong as wrong:
            with self.lock:
                self.wrong.append(f"{wrong} in {head[:200]!r}")
        except (EOFError, OSError):
            pass
        finally:
            connection.close()

    def paths(self):
        with self.lock:
            return list(self.arrived)
