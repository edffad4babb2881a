"""Consul's answers and ours to the same requests.

By hand, with the real one: CONSUL_BIN=... SWITCHBOARD_BINARY=... PYTHONPATH=conformance python3 conformance/consul/oracle/run.py [SCRIPT]
"""

import contextlib
import http.client
import http.server
import json
import os
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from oracle import run
from oracle.process import folder, running
from ports import free_ports

NODE = "oracle"
NODE_ID = "0ac1e000-0000-4000-8000-000000000001"
# The last version of Consul whose every module is open source.
VERSION = "1.14.11"


@dataclass
class Running:
    address: tuple
    # What this run has that no other has, and what to say instead.
    words: dict
    # What scripts may use.
    known: dict
    fixed: tuple = (NODE_ID,)
    index_header: str = "x-consul-index"
    opaque: tuple = ("x-consul-contenthash", "ContentHash")
    # Made of the last event's id.
    unordered: str = "/v1/event/"


class Target(http.server.BaseHTTPRequestHandler):
    """What checks probe: /200, /429, /503 and so on answer with that status."""

    def do_GET(self):
        status = int(self.path[1:4])
        body = f"{status} it is\n".encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):  # whoever asked may have heard enough
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def target():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Target)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def real():
    with folder() as place, target() as probed:
        http_port, rpc, serf, closed = free_ports(4)
        config = {
            "node_name": NODE,
            "node_id": NODE_ID,
            "node_meta": {"rack": "r1"},
            "server": True,
            "bootstrap": True,
            "data_dir": str(place / "data"),
            "bind_addr": "127.0.0.1",
            "client_addr": "127.0.0.1",
            "log_level": "warn",
            "disable_update_check": True,
            "performance": {"raft_multiplier": 1},
            "connect": {"enabled": False},
            "ports": {
                **{"http": http_port, "server": rpc, "serf_lan": serf},
                **dict.fromkeys(["serf_wan", "dns", "grpc", "grpc_tls"], -1),
            },
        }
        (place / "config.json").write_text(json.dumps(config))
        command = [os.environ["CONSUL_BIN"], "agent", "-config-file", str(place / "config.json")]
        words = {f":{http_port}": ":<http>", f":{rpc}": ":<rpc>", f":{serf}": ":<serf>"}
        with running(command, place, dict(os.environ), lambda: is_settled(http_port)):
            touch_own_node(http_port)
            yield answering(http_port, probed, closed, words)


def touch_own_node(port):
    """Whether its agent wrote its node once or twice while it started is chance; so it is written twice in any case."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/v1/catalog/node/" + NODE)
        node = json.loads(connection.getresponse().read())["Node"]
        for meta in ({**node["Meta"], "touched": "yes"}, node["Meta"]):
            body = {key: node[key] for key in ("ID", "Node", "Address", "TaggedAddresses")}
            connection.request("PUT", "/v1/catalog/register", json.dumps({**body, "NodeMeta": meta}))
            connection.getresponse().read()
    finally:
        connection.close()


def is_settled(port):
    """There is a leader, and the server has registered itself."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/v1/health/node/" + NODE)
        health = json.loads(connection.getresponse().read())
        connection.request("GET", "/v1/catalog/node/" + NODE)
        node = json.loads(connection.getresponse().read())
        connection.request("GET", "/v1/catalog/services")
        services = json.loads(connection.getresponse().read())
    finally:
        connection.close()
    # What it says of itself arrives in the catalogue some time after its service.
    is_whole = node is not None and (node["Node"]["Meta"] or {}).get("rack") == "r1"
    return is_whole and bool(health) and health[0]["Status"] == "passing" and "consul" in services


@contextlib.contextmanager
def ours():
    with folder() as place, target() as probed:
        http_port, closed = free_ports(2)
        config = f"""
            [consul]
            node_name = "{NODE}"
            node_id = "{NODE_ID}"
            node_meta = {{ rack = "r1" }}
            version = "{VERSION}"

            [health]
            show_bodies = true
        """
        (place / "switchboard.toml").write_text(config)
        command = [os.environ["SWITCHBOARD_BINARY"], "serve", "--config", str(place / "switchboard.toml")]
        command += ["--data-dir", str(place / "data"), "--only", "consul", "--listen", f"consul=127.0.0.1:{http_port}"]
        # The server reads such variables as its configuration; what is set for this program is not meant for it.
        env = {name: value for name, value in os.environ.items() if not name.startswith("SWITCHBOARD_")}
        with running(command, place, env, lambda: is_settled(http_port)):
            yield answering(http_port, probed, closed, {f":{http_port}": ":<http>"})


def answering(port, probed, closed, words):
    """`${target}` answers probes, and at `${closed}` nobody listens."""
    words = {**words, f":{probed}": ":<target>", f":{closed}": ":<closed>"}
    return Running(("127.0.0.1", port), words, {"target": f"127.0.0.1:{probed}", "closed": f"127.0.0.1:{closed}"})


if __name__ == "__main__":
    here = Path(__file__).parent
    run.run(here, ours, real if os.environ.get("CONSUL_BIN") else None, *sys.argv[1:])
