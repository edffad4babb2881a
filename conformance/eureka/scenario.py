"""Eureka as its users have it: py-eureka-client, unmodified, and plain requests for what it does not ask."""

import asyncio
import gzip
import logging
import os
import time

os.environ["NO_PROXY"] = "*"

import httpx
from py_eureka_client import eureka_basic
from py_eureka_client.eureka_client import EurekaClient
from tap import check, equal, finish

# What it logs is how it learns to register again.
logging.disable(logging.WARNING)

URL = os.environ["SWITCHBOARD_EUREKA_URL"] + "/eureka/"
NATIVE = os.environ["SWITCHBOARD_URL"]
CONSUL = os.environ["SWITCHBOARD_CONSUL_URL"]
http = httpx.Client(base_url=URL, timeout=15, trust_env=False, headers={"Accept": "application/json"})
native = httpx.Client(base_url=NATIVE, timeout=15, trust_env=False)
consul = httpx.Client(base_url=CONSUL, timeout=15, trust_env=False)
PATIENCE = 30


def wait(coroutine):
    return asyncio.run(coroutine)


async def until(what, found):
    deadline = time.monotonic() + PATIENCE
    while not found():
        if time.monotonic() > deadline:
            raise AssertionError(f"never: {what}")
        await asyncio.sleep(0.1)


def statuses(app):
    response = http.get(f"apps/{app}")
    if response.status_code == 404:
        return {}
    instances = response.json()["application"]["instance"]
    return {one["instanceId"]: one["status"] for one in instances}


def shown(app, id):
    found = http.get(f"apps/{app}/{id}").json()["instance"]
    found["leaseInfo"].pop("lastRenewalTimestamp")
    return found


def client(name, port, **more):
    return EurekaClient(
        eureka_server=URL, app_name=name, instance_host="127.0.0.1", instance_ip="127.0.0.1", instance_port=port,
        renewal_interval_in_secs=1, duration_in_secs=5, **more,
    )


def lifetime():
    async def run():
        one = client("py-app", 9090, metadata={"version": "v1.2"})
        await one.start()
        await until("it is up", lambda: statuses("PY-APP") == {"127.0.0.1:py-app:9090": "UP"})
        # Longer than its lease: its heartbeats keep it.
        await asyncio.sleep(6)
        equal(statuses("PY-APP"), {"127.0.0.1:py-app:9090": "UP"}, "after its lease")
        await one.stop()
        equal(statuses("PY-APP"), {}, "after it has stopped")

    wait(run())


def elsewhere():
    async def run():
        one = client("known-to-all", 9091, metadata={"version": "v1.2", "zone": "east-1"})
        await one.start()
        await until("it is up", lambda: statuses("known-to-all"))
        found = native.get("/v1/services/known-to-all").json()["instances"]
        equal([(i["host"], i["port"], i["metadata"]["version"], i["zone"]) for i in found],
              [("127.0.0.1", 9091, "v1.2", "east-1")], "by the native API")
        found = consul.get("/v1/health/service/known-to-all?passing").json()
        equal([e["Service"]["Port"] for e in found], [9091], "by Consul's")
        await one.status_update("OUT_OF_SERVICE")
        equal(statuses("known-to-all"), {"127.0.0.1:known-to-all:9091": "OUT_OF_SERVICE"}, "laid over")
        equal(consul.get("/v1/health/service/known-to-all?passing").json(), [], "by Consul's, taken out")
        await one.delete_status_override()
        # Its next heartbeat is answered with 404, and it registers again.
        await until("it is back", lambda: "UP" in statuses("known-to-all").values())
        maintenance = "/v1/agent/service/maintenance/127.0.0.1:known-to-all:9091"
        before = shown("known-to-all", "127.0.0.1:known-to-all:9091")
        equal(consul.put(maintenance + "?enable=true&reason=disk").status_code, 200, "maintenance by Consul")
        during = shown("known-to-all", "127.0.0.1:known-to-all:9091")
        equal(during, {**before, "status": "OUT_OF_SERVICE"}, "in maintenance, and otherwise as it was")
        equal(consul.put(maintenance + "?enable=false").status_code, 200, "the end of it")
        equal(shown("known-to-all", "127.0.0.1:known-to-all:9091"), before, "as before")
        await one.stop()

    wait(run())


