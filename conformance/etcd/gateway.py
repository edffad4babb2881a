"""The JSON gateway: etcd3gw's own tests, unmodified, and the requests that guides print."""

import base64
import contextlib
import io
import json
import os
import sys
import threading
import unittest

import requests
from tap import check, equal
import tap

PLACE = os.environ["SWITCHBOARD_ETCD"]
HOST, PORT = PLACE.rsplit(":", 1)
URL = f"http://{PLACE}"
NATIVE = os.environ["SWITCHBOARD_URL"]
os.environ["TOOZ_TEST_HTTP_URL"] = URL
os.environ["TOOZ_TEST_ETCD_PORT"] = PORT


def b64(text):
    return base64.b64encode(text.encode()).decode()


def post(path, status=200, method="POST", **body):
    answer = requests.request(method, URL + path, data=json.dumps(body), timeout=30)
    equal(answer.status_code, status, answer.text)
    return answer.json()


class Verdicts(unittest.TestResult):
    """Each test is a check of its own."""

    def name(self, test):
        return f"etcd3gw: {test.id().rsplit('.', 1)[-1]}"

    def addSuccess(self, test):
        print(f"ok - {self.name(test)}", file=sys.__stdout__, flush=True)

    def addSkip(self, test, reason):
        print(f"skip - {self.name(test)}: {reason}", file=sys.__stdout__, flush=True)

    def addFailure(self, test, err):
        tap.failures += 1
        print(f"not ok - {self.name(test)}: {' '.join(str(err[1]).split())[-300:]}", file=sys.__stdout__, flush=True)

    addError = addFailure


def own_tests():
    # What they print themselves is not for the report.
    with contextlib.redirect_stdout(io.StringIO()):
        unittest.defaultTestLoader.loadTestsFromName("etcd3gw.tests.test_etcd3gw").run(Verdicts())


def as_guides_print_it():
    lease = post("/v3/lease/grant", TTL=60)["ID"]
    value = b64("10.0.0.5:8080")
    post("/v3/kv/put", method="PUT", key=b64("/services/guide/1"), value=value, lease=lease)
    page = requests.get(f"{NATIVE}/v1/services/guide", timeout=30).json()
    equal([(it["host"], it["port"]) for it in page["instances"]], [("10.0.0.5", 8080)], "instances")
    found = post("/v3beta/kv/range", key=b64("/services/"), range_end=b64("/services0"))
    equal([kv["value"] for kv in found["kvs"] if kv["key"] == b64("/services/guide/1")], [value], "value")
    post("/v3/kv/lease/revoke", ID=lease)
    equal(requests.get(f"{NATIVE}/v1/services/guide", timeout=30).json().get("instances", []), [], "after the lease")


def both_spellings():
    key, value = b64("spelling"), b64("v")
    compare = [{"target": "MOD", "key": key, "modRevision": "0", "result": "EQUAL"}]
    said = post("/v3/kv/txn", compare=compare, success=[{"requestPut": {"key": key, "value": value}}])
    equal(said["succeeded"], True, "camel case")
    assert list(said["responses"][0]) == ["response_put"], said
    compare = [{"target": 2, "key": key, "mod_revision": 0, "result": 3}]
    said = post("/v3/kv/txn", compare=compare, success=[{"request_range": {"key": key}}], unknown=1)
    equal(said["responses"][0]["response_range"]["kvs"][0]["value"], value, "snake case and numbers")


def errors():
    said = post("/v3/kv/put", status=400, value=b64("x"))
    text = "etcdserver: key is not provided"
    equal(said, {"error": text, "code": 3, "message": text}, "error")
    equal(post("/v3/lease/revoke", status=404, ID=12345)["code"], 5, "code")
    equal(post("/v3/nothing", status=404), {"code": 5, "message": "Not Found"}, "unknown path")
    answer = requests.post(URL + "/v3/kv/put", data="{", timeout=30)
    equal((answer.status_code, answer.json()["code"]), (400, 3), "malformed")
    equal(requests.get(URL + "/v3/kv/range", timeout=30).status_code, 501, "GET")


def watch_lines():
    key = b64("watched")
    create = json.dumps({"create_request": {"key": key}})
    with requests.post(URL + "/v3/watch", data=create, stream=True, timeout=30) as stream:
        lines = stream.iter_lines()
        equal(json.loads(next(lines))["result"]["created"], True, "created")
        threading.Thread(target=post, args=["/v3/kv/put"], kwargs={"key": key, "value": b64("1")}).start()
        events = json.loads(next(lines))["result"]["events"]
        equal(events[0]["kv"]["value"], b64("1"), "event")
        assert "type" not in events[0], events


def keep_alive_lines():
    lease = post("/v3/lease/grant", TTL=30)["ID"]
    answer = requests.post(URL + "/v3/lease/keepalive", data=json.dumps({"ID": lease}), timeout=30)
    equal(answer.json()["result"]["TTL"], "30", "ttl")
    answer = requests.post(URL + "/v3/lease/keepalive", data='{"ID": 4711}', timeout=30)
    assert "TTL" not in answer.json()["result"], answer.text


def pages():
    version = requests.get(URL + "/version", timeout=30).json()
    assert all(part.isdigit() for part in version["etcdserver"].split(".")), version
    equal(requests.get(URL + "/health", timeout=30).json()["health"], "true", "health")
    for path in ["/livez", "/readyz", "/readyz/linearizable_read"]:
        equal(requests.get(URL + path, timeout=30).text, "ok\n", path)
    assert "switchboard_" in requests.get(URL + "/metrics", timeout=30).text


check("what guides print makes an instance, and its lease ends it", as_guides_print_it)
check("both spellings, names or numbers, unknown fields", both_spellings)
check("errors in every shape that clients read", errors)
check("a watch is a stream of lines", watch_lines)
check("a keep-alive is one line", keep_alive_lines)
check("pages beside the services", pages)
own_tests()
sys.exit(1 if tap.failures else 0)
