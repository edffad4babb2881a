"""Consul's HTTP API as its users have it: curl's requests from an article on service discovery, and py-consul, unmodified."""

import os
import threading
import time

os.environ["NO_PROXY"] = "*"

import consul
import httpx
from tap import check, equal, finish

URL = os.environ["SWITCHBOARD_CONSUL_URL"]
NATIVE = os.environ["SWITCHBOARD_URL"]
HOST, PORT = URL.removeprefix("http://").rsplit(":", 1)
http = httpx.Client(base_url=URL, timeout=15, trust_env=False)
native = httpx.Client(base_url=NATIVE, timeout=15, trust_env=False)
client = consul.Consul(host=HOST, port=int(PORT))


def ids(entries):
    return sorted(entry["Service"]["ID"] for entry in entries)


def article():
    body = {
        "ID": "web-01", "Name": "web", "Tags": ["v1"], "Address": "10.0.0.10", "Port": 8080,
        "Check": {"HTTP": "http://127.0.0.1:9/health", "Interval": "10s"},
    }
    response = http.put("/v1/agent/service/register", json=body)
    equal((response.status_code, response.text), (200, ""), "register")
    found = http.get("/v1/health/service/web").json()
    equal(ids(found), ["web-01"], "instances")
    equal([c["CheckID"] for c in found[0]["Checks"]], ["serfHealth", "service:web-01"], "checks")
    equal(http.get("/v1/health/service/web?passing").json(), [], "passing before the first probe")
    equal(http.get("/v1/catalog/services").json()["web"], ["v1"], "tags")
    equal(http.put("/v1/agent/service/deregister/web-01").status_code, 200, "deregister")
    equal(http.get("/v1/health/service/web").json(), [], "after it")


def headers():
    response = http.get("/v1/health/service/nobody")
    equal(response.text, "[]", "body")
    for name, expected in [("X-Consul-KnownLeader", "true"), ("X-Consul-LastContact", "0")]:
        equal(response.headers[name], expected, name)
    if int(response.headers["X-Consul-Index"]) < 1:
        raise AssertionError("an index of 0 makes clients spin")


def ttl():
    agent = client.agent
    if not agent.service.register("billing", service_id="billing-1", port=81, check=consul.Check.ttl("30s")):
        raise AssertionError("not registered")
    equal(client.health.service("billing", passing=True)[1], [], "critical until somebody says otherwise")
    agent.check.ttl_pass("service:billing-1", "fine")
    _, found = client.health.service("billing", passing=True)
    equal(ids(found), ["billing-1"], "passing")
    equal([c["Output"] for c in found[0]["Checks"] if c["CheckID"] == "service:billing-1"], ["fine"], "output")
    index = int(http.get("/v1/health/service/billing").headers["X-Consul-Index"])
    agent.check.ttl_pass("service:billing-1", "still fine")
    equal(int(http.get("/v1/health/service/billing").headers["X-Consul-Index"]), index, "index after a heartbeat")
    agent.check.ttl_fail("service:billing-1", "no")
    equal(client.health.service("billing", passing=True)[1], [], "after it failed")
    equal(http.get("/v1/agent/health/service/id/billing-1").status_code, 503, "status by id")
    equal(client.agent.services()["billing-1"]["Port"], 81, "agent/services")
    agent.service.deregister("billing-1")


def blocking():
    client.agent.service.register("web", service_id="web-1", address="10.0.0.1", port=80)
    index, found = client.health.service("web")
    equal(ids(found), ["web-1"], "before")
    answers = []

    def wait():
        answers.append(consul.Consul(host=HOST, port=int(PORT)).health.service("web", index=index, wait="30s"))

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.3)
    # Nothing of it is about this service.
    client.agent.service.register("other", service_id="other-1", port=80)
    client.agent.service.register("web", service_id="web-1", address="10.0.0.1", port=80)
    time.sleep(0.3)
    equal(answers, [], "answers before anything changed")
    client.agent.service.register("web", service_id="web-2", address="10.0.0.2", port=80)
    waiting.join(20)
    equal(ids(answers[0][1]), ["web-1", "web-2"], "after")
    if int(answers[0][0]) <= int(index):
        raise AssertionError(f"the index stayed at {index}")


def catalog():
    if not client.catalog.register("ext-1", "192.0.2.7", service={"Service": "db", "Port": 5432, "Tags": ["primary"]},
                                   check={"Name": "up", "Status": "passing", "ServiceID": "db"}):
        raise AssertionError("not registered")
    _, rows = client.catalog.service("db")
    equal([(r["Node"], r["Address"], r["ServicePort"]) for r in rows], [("ext-1", "192.0.2.7", 5432)], "rows")
    equal(sorted(client.catalog.node("ext-1")[1]["Services"]), ["db"], "on the node")
    equal([c["CheckID"] for c in client.health.state("passing")[1] if c["Node"] == "ext-1"], ["up"], "state/passing")
    if "ext-1" not in [node["Node"] for node in client.catalog.nodes()[1]]:
        raise AssertionError("catalog/nodes does not name it")
    client.catalog.deregister("ext-1")
    equal(client.catalog.service("db")[1], [], "after it")
    equal(client.catalog.node("ext-1")[1], None, "the node after it")