def discovers():
    native.post("/v1/register", json={"service": "User-Service", "host": "192.168.1.100", "port": 8080, "zone": "east-1"})
    body = {"ID": "web-01", "Name": "web", "Address": "10.0.0.10", "Port": 8081, "Meta": {"version": "v1.2"}}
    consul.put("/v1/agent/service/register", json=body)

    async def run():
        one = client("reader", 9092)
        await one.start()

        def up(app):
            found = one.applications.get_application(app) if one.applications else None
            return [(i.hostName, i.port.port) for i in found.up_instances] if found else []

        await until("it knows both", lambda: up("USER-SERVICE") and up("WEB"))
        equal(up("USER-SERVICE"), [("192.168.1.100", 8080)], "registered by the native API")
        equal(up("WEB"), [("10.0.0.10", 8081)], "registered by Consul's")
        native.post("/v1/register", json={"service": "user-service", "host": "192.168.1.101", "port": 8080})
        await until("a delta told it", lambda: len(up("USER-SERVICE")) == 2)
        consul.put("/v1/agent/service/deregister/web-01")
        await until("a delta took it away", lambda: not up("WEB"))
        await one.stop()

    wait(run())


def looks_up():
    async def run():
        found = await eureka_basic.get_application(URL, "USER-SERVICE")
        equal(sorted(i.ipAddr for i in found.instances), ["192.168.1.100", "192.168.1.101"], "an application")
        found = await eureka_basic.get_vip(URL, "User-Service")
        equal([a.name for a in found.applications], ["USER-SERVICE"], "a VIP")
        one = (await eureka_basic.get_application(URL, "USER-SERVICE")).instances[0]
        again = await eureka_basic.get_instance(URL, one.instanceId)
        if asyncio.iscoroutine(again):  # this release forgets to await it itself
            again = await again
        equal((again.app, again.ipAddr, again.dataCenterInfo.name), (one.app, one.ipAddr, "MyOwn"), "an instance")

    wait(run())


def forms():
    plain = http.get("apps", headers={"Accept-Encoding": "identity"})
    equal(plain.headers["content-type"], "application/json", "JSON")
    with http.stream("GET", "apps", headers={"Accept-Encoding": "gzip"}) as packed:
        equal(packed.headers["content-encoding"], "gzip", "encoding")
        equal(gzip.decompress(b"".join(packed.iter_raw())), plain.content, "the same, packed")
    xml = httpx.get(URL + "v2/apps/", trust_env=False)
    equal(xml.headers["content-type"], "application/xml", "without Accept")
    equal(xml.text.startswith("<applications>"), True, "XML")
    full, delta = plain.json()["applications"], http.get("apps/delta").json()["applications"]
    equal(delta["apps__hashcode"], full["apps__hashcode"], "hash")
    page = httpx.get(os.environ["SWITCHBOARD_EUREKA_URL"] + "/", trust_env=False)
    equal((page.status_code, "USER-SERVICE" in page.text), (200, True), "the page for people")


def errors():
    equal(http.get("apps/NOBODY").status_code, 404, "an unknown application")
    beat = http.put("apps/NOBODY/nobody?status=UP")
    equal((beat.status_code, beat.text), (404, ""), "a heartbeat of nobody")
    for body, why in [
        ('{"instance":{}}', "Missing instanceId"),
        ('{"instance":{"hostName":"h","ipAddr":"10.0.0.1","app":"X"}}', "Mismatched appName, expecting WEB but was X"),
        ("<!DOCTYPE x [<!ENTITY y SYSTEM 'file:///etc/passwd'>]><instance><app>&y;</app></instance>", "a document type"),
    ]:
        response = http.post("apps/WEB", content=body)
        equal((response.status_code, why in response.text), (400, True), response.text)


check("a client registers, renews and stops", lifetime)
check("what it registers is known to all, and taken out of service for all", elsewhere)
check("a client discovers what others registered, by deltas", discovers)
check("applications, VIPs and instances are looked up", looks_up)
check("both dialects, packed and not, and the page", forms)
check("errors are Eureka's", errors)
finish()
