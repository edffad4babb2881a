"""Stands in for the program `etcd`, so that suites which start one by name start ours: one member, without TLS.

The flags that change nothing in a registry that is one server are taken and left; others are said to be unknown.
"""

import os
import signal
import socket
import subprocess
import sys
import time
from urllib.parse import urlparse

# The release whose tests these are.
VERSION = "3.7.3"
WITHOUT_EFFECT = {
    "advertise-client-urls", "bcrypt-cost", "feature-gates", "force-new-cluster", "initial-advertise-peer-urls", "initial-cluster",
    "initial-cluster-state", "initial-cluster-token", "listen-peer-urls", "log-level", "snapshot-catchup-entries", "snapshot-count",
    "strict-reconfig-check", "watch-progress-notify-interval",
}  # fmt: skip


def options(arguments):
    found = {}
    rest = iter(arguments)
    for word in rest:
        name, equals, value = word.lstrip("-").partition("=")
        found[name] = value if equals else next(rest, "")
    return found


def command(found):
    client = urlparse(found.pop("listen-client-urls").split(",")[0])
    if client.scheme != "http":
        sys.exit("etcd: this stands in for a server without TLS")
    name, data = found.pop("name", "default"), found.pop("data-dir")
    words = [os.environ["SWITCHBOARD_BINARY"], "serve", "--data-dir", data, "--only", "etcd"]
    words += ["--listen", f"etcd=127.0.0.1:{client.port}", "--set", f"etcd.name={name}"]
    words += ["--set", f'etcd.advertise=["{client.geturl()}"]']
    if "auth-token-ttl" in found:
        words += ["--set", f"etcd.auth_token_ttl={found.pop('auth-token-ttl')}s"]
    if "auth-token" in found:
        words += ["--set", f"etcd.auth_token={found.pop('auth-token')}"]
    if "quota-backend-bytes" in found:
        words += ["--set", f"etcd.quota_bytes={found.pop('quota-backend-bytes')}"]
    for name in sorted(found.keys() - WITHOUT_EFFECT):
        print(f"etcd: --{name}={found[name]} is not something this stand-in can pass on", file=sys.stderr)
    return words, client.port


def main(arguments):
    if arguments == ["--version"]:
        print(f"etcd Version: {VERSION}\nGit SHA: stand-in\nGo Version: none\nGo OS/Arch: none")
        return 0
    words, port = command(options(arguments))
    env = {name: value for name, value in os.environ.items() if not name.startswith(("SWITCHBOARD_", "ETCD_"))}
    server = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *words], env=env, stdin=subprocess.DEVNULL)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _: server.send_signal(got))
    while server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            break
        except OSError:
            time.sleep(0.02)
    # What the suites wait for.
    print('{"level":"info","msg":"ready to serve client requests"}', file=sys.stderr, flush=True)
    code = server.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
