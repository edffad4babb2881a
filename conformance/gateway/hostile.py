"""Every request of the corpus, at the gateway: what may not arrive does not, and what arrives is framed one way.

With --full the same at nginx and HAProxy, where they are installed: whatever both refuse, we refuse, too.
"""

import collections
import os
import re
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import urllib.request
from concurrent import futures

import http2
from corpus import corpus
from ports import free_port
from strict import Instance
from tap import check, equal, finish, later, skip

LAST = b"GET /nobody/last HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
QUIET = 0.7
CASES = corpus()
# What both others refuse and we do not, and why that is right.
LAXER = {
    f"both, {coding!r} {place}": "the coding counts, the length is taken off and the connection ends, as RFC 9112 section 6.3 has it"
    for coding in ["CHUNKED", "Chunked"]
    for place in ["first", "last"]
}


def converse(address, data):
    """The statuses of all answers to some bytes and one last request."""
    said = b""
    with socket.create_connection(address, timeout=30) as connection:
        try:
            connection.sendall(data + LAST)
            connection.settimeout(QUIET)
            while part := connection.recv(65536):
                said += part
        except OSError:
            pass
    return [int(status) for status in re.findall(rb"HTTP/1\.[01] (\d{3})", said)]


class Results:
    def __init__(self, name, address, instance):
        self.name, self.address, self.instance = name, address, instance
        with futures.ThreadPoolExecutor(8) as pool:
            self.statuses = list(pool.map(lambda case: converse(address, case.data), CASES))
        # Whoever is slow to pass one on is given time.
        expected = {number for number, case in enumerate(CASES) if case.verdict == "pass"}
        until = time.monotonic() + 15
        while time.monotonic() < until and not expected <= self.count("c").keys():
            time.sleep(0.05)
        self.arrived, self.smuggled = self.count("c"), self.count("smuggled")

    def count(self, marker):
        found = [re.match(rf"/*{marker}(\d+)", path) for path in self.instance.paths()]
        return collections.Counter(int(match[1]) for match in found if match)

    def refused(self, number):
        return not self.arrived[number] and not self.smuggled[number]


def ours():
    instance = Instance()
    url = os.environ["SWITCHBOARD_URL"]
    body = f'{{"service":"users","id":"strict","host":"127.0.0.1","port":{instance.port}}}'.encode()
    request = urllib.request.Request(f"{url}/v1/register", body, {"content-type": "application/json"})
    equal(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=15).status, 200, "register")
    host, port = os.environ["SWITCHBOARD_GATEWAY_URL"].removeprefix("http://").rsplit(":", 1)
    address = (host, int(port))
    wait(lambda: converse(address, b"GET /users/hello HTTP/1.1\r\nhost: x\r\n\r\n")[:1] == [200], "it is not routed to")
    return Results("switchboard", address, instance)


def wait(holds, what):
    until = time.monotonic() + 30
    while not holds():
        if time.monotonic() > until:
            raise AssertionError(f"{what} within 30 s")
        time.sleep(0.02)


def judge(results, family):
    bad = []
    for number, case in enumerate(CASES):
        if case.family != family:
            continue
        arrived, statuses, wrong = results.arrived[number], results.statuses[number], []
        if case.verdict == "refuse" and arrived:
            wrong.append("it arrived")
        if case.verdict == "pass" and arrived != 1:
            wrong.append(f"it arrived {arrived} times")
        if arrived > 1:
            wrong.append("it arrived twice")
        if results.smuggled[number] and not case.pipelined:
            wrong.append("the request within it arrived")
        if case.verdict == "refuse" and case.closes and len(statuses) > 1:
            wrong.append("the connection went on")
        if case.verdict == "refuse" and not case.closes and any(status < 400 for status in statuses):
            wrong.append("it was answered")
        if wrong:
            bad.append(f"{case.what[:80]} ({', '.join(wrong)}; {statuses})")
    if bad:
        raise AssertionError(f"{len(bad)}: " + "; ".join(bad[:12]))


