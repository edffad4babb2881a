"""Eureka's answers and ours to the same requests.

By hand, with the real one: EUREKA_REAL=1 SWITCHBOARD_CONFORMANCE_DIR=target/conformance SWITCHBOARD_BINARY=... \\
PYTHONPATH=conformance python3 conformance/eureka/oracle/run.py [SCRIPT]
"""

import contextlib
import gzip
import http.client
import os
import re
import sys
import xml.etree.ElementTree as xml
from dataclasses import dataclass, replace
from pathlib import Path

from maven import Program, build
from oracle import run
from oracle.plain import Plainer
from oracle.process import folder, running
from ports import free_ports

# Whatever is later than this was read off a clock: scripts say earlier times.
NOW = 1_750_000_000_000
# As it stands on pages about errors.
CLOCK = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+\+00:00|\w{3} \w{3} \d\d [0-9:]{8} \w+ \d{4}")


class Eureka(Plainer):
    """XML is compared as the tree that it is, and times that a server chose are all alike."""

    def plain(self, step, answer):
        kinds = {name.lower(): value for name, value in answer.headers}
        if kinds.get("content-encoding") == "gzip":
            answer = replace(answer, body=gzip.decompress(answer.body))
        plain = super().plain(step, answer)
        if "xml" in kinds.get("content-type", "") and answer.body.startswith(b"<"):
            with contextlib.suppress(xml.ParseError):
                plain.body = self.value(dict([tree(xml.fromstring(answer.body))]))
                # So that it is kept as what it is compared as.
                plain.headers["content-type"] += ", as json"
        plain.body = known_page(plain.body)
        return plain

    def value(self, value):
        if isinstance(value, dict) and "versions__delta" in value:
            value = {**value, "versions__delta": "<version>"}
        if type(value) is int and value > NOW:
            return "<time>"
        return super().value(value)

    def text(self, text):
        if text.isdigit() and int(text) > NOW:
            return "<time>"
        return super().text(CLOCK.sub("<time>", text))


def known_page(body):
    """What the frameworks of the real server say of an error, as a word."""
    inner = body.get("Map", body) if isinstance(body, dict) else {}
    if inner.keys() == {"timestamp", "status", "error", "path"}:
        return "<a page of Spring's>"
    error = inner.get("error")
    if error == "cannot parse request body" or isinstance(error, dict) and "message" in error:
        return "<a page of Jersey's>"
    return body


def tree(element):
    children = [tree(child) for child in element]
    inner = {f"@{name}": value for name, value in element.attrib.items()}
    for name, value in children:
        if name in ("application", "instance", "applications"):
            inner.setdefault(name, []).append(value)
        else:
            inner[name] = value
    if not inner:
        return element.tag, element.text or ""
    if not children:
        inner["$"] = element.text or ""
    return element.tag, inner


@dataclass
class Running:
    address: tuple
    words: dict
    known: dict
    fixed: tuple = ()
    index_header: str = ""
    opaque: tuple = ()
    unordered: str = ""
    plainer: type = Eureka


def is_ready(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/eureka/apps")
        return connection.getresponse().status == 200
    finally:
        connection.close()


@contextlib.contextmanager
def real():
    place = build(Path(__file__).parent.parent / "java")
    with folder() as scratch:
        [port] = free_ports(1)
        settings = {
            "server.port": port,
            "server.address": "127.0.0.1",
            "eureka.client.register-with-eureka": "false",
            "eureka.client.fetch-registry": "false",
            # What was written is read at once, as it is here.
            "eureka.server.use-read-only-response-cache": "false",
            "eureka.server.enable-self-preservation": "false",
        }
        arguments = [f"--{key}={value}" for key, value in settings.items()]
        server = Program(place / "server/target/server.jar", arguments, scratch / "log", heap="256m")
        try:
            server.wait_until(lambda: is_ready(port))
            yield Running(("127.0.0.1", port), {f":{port}": ":<http>"}, {})
        finally:
            server.kill()


@contextlib.contextmanager
def ours():
    with folder() as place:
        [port] = free_ports(1)
        command = [os.environ["SWITCHBOARD_BINARY"], "serve", "--data-dir", str(place / "data")]
        command += ["--only", "eureka", "--listen", f"eureka=127.0.0.1:{port}"]
        env = {name: value for name, value in os.environ.items() if not name.startswith("SWITCHBOARD_")}
        with running(command, place, env, lambda: is_ready(port)):
            yield Running(("127.0.0.1", port), {f":{port}": ":<http>"}, {})


if __name__ == "__main__":
    run.run(Path(__file__).parent, ours, real if os.environ.get("EUREKA_REAL") else None, *sys.argv[1:])
