"""Programs of Spring's and Netflix's users, unmodified: a Spring Boot application, Spring Cloud Gateway, and Netflix's client.

Our own gateway stands beside Spring's and has to give the same answers."""

import base64
import contextlib
import http.server
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

os.environ["NO_PROXY"] = "*"

import httpx
from maven import Missing, Program, build
from ports import free_port
from tap import check, equal, finish, report, skip

EUREKA = os.environ["SWITCHBOARD_EUREKA_URL"]
SCRATCH = Path(os.environ["SWITCHBOARD_CONFORMANCE_DIR"])
PATIENCE = 60
NAMES = ["a Spring application", "Spring Cloud Gateway", "Netflix's client"]
# How they are registered whom both gateways have to find.
THROUGH = ["through-consul", "through-etcd", "through-native", "through-eureka"]
# What is asked of each of them, by both gateways. No name comes twice in a query: Spring's puts its values side by side, and we
# pass a query on as it came.
ASKED = [
    ("GET", ""), ("GET", "/"), ("GET", "/hello"), ("GET", "/a/b/c/"), ("GET", "/a%20b?x=1&y=%2F&z="), ("GET", "/%C3%BC"),
    ("HEAD", "/hello"), ("POST", "/orders?id=7"), ("PUT", "/orders/7"), ("PATCH", "/orders/7"), ("DELETE", "/orders/7"),
    ("OPTIONS", "/orders"), ("GET", "/status/201"), ("GET", "/status/204"), ("GET", "/status/302"), ("GET", "/status/404"),
    ("GET", "/status/418"), ("GET", "/status/500"), ("GET", "/status/503"),
]


def client(url):
    return httpx.Client(base_url=url, timeout=15, trust_env=False)


native, consul = client(os.environ["SWITCHBOARD_URL"]), client(os.environ["SWITCHBOARD_CONSUL_URL"])
eureka = client(EUREKA + "/eureka/")
etcd = client("http://" + os.environ["SWITCHBOARD_ETCD"])
ours = client(os.environ["SWITCHBOARD_GATEWAY_URL"])


