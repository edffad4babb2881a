"""Stands in for the program `etcd`, so that suites which start one by name start ours, with TLS or without.

Of several members the first is a server; the others are doors to it. The flags that change nothing in a registry that is one server are
taken and left; others are said to be unknown.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from urllib.parse import urlparse

# The release whose tests these are.
VERSION = "3.7.3"
WITHOUT_EFFECT = {
    "advertise-client-urls", "bcrypt-cost", "feature-gates", "force-new-cluster", "initial-advertise-peer-urls", "initial-cluster",
    "initial-cluster-state", "initial-cluster-token", "listen-peer-urls", "log-level", "peer-auto-tls", "peer-cert-file",
    "peer-client-cert-auth", "peer-key-file", "peer-trusted-ca-file", "snapshot-catchup-entries", "snapshot-count", "strict-reconfig-check",
}  # fmt: skip


def options(arguments):
    found = {}
    rest = list(arguments)
    while rest:
        name, equals, value = rest.pop(0).lstrip("-").partition("=")
        if not equals:
            value = rest.pop(0) if rest and not rest[0].startswith("--") else "true"
        found[name] = value
    return found


def command(found):
    client = urlparse(found.pop("listen-client-urls").split(",")[0])
    name, data = found.pop("name", "default"), found.pop("data-dir")
    words = [os.environ["SWITCHBOARD_BINARY"], "serve", "--data-dir", data, "--only", "etcd"]
    words += ["--listen", f"etcd=127.0.0.1:{client.port}", "--set", f"etcd.name={name}"]
    words += ["--set", f'etcd.advertise=["{client.geturl()}"]']
    if client.scheme == "https":
        files = [("certificate", found.pop("cert-file")), ("key", found.pop("key-file"))]
        ca = found.pop("trusted-ca-file", None)
        if found.pop("client-cert-auth", "false") == "true":
            files.append(("client_ca", ca))
        words += ["--set", "etcd.tls={ %s }" % ", ".join(f'{what} = "{file}"' for what, file in files)]
    if "auth-token-ttl" in found:
        words += ["--set", f"etcd.auth_token_ttl={found.pop('auth-token-ttl')}s"]
    if "watch-progress-notify-interval" in found:
        words += ["--set", f"etcd.progress_interval={found.pop('watch-progress-notify-interval')}"]
    if "max-txn-ops" in found:
        words += ["--set", f"etcd.max_txn_ops={found.pop('max-txn-ops')}"]
    if "auth-token" in found:
        words += ["--set", f"etcd.auth_token={found.pop('auth-token')}"]
    if "quota-backend-bytes" in found:
        words += ["--set", f"etcd.quota_bytes={found.pop('quota-backend-bytes')}"]
    for name in sorted(found.keys() - WITHOUT_EFFECT):
        print(f"etcd: --{name}={found[name]} is not something this stand-in can pass on", file=sys.stderr)
    return words, client.port


def behind(found):
    """The port of the member that this one is a door to; None: it is the first. The suites give a member's clients the port before its peers'."""
    members = [member.partition("=")[::2] for member in found.get("initial-cluster", "").split(",")]
    if len(members) < 2 or members[0][0] == found.get("name"):
        return None
    return urlparse(members[0][1]).port - 1


def door(port, to):
    listener = socket.create_server(("127.0.0.1", port))
    wait_for(to, lambda: True)
    ready()
    while True:
        client, _ = listener.accept()
        try:
            server = socket.create_connection(("127.0.0.1", to), 5)
        except OSError:
            client.close()
            continue
        for ends in ((client, server), (server, client)):
            threading.Thread(target=pass_on, args=ends, daemon=True).start()


def pass_on(one, other):
    try:
        while data := one.recv(65536):
            other.sendall(data)
    except OSError:
        pass
    for end in (one, other):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def wait_for(port, lives):
    while lives():
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.02)


def ready():
    # What the suites wait for.
    print('{"level":"info","msg":"ready to serve client requests"}', file=sys.stderr, flush=True)


def main(arguments):
    if arguments == ["--version"]:
        print(f"etcd Version: {VERSION}\nGit SHA: stand-in\nGo Version: none\nGo OS/Arch: none")
        return 0
    found = options(arguments)
    first = behind(found)
    if first:
        return door(urlparse(found["listen-client-urls"].split(",")[0]).port, first)
    words, port = command(found)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("SWITCHBOARD_", "ETCD_"))}
    server = subprocess.Popen(["setpriv", "--pdeathsig", "KILL", "--", *words], env=env, stdin=subprocess.DEVNULL)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _: server.send_signal(got))
    wait_for(port, lambda: server.poll() is None)
    ready()
    code = server.wait()
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
