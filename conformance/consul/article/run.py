"""What an article on service discovery does with Consul, as it is printed there: curl, an agent's JSON file, dig.

The Go program of the same article is `../go/article.go`.
"""

import contextlib
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import threading
import time

from oracle.process import folder, running
from ports import free_ports
from tap import check, equal, finish, skip

HERE = pathlib.Path(__file__).parent
BASE = os.environ["SWITCHBOARD_CONSUL_URL"].rstrip("/")
HOST, DNS_PORT = os.environ["SWITCHBOARD_DNS"].rsplit(":", 1)
# Far longer than a probe's interval, on any machine.
PATIENCE = 60


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    if done.returncode:
        raise AssertionError(f"{command[0]} ended with {done.returncode}: {done.stdout} {done.stderr}")
    return done.stdout


def curl(*words):
    return run("curl", "--silent", "--show-error", "--fail-with-body", "--noproxy", "*", "--max-time", "30", *words)


def get(path, base=BASE):
    return json.loads(curl(base + path))


def put(path, *words, base=BASE):
    return curl("-X", "PUT", base + path, *words)


def dig(name, *words, port=DNS_PORT):
    lines = run("dig", f"@{HOST}", "-p", str(port), "+time=15", "+tries=1", "+short", name, *words).splitlines()
    return sorted(lines)


def until(what, expected, ask):
    """Waits for the answer itself; the time is only there so that nothing hangs."""
    deadline = time.monotonic() + PATIENCE
    while (found := ask()) != expected and time.monotonic() < deadline:
        time.sleep(0.05)
    equal(found, expected, what)


def own_checks(service, base=BASE):
    entries = get(f"/v1/health/service/{service}", base)
    own = [one for entry in entries for one in entry["Checks"] if one["ServiceID"]]
    return [(one["CheckID"], one["Type"], one["Status"]) for one in own]


class Healthy(http.server.BaseHTTPRequestHandler):
    """The service: it is well at /health and knows nothing else."""

    asked = []

    def do_GET(self):
        self.asked.append((self.path, self.headers["User-Agent"]))
        self.send_response(200 if self.path == "/health" else 404)
        self.send_header("Content-Length", "2")
        self.end_headers()
        with contextlib.suppress(OSError):  # whoever asked may have heard enough
            self.wfile.write(b"OK")

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def healthy():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Healthy)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def register():
    equal(put("/v1/agent/service/register", "-d", f"@{HERE / 'web-01.json'}"), "", "the answer")
    web = get("/v1/agent/services")["web-01"]
    equal((web["Service"], web["Address"], web["Port"], web["Tags"]), ("web", "10.0.0.10", 8080, ["v1"]), "web-01")


def probed():
    equal(own_checks("web"), [("service:web-01", "http", "critical")], "its check before anything was heard of it")
    equal(get("/v1/health/service/web?passing"), [], "passing instances")
    with healthy() as port:
        body = json.loads((HERE / "web-01.json").read_text())
        body["Check"] = {"HTTP": f"http://127.0.0.1:{port}/health", "Interval": "1s"}
        put("/v1/agent/service/register", "-d", json.dumps(body))
        until("its check", [("service:web-01", "http", "passing")], lambda: own_checks("web"))
        (entry,) = get("/v1/health/service/web?passing")
        equal(entry["Service"]["ID"], "web-01", "the instance that passes")
        equal(Healthy.asked[0], ("/health", "Consul Health Check"), "what is asked, and by whom")
        output = [one["Output"] for one in entry["Checks"] if one["ServiceID"]]
        equal(output, [f"HTTP GET http://127.0.0.1:{port}/health: 200 OK"], "what its check says")
    until("its check when it is gone", [("service:web-01", "http", "critical")], lambda: own_checks("web"))


def deregister():
    equal(put("/v1/agent/service/deregister/web-01"), "", "the answer")
    equal(get("/v1/health/service/web"), [], "what is left")
    equal(get("/v1/health/service/user-service"), [], "a service that nobody registered")


def user_service():
    for number in (100, 101):
        body = {"ID": f"user-service-{number}", "Name": "user-service", "Address": f"192.168.1.{number}", "Port": 8080}
        put("/v1/agent/service/register", "-d", json.dumps(body))
    found = get("/v1/health/service/user-service")
    places = sorted((entry["Service"]["Address"], entry["Service"]["Port"]) for entry in found)
    equal(places, [("192.168.1.100", 8080), ("192.168.1.101", 8080)], "health/service/user-service")


def named():
    equal(dig("user-service.service.consul"), ["192.168.1.100", "192.168.1.101"], "A")
    equal(
        dig("user-service.service.consul", "SRV"),
        ["1 1 8080 c0a80164.addr.dc1.consul.", "1 1 8080 c0a80165.addr.dc1.consul."],
        "SRV",
    )
    put("/v1/agent/service/deregister/user-service-100")
    equal(dig("user-service.service.consul"), ["192.168.1.101"], "A after one left")


@contextlib.contextmanager
def agent(services, place):
    """A server as an agent with service files."""
    http_port, dns_port = free_ports(2)
    command = [os.environ["SWITCHBOARD_BINARY"], "serve", "--data-dir", str(place / "data")]
    command += ["--consul-services", str(services), "--only", "consul", "--listen", f"consul=127.0.0.1:{http_port}"]
    command += ["--only", "dns", "--listen", f"dns=127.0.0.1:{dns_port}"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("SWITCHBOARD_")}
    base = f"http://127.0.0.1:{http_port}"

    def is_ready():
        with contextlib.suppress(AssertionError):
            # The files are read once its node is there.
            return bool(get("/v1/agent/services", base))
        return False

    with running(command, place, env, is_ready):
        yield base, dns_port


def service_file():
    with folder() as place, healthy() as port:
        services = place / "services"
        services.mkdir()
        file = services / "user-service.json"
        text = (HERE / "user-service.json").read_text()
        file.write_text(text)
        with agent(services, place) as (base, dns_port):
            (entry,) = get("/v1/health/service/user-service", base)
            service = entry["Service"]
            equal((service["ID"], service["Port"], service["Tags"]), ("user-service", 8080, ["v1"]), "from the file")
            kinds = [(id_, kind) for id_, kind, _ in own_checks("user-service", base)]
            equal(kinds, [("service:user-service", "http")], "its check")
            replace(file, text.replace("localhost:8080", f"localhost:{port}").replace('"10s"', '"1s"'))
            until("after a change", ["passing"], lambda: [one[2] for one in own_checks("user-service", base)])
            if shutil.which("dig"):
                equal(len(dig("user-service.service.consul", "SRV", port=dns_port)), 1, "SRV of it")
            replace(file, "{ this is no JSON")
            replace(services / "other.json", '{"service": {"name": "other", "port": 9}}')
            until("beside a broken file", ["consul", "other", "user-service"], lambda: sorted(get("/v1/catalog/services", base)))
            file.unlink()
            until("after it is removed", ["consul", "other"], lambda: sorted(get("/v1/catalog/services", base)))


def replace(file, text):
    """At once, as editors and deployments do: never half of it."""
    new = file.with_suffix(".new")
    new.write_text(text)
    new.rename(file)


if shutil.which("curl"):
    check("curl registers web-01 with its HTTP check", register)
    check("its check decides whether it passes", probed)
    check("curl deregisters it", deregister)
    check("health/service/user-service", user_service)
    if shutil.which("dig"):
        check("dig finds user-service", named)
    else:
        skip("dig finds user-service", "dig is not installed")
    check("an agent's JSON file, changed, broken and removed", service_file)
else:
    skip("the article", "curl is not installed")
finish()