def over_http2(results):
    with futures.ThreadPoolExecutor(8) as pool:
        ends = list(pool.map(lambda number: http2.converse(results.address, number), range(len(http2.CASES))))
    bad, arrived = [], results.count("h")
    for number, (verdict, fields, body, trailers, pseudo) in enumerate(http2.CASES):
        if arrived[number] > 1 or {"pass": 0, "refuse": 1}.get(verdict) == arrived[number]:
            bad.append(f"{number} {fields[:2]} {trailers} {pseudo} arrived {arrived[number]} times ({ends[number]})")
    equal(bad, [], "over HTTP/2")
    equal([path for path in results.instance.paths() if path == "/smuggled"], [], "requests within requests")


def strictly(results):
    equal(results.instance.wrong[:5], [], "what the instance could not read")


def nginx(folder, port, to):
    with open(f"{folder}/nginx.conf", "w") as file:
        file.write(
            f"daemon off; master_process off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;\n"
            f"events {{ worker_connections 1024; }}\nhttp {{ access_log off; client_body_temp_path {folder}/a; proxy_temp_path {folder}/b;\n"
            f"server {{ listen 127.0.0.1:{port}; location / {{ return 404; }}\n"
            f'location /users/ {{ proxy_pass http://127.0.0.1:{to}/; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_request_buffering off; }} }} }}\n'
        )
    return ["nginx", "-c", f"{folder}/nginx.conf"]


def haproxy(folder, port, to):
    with open(f"{folder}/haproxy.cfg", "w") as file:
        file.write(
            "global\n  maxconn 1000\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 30s\n  timeout server 30s\n  http-reuse always\n"
            f"frontend front\n  bind 127.0.0.1:{port}\n  http-request return status 404 unless {{ path_beg /users/ }}\n  default_backend users\n"
            f"backend users\n  http-request replace-path /users/(.*) /\\1\n  server s 127.0.0.1:{to}\n"
        )
    return ["haproxy", "-db", "-f", f"{folder}/haproxy.cfg"]


def peer(name, configure):
    instance = Instance()
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        address = ("127.0.0.1", free_port())
        process = subprocess.Popen(configure(folder, address[1], instance.port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:

            def up():
                try:
                    return converse(address, b"GET /users/hello HTTP/1.1\r\nhost: x\r\n\r\n")[:1] == [200]
                except OSError:
                    return False

            wait(up, f"{name} does not answer")
            return Results(name, address, instance)
        finally:
            process.terminate()
            process.wait()


def compare(results, others):
    """Whatever both others refuse, we refuse."""
    for each in [results, *others]:
        refused = sum(each.refused(number) for number in range(len(CASES)))
        must = [number for number, case in enumerate(CASES) if case.verdict == "refuse"]
        through = sum(not each.refused(number) for number in must)
        smuggled = sum(each.smuggled[number] > 0 and not case.pipelined for number, case in enumerate(CASES))
        print(
            f"# {each.name}: {refused} of {len(CASES)} refused; of {len(must)} that should be {through} got through; "
            f"{smuggled} smuggled; {len(each.instance.wrong)} passed on that a strict reader cannot read"
        )
    laxer = [case.what for number, case in enumerate(CASES) if not results.refused(number) and all(other.refused(number) for other in others)]
    equal([what for what in laxer if what not in LAXER], [], "both others refuse these")


def main():
    results = check(f"{len(CASES)} hostile requests", ours)
    if results:
        for family in dict.fromkeys(case.family for case in CASES):
            check(f"{sum(case.family == family for case in CASES)} about the {family}", judge, results, family)
        check(f"{len(http2.CASES)} over HTTP/2", over_http2, results)
        check("what arrives is framed one way", strictly, results)
        compared = "whatever both others refuse is refused"
        missing = [name for name in ("nginx", "haproxy") if not shutil.which(name)]
        if not os.environ.get("SWITCHBOARD_CONFORMANCE_FULL"):
            later(compared)
        elif missing:
            skip(compared, f"not installed: {', '.join(missing)}")
        else:
            others = [peer("nginx", nginx), peer("haproxy", haproxy)]
            check(compared, compare, results, others)
    finish()


if __name__ == "__main__":
    main()
