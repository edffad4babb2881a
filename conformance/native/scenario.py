"""The article's scenario over the native API, with httpx and an off-the-shelf reader of server-sent events.

Registers, looks up, renews, watches, resumes a watch, deregisters, and reads the errors.
"""

import json
import os
import pathlib

import httpx
import httpx_sse
from tap import check, equal, finish

URL = os.environ["SWITCHBOARD_URL"]
ARTICLE = (pathlib.Path(__file__).parent / "article.json").read_bytes()
ARTICLE_ID = "user-service-192.168.1.100-8080"
http = httpx.Client(base_url=URL, timeout=15, trust_env=False)


def answer(response, status=200):
    equal(response.status_code, status, f"status of {response.request.method} {response.request.url.path}")
    return response.json()


def register(body):
    headers = {"Content-Type": "application/json"}
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return answer(http.post("/v1/register", content=content, headers=headers))


def instances(service, **query):
    return answer(http.get(f"/v1/services/{service}", params=query))["instances"]


def register_the_article():
    said = register(ARTICLE)
    equal(said["status"], "success", "status")
    equal(said["id"], ARTICLE_ID, "id")
    equal(said["service"], "user-service", "service")
    equal(said["namespace"], "default", "namespace")
    equal(said["created"], True, "created")
    return said


def register_it_again(first):
    said = register(ARTICLE)
    equal(said["id"], ARTICLE_ID, "id")
    equal(said["created"], False, "created")
    equal(said["revision"], first["revision"], "revision, since writing what is there is no commit")


def look_up():
    (found,) = instances("user-service")
    equal((found["id"], found["host"], found["port"]), (ARTICLE_ID, "192.168.1.100", 8080), "instance")
    equal(found["health"], "passing", "health")
    listed = answer(http.get("/v1/services"))["services"]
    equal([(it["service"], it["instances"], it["healthy"]) for it in listed], [("user-service", 1, 1)], "services")


def look_up_one():
    found = answer(http.get(f"/v1/instances/{ARTICLE_ID}"))
    equal((found["service"], found["host"]), ("user-service", "192.168.1.100"), "instance")


def unknown_service_is_empty():
    equal(instances("no-such-service"), [], "instances")


def not_modified():
    response = http.get("/v1/services/user-service")
    answer(response)
    int(response.headers["Switchboard-Revision"])
    again = http.get("/v1/services/user-service", headers={"If-None-Match": response.headers["ETag"]})
    equal(again.status_code, 304, "status")


def renew():
    said = register({"service": "leased", "host": "127.0.0.1", "port": 9, "ttl": 30})
    equal(said["ttl"], 30, "ttl")
    renewed = answer(http.put(said["renew"]))
    equal((renewed["status"], renewed["ttl"]), ("success", 30), "renewal")


def events(count, since=None, last_event_id=None):
    """The next changes of `watched`, each as (id of the event, its data)."""
    query = {"service": "watched"} | ({"since": since} if since is not None else {})
    headers = {"Last-Event-ID": last_event_id} if last_event_id is not None else {}
    found = []
    with httpx_sse.connect_sse(http, "GET", "/v1/watch", params=query, headers=headers) as source:
        equal(source.response.status_code, 200, "status of the watch")
        for event in source.iter_sse():
            if event.event == "change":
                found.append((event.id, event.json()))
            if len(found) == count:
                return found
    raise AssertionError(f"the stream ended after {len(found)} of {count} changes")


def watch():
    before = register({"service": "other", "host": "127.0.0.1", "port": 1})["revision"]
    first = register({"service": "watched", "host": "127.0.0.1", "port": 1})
    ((event_id, change),) = events(1, since=before)
    equal((change["kind"], change["id"]), ("registered", first["id"]), "change")
    equal(change["revision"], first["revision"], "revision")
    equal(change["instance"]["host"], "127.0.0.1", "instance")
    equal(event_id, str(first["revision"]), "id of the event")
    return event_id


def resume(last_event_id):
    second = register({"service": "watched", "host": "127.0.0.1", "port": 2})
    answer(http.delete(f"/v1/instances/{second['id']}"))
    changes = [change for _, change in events(2, last_event_id=last_event_id)]
    equal([it["kind"] for it in changes], ["registered", "deregistered"], "kinds, with nothing sent twice")
    equal({it["id"] for it in changes}, {second["id"]}, "ids")


def long_poll():
    said = answer(http.get("/v1/watch", params={"service": "watched", "since": 0, "wait": "1s"}))
    equal(said["changes"][0]["kind"], "registered", "first change")


def drain():
    answer(http.put(f"/v1/instances/{ARTICLE_ID}/lifecycle", json={"lifecycle": "draining"}))
    equal(instances("user-service"), [], "healthy instances of a drained service")
    equal(len(instances("user-service", status="any")), 1, "instances of any status")
    answer(http.put(f"/v1/instances/{ARTICLE_ID}/lifecycle", json={"lifecycle": "up"}))
    equal(len(instances("user-service")), 1, "healthy instances")


def report_status():
    answer(http.put(f"/v1/instances/{ARTICLE_ID}/status", json={"status": "critical"}))
    equal(instances("user-service"), [], "healthy instances")
    answer(http.put(f"/v1/instances/{ARTICLE_ID}/status", json={"status": "passing"}))
    equal(len(instances("user-service")), 1, "healthy instances")


def deregister():
    answer(http.delete(f"/v1/instances/{ARTICLE_ID}"))
    equal(instances("user-service", status="any"), [], "instances")
    equal(answer(http.get(f"/v1/instances/{ARTICLE_ID}"), 404)["code"], "not_found", "code")


def errors():
    said = answer(http.post("/v1/register", json={"service": "bad", "host": "127.0.0.1", "port": 70000}), 400)
    equal((said["status"], said["code"]), ("error", "invalid"), "error")
    if not said.get("message"):
        raise AssertionError("an error without a message")
    answer(http.post("/v1/register", content=b"{", headers={"Content-Type": "application/json"}), 400)
    equal(answer(http.put("/v1/instances/nobody/renew"), 404)["code"], "not_found", "code")
    equal(answer(http.patch("/v1/services"), 405)["code"], "method_not_allowed", "code")


first = check("register the article's JSON", register_the_article)
if first:
    check("register it again", register_it_again, first)
check("look up the service", look_up)
check("look up the instance", look_up_one)
check("an unknown service is empty, not an error", unknown_service_is_empty)
check("If-None-Match", not_modified)
check("renew", renew)
last = check("watch", watch)
if last:
    check("resume with Last-Event-ID", resume, last)
check("watch by long poll", long_poll)
check("drain", drain)
check("report a status", report_status)
check("deregister", deregister)
check("errors", errors)
finish()
