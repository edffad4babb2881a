"""Runs a command beside a server that has the loopback to itself: for suites whose address is fixed in their source.

    python3 alone.py etcd=2379 -- their-tests --and-options

The network is a namespace of its own where the kernel lets us have one. Where it does not, the port must be free.
Ends with the command's exit code; 77: it could not be started here.
"""

import ctypes
import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CLONE_NEWNET, CLONE_NEWUSER = 0x40000000, 0x10000000
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
NOT_HERE = 77
READY_WITHIN = 90


def own_network():
    """Whether this process has a network of its own from now on."""
    user = os.getuid()
    flags = CLONE_NEWNET if user == 0 else CLONE_NEWNET | CLONE_NEWUSER
    if ctypes.CDLL(None).unshare(flags) != 0:
        return False
    if user != 0:
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sh14x", b"lo", 0)
        flags = struct.unpack("16sh14x", fcntl.ioctl(any_socket, SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", flags | IFF_UP))
    return True


def taken(port):
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def open_port(port):
    try:
        socket.create_connection(("127.0.0.1", port), 2).close()
    except OSError:
        return False
    return True


def main(arguments):
    middle = arguments.index("--")
    places = dict(place.split("=") for place in arguments[:middle])
    if not own_network() and any(taken(int(port)) for port in places.values()):
        print(f"no network of its own, and of {places} not every port is free", file=sys.stderr)
        return NOT_HERE
    data = Path(tempfile.mkdtemp(prefix="alone-"))
    command = [os.environ["SWITCHBOARD_BINARY"], "serve", "--data-dir", str(data / "data"), "--listen", "native=127.0.0.1:0", "--only", "native"]
    for protocol, port in places.items():
        command += ["--only", protocol, "--listen", f"{protocol}=127.0.0.1:{port}"]
    command += os.environ.get("SWITCHBOARD_ALONE_SET", "").split()
    env = {name: value for name, value in os.environ.items() if not name.startswith("SWITCHBOARD_")}
    with (data / "log").open("wb") as log:
        server = subprocess.Popen(command, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + READY_WITHIN
        while not all(open_port(int(port)) for port in places.values()):
            if server.poll() is not None or time.monotonic() > deadline:
                sys.stderr.write((data / "log").read_text(errors="replace")[-2000:])
                return 1
            time.sleep(0.05)
        return subprocess.run(arguments[middle + 1 :], check=False).returncode
    finally:
        server.kill()
        server.wait()
        shutil.rmtree(data, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
