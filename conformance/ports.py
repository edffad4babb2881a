"""Ports for servers that have to be told theirs beforehand."""

import contextlib
import random
import socket


def free_ports(count, host="127.0.0.1"):
    """Free a moment ago, and below those that the system gives away by itself: no connection takes one in between."""
    with contextlib.ExitStack() as held:
        ports = []
        while len(ports) < count:
            one = held.enter_context(socket.socket())
            with contextlib.suppress(OSError):
                one.bind((host, random.randrange(20_000, 32_000)))
                ports.append(one.getsockname()[1])
        return ports


def free_port(host="127.0.0.1"):
    return free_ports(1, host)[0]