def until(what, found):
    """Whatever it last found, once it is true: these clients poll."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with contextlib.suppress(httpx.HTTPError, ValueError):
            if last := found():
                return last
        if time.monotonic() > deadline:
            raise AssertionError(f"never: {what}")
        time.sleep(0.1)


class Backend(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        said = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        status = int(self.path.removeprefix("/status/")) if self.path.startswith("/status/") else 200
        body = f"{self.server.named} at {self.path}".encode()
        if self.command not in ("GET", "HEAD"):
            body = f"{self.server.named} at {self.path}: {self.command} {said}".encode()
        self.send_response(status)
        self.send_header("X-Said", f"{self.command} {self.server.named}")
        if status == 302:
            self.send_header("Location", "/elsewhere")
        if status != 204:
            self.send_header("Content-Type", "text/plain")
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD" and status != 204:
            self.wfile.write(body)

    do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_GET

    def log_message(self, *_):
        pass


def backend(name):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Backend)
    server.named = name
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


BY_CONSUL, BY_NATIVE = backend("the one by Consul"), backend("the one by the native API")


def register_elsewhere():
    body = {"ID": "user-1", "Name": "user-service", "Address": "127.0.0.1", "Port": BY_CONSUL}
    equal(consul.put("/v1/agent/service/register", json=body).status_code, 200, "by Consul")
    body = {"service": "by-native", "host": "10.4.0.1", "port": 8080}
    equal(native.post("/v1/register", json=body).status_code, 200, "by the native API")
    ports = {name: backend(name) for name in THROUGH}
    body = {"ID": "c1", "Name": "through-consul", "Address": "127.0.0.1", "Port": ports["through-consul"]}
    equal(consul.put("/v1/agent/service/register", json=body).status_code, 200, "by Consul")
    pair = {"key": "/services/through-etcd/e1", "value": f"127.0.0.1:{ports['through-etcd']}"}
    pair = {name: base64.b64encode(text.encode()).decode() for name, text in pair.items()}
    equal(etcd.post("/v3/kv/put", json=pair).status_code, 200, "by a key of etcd")
    body = {"service": "through-native", "host": "127.0.0.1", "port": ports["through-native"]}
    equal(native.post("/v1/register", json=body).status_code, 200, "by the native API")
    body = {
        "instanceId": "r1", "hostName": "127.0.0.1", "app": "THROUGH-EUREKA", "ipAddr": "127.0.0.1", "vipAddress": "through-eureka",
        "port": {"$": ports["through-eureka"], "@enabled": "true"}, "status": "UP", "dataCenterInfo": {"name": "MyOwn"},
    }
    equal(eureka.post("apps/THROUGH-EUREKA", json={"instance": body}).status_code, 204, "by Eureka")


def start(place, name, port, *more):
    settings = {
        "server.port": port,
        "server.address": "127.0.0.1",
        "spring.application.name": f"spring-{name}",
        "eureka.client.service-url.defaultZone": f"{EUREKA}/eureka/",
        # So that nobody waits half a minute for what works.
        "eureka.client.registry-fetch-interval-seconds": 1,
        "eureka.client.initial-instance-info-replication-interval-seconds": 0,
        "eureka.instance.lease-renewal-interval-in-seconds": 1,
        "eureka.instance.lease-expiration-duration-in-seconds": 5,
        "eureka.instance.hostname": "127.0.0.1",
        "spring.cloud.loadbalancer.cache.enabled": "false",
        "spring.main.banner-mode": "off",
        "spring.jmx.enabled": "false",
    }
    arguments = [f"--{key}={value}" for key, value in settings.items()]
    return Program(place / name / "target" / f"{name}.jar", [*arguments, *more], SCRATCH / f"eureka-{name}.log")


def statuses(app):
    answer = eureka.get(f"apps/{app}", headers={"Accept": "application/json"})
    return [] if answer.status_code == 404 else [one["status"] for one in answer.json()["application"]["instance"]]


def served(service):
    return [entry["Service"]["Port"] for entry in consul.get(f"/v1/health/service/{service}?passing").json()]


def app_registers(app, port):
    app.wait_until(lambda: statuses("SPRING-APP") == ["UP"])
    equal(served("spring-app"), [port], "by Consul")
    # Longer than its lease: its heartbeats keep it.
    time.sleep(6)
    equal(served("spring-app"), [port], "after its lease")


def app_discovers(port):
    at = client(f"http://127.0.0.1:{port}")

    def found():
        return sorted(one["uri"] for one in at.get("/instances/user-service").json())

    one, two = f"http://127.0.0.1:{BY_CONSUL}", f"http://127.0.0.1:{BY_NATIVE}"
    until("it finds what Consul registered", lambda: found() == [one])
    body = {"service": "User-Service", "id": "user-2", "host": "127.0.0.1", "port": BY_NATIVE}
    native.post("/v1/register", json=body)
    until("a delta tells it what the native API registered", lambda: found() == sorted([one, two]))
    missing = {"by-native", "spring-app", "user-service"} - set(at.get("/services").json())
    equal(missing, set(), "missing of its services")


def gateway_routes(gateway, port):
    at = client(f"http://127.0.0.1:{port}")

    def answers(n=8):
        return {at.get("/user-service/hello").text for _ in range(n)}

    one, two = "the one by Consul at /hello", "the one by the native API at /hello"
    gateway.wait_until(lambda: at.get("/user-service/hello").status_code == 200)
    until("both are used", lambda: answers() == {one, two})
    consul.put("/v1/agent/service/maintenance/user-1?enable=true")
    until("one is in maintenance", lambda: answers() == {two})
    consul.put("/v1/agent/service/maintenance/user-1?enable=false")
    until("it is back", lambda: answers() == {one, two})
    equal(at.get("/spring-app/hello").text, "hello from spring-app", "the Spring application")
    equal(at.get("/nobody/hello").status_code, 404, "nobody")


def said(at, method, path):
    """What a client is told: not in which order, nor by whom it was sent on."""
    body = "a body" if method in ("POST", "PUT", "PATCH") else None
    answer = at.request(method, path, content=body)
    heads = {name: answer.headers.get(name) for name in ("content-type", "content-length", "location", "x-said")}
    return answer.status_code, heads, answer.text


def gateways_alike(name, port):
    theirs = client(f"http://127.0.0.1:{port}")
    until("Spring's gateway has heard of it", lambda: theirs.get(f"/{name}/hello").status_code == 200)
    for method, path in ASKED:
        expected = said(theirs, method, f"/{name}{path}")
        if expected[0] == 200:
            equal((name in expected[1]["x-said"], expected[1]["x-said"].split()[0]), (True, method), "who answers Spring's")
        equal(said(ours, method, f"/{name}{path}"), expected, f"{method} {path!r}")


def gateways_balance_alike(port):
    """Both go to both instances, and to those that are in service only."""
    theirs = client(f"http://127.0.0.1:{port}")
    for out in (None, "user-1", None):
        if out:
            consul.put(f"/v1/agent/service/maintenance/{out}?enable=true")
        else:
            consul.put("/v1/agent/service/maintenance/user-1?enable=false")
        expected = {"the one by the native API at /hello"} | (set() if out else {"the one by Consul at /hello"})
        for who, at in (("Spring's", theirs), ("ours", ours)):
            until(f"{who} goes to {expected}", lambda at=at: {at.get("/user-service/hello").text for _ in range(8)} == expected)
    for who, at in (("Spring's", theirs), ("ours", ours)):
        equal(at.get("/nobody/hello").status_code, 404, f"{who} of nobody")


def stops(program, app):
    program.stop()
    equal(statuses(app), [], "after it has stopped")


def bare(place):
    """Its program prints the lines of a driver itself."""
    command = ["java", "-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-jar", str(place / "bare/target/bare.jar")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
    (SCRATCH / "eureka-bare.log").write_text(done.stdout + done.stderr)
    lines = [line for line in done.stdout.splitlines() if line.startswith(("ok - ", "not ok - "))]
    for line in lines:
        name, _, why = line.removeprefix("not ").removeprefix("ok - ").partition(": ")
        report(f"Netflix's client: {name}", why)
    if not lines:
        report("Netflix's client", "it ended without a word: " + " / ".join(done.stderr.splitlines()[-3:]))


def main():
    try:
        place = build(Path(__file__).parent / "java")
    except Missing as missing:
        for name in NAMES:
            skip(name, str(missing))
        return
    check("what others registered is there", register_elsewhere)
    app_port, gateway_port = free_port(), free_port()
    app = start(place, "app", app_port)
    locator = "--spring.cloud.gateway.server.webflux.discovery.locator"
    gateway = start(place, "gateway", gateway_port, f"{locator}.enabled=true", f"{locator}.lower-case-service-id=true")
    try:
        check("a Spring application registers and renews", app_registers, app, app_port)
        check("a Spring application discovers what other protocols registered", app_discovers, app_port)
        check("Spring Cloud Gateway routes to what other protocols registered", gateway_routes, gateway, gateway_port)
        for name in THROUGH:
            check(f"our gateway answers as Spring's does: {name}", gateways_alike, name, gateway_port)
        check("our gateway balances between the same instances", gateways_balance_alike, gateway_port)
        bare(place)
        check("a Spring application deregisters when it stops", stops, app, "SPRING-APP")
        check("Spring Cloud Gateway deregisters when it stops", stops, gateway, "SPRING-GATEWAY")
    finally:
        app.kill()
        gateway.kill()


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    finish()