def maintenance():
    client.agent.service.register("web", service_id="web-9", port=80)
    client.agent.service.maintenance("web-9", "true", "upgrade")
    state = native.get("/v1/instances/web-9").json()
    equal(state["instance"]["lifecycle"] if "instance" in state else state["lifecycle"], "out_of_service", "natively")
    checks = {c["CheckID"]: c["Notes"] for c in client.health.checks("web")[1]}
    equal(checks["_service_maintenance:web-9"], "upgrade", "reason")
    client.agent.service.maintenance("web-9", "false")
    equal([c for c in client.health.checks("web")[1] if c["ServiceID"] == "web-9"], [], "after it")
    client.agent.service.deregister("web-9")


def across():
    body = {"service": "user-service", "host": "192.168.1.100", "port": 8080, "metadata": {"version": "v1.2"}, "ttl": 30}
    id_ = native.post("/v1/register", json=body).json()["id"]
    _, found = client.health.service("user-service", passing=True)
    equal([(e["Service"]["Address"], e["Service"]["Port"], e["Service"]["Meta"]) for e in found],
          [("192.168.1.100", 8080, {"version": "v1.2"})], "a native instance")
    node, service = found[0]["Node"], found[0]["Service"]
    before = native.get("/v1/status").json()["revision"]
    again = {"Node": node["Node"], "Address": node["Address"], "Service": service}
    equal(http.put("/v1/catalog/register", json=again).text, "true", "writing it back")
    equal(native.get("/v1/status").json()["revision"], before, "revision after writing back what was read")
    client.agent.service.register("user-service", service_id="mine", address="10.1.1.1", port=9)
    answer = native.get("/v1/services/user-service").json()
    equal(sorted(i["host"] for i in answer["instances"]), ["10.1.1.1", "192.168.1.100"], "natively")
    native.delete(f"/v1/instances/{id_}")
    client.agent.service.deregister("mine")
    equal(client.health.service("user-service")[1], [], "after both left")


def lock():
    kv, sessions = client.kv, client.session
    first, second = (sessions.create(name=name, ttl=30, lock_delay=0) for name in ("first", "second"))
    equal(kv.put("leader", "first", acquire=first), True, "the first acquires")
    equal(kv.put("leader", "second", acquire=second), False, "the second does not")
    index, held = kv.get("leader")
    equal((held["Session"], held["Value"], held["LockIndex"]), (first, b"first", 1), "who holds it")
    answers = []

    def wait():
        answers.append(consul.Consul(host=HOST, port=int(PORT)).kv.get("leader", index=index, wait="30s"))

    waiting = threading.Thread(target=wait)
    waiting.start()
    sessions.destroy(first)
    waiting.join(20)
    equal(answers[0][1].get("Session"), None, "after its session ended")
    equal(kv.put("leader", "second", acquire=second), True, "then the second acquires")
    equal(sessions.renew(second)["ID"], second, "it renews")
    equal(kv.put("leader", "", release=second), True, "it releases")
    equal(kv.get("leader")[1]["LockIndex"], 2, "how often it was held")
    equal(kv.delete("leader"), True, "the key goes")
    equal(kv.get("leader")[1], None, "and is gone")
    sessions.destroy(second)
    equal([one["ID"] for one in sessions.list()[1] if one["ID"] in (first, second)], [], "sessions that are left")


def errors():
    for method, path, body, status, text in [
        ("PUT", "/v1/agent/service/register", "{", 400, "Request decode failed: "),
        ("PUT", "/v1/agent/service/register", '{"Nam":"x"}', 400, 'Request decode failed: json: unknown field "Nam"'),
        ("PUT", "/v1/agent/service/register", "{}", 400, "Missing service name"),
        ("PUT", "/v1/agent/service/register", '{"Name":"x","Address":"0.0.0.0"}', 400, "Invalid service address"),
        ("PUT", "/v1/agent/service/register", '{"Name":"x","Check":{"HTTP":"http://x"}}', 400, "Invalid check: Interval must be > 0"),
        ("PUT", "/v1/agent/check/register", '{"Name":"x","ServiceID":"no","TTL":"1s"}', 404, 'ServiceID "no" does not exist'),
        ("PUT", "/v1/agent/check/pass/no", "", 404, 'Unknown check ID "no"'),
        ("PUT", "/v1/agent/service/deregister/no", "", 404, 'Unknown service ID "no"'),
        ("PUT", "/v1/agent/service/maintenance/no", "", 400, "Missing value for enable"),
        ("GET", "/v1/agent/services?filter=Nope==1", "", 500, "Failed to create boolean expression evaluator"),
        ("GET", "/v1/health/service/web?index=x", "", 400, "Invalid index"),
        ("GET", "/v1/health/service/web?index=1&wait=x", "", 400, "Invalid wait time"),
        ("GET", "/v1/health/service/web?stale&consistent", "", 400, "Cannot specify ?stale with ?consistent"),
        ("GET", "/v1/catalog/nodes?dc=elsewhere", "", 500, "No path to datacenter"),
        ("GET", "/v1/catalog/nodes?%zz", "", 500, ""),
        ("PUT", "/v1/catalog/register", '{"Address":"1.1.1.1"}', 500, "Must provide node"),
        ("HEAD", "/v1/agent/services", "", 405, ""),
        ("GET", "/v1/nothing", "", 404, "Invalid URL path"),
    ]:
        response = http.request(method, path, content=body)
        if response.status_code != status or not response.text.startswith(text):
            raise AssertionError(f"{method} {path} {body}: {response.status_code} {response.text!r}")
    equal(http.get("/v1/status/leader").status_code, 200, "and it still answers")


for scenario in [article, headers, ttl, blocking, catalog, maintenance, across, lock, errors]:
    check(scenario.__name__, scenario)
finish()
