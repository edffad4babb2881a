"""Two real Eureka servers of Spring's and this registry as one cluster; one of them dies and comes back.

By hand: SWITCHBOARD_CONFORMANCE_DIR=target/conformance SWITCHBOARD_BINARY=target/debug/switchboard \\
PYTHONPATH=conformance python3 conformance/eureka/cluster.py
"""

import contextlib
import json
import os
import re
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from maven import Missing, Program, build
from ports import free_port
from tap import check, equal, finish, skip

SCRATCH = Path(os.environ["SWITCHBOARD_CONFORMANCE_DIR"])
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
PATIENCE = 90
# The servers tell each other apart by their hosts.
HOSTS = {"first": "127.0.0.11", "second": "127.0.0.12", "ours": "127.0.0.1"}


PORTS = {name: free_port(host) for name, host in HOSTS.items()}
URLS = {name: f"http://{HOSTS[name]}:{PORTS[name]}/eureka/" for name in HOSTS}
NATIVE = f"127.0.0.1:{free_port('127.0.0.1')}"


def ask(url, method="GET", body=None):
    """Status and JSON, or nothing."""
    data = None if body is None else json.dumps(body).encode()
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    request = urllib.request.Request(url, data, headers, method=method)
    try:
        with OPENER.open(request, timeout=15) as response:
            status, text = response.status, response.read()
    except urllib.error.HTTPError as error:
        status, text = error.code, b""
    except OSError:
        return 0, None
    return status, json.loads(text) if text else None


def until(what, found, patience=PATIENCE):
    deadline = time.monotonic() + patience
    while not found():
        if time.monotonic() > deadline:
            raise AssertionError(f"never: {what}; {known()}")
        time.sleep(0.2)


def known():
    return {name: statuses(name) for name in URLS}


def everything(at):
    _, answer = ask(URLS[at] + "apps")
    return answer["applications"] if answer else {"apps__hashcode": None, "application": []}


def statuses(at):
    every = [one for app in everything(at)["application"] for one in app["instance"]]
    return {one["instanceId"]: one["status"] for one in every}


def hashes(*names):
    return {everything(name)["apps__hashcode"] for name in names}


def instance(at, app, id):
    _, answer = ask(URLS[at] + f"apps/{app}/{id}")
    return answer and answer["instance"]


def register(at, app, id, **more):
    body = {
        "instanceId": id, "hostName": "10.7.0.1", "app": app, "ipAddr": "10.7.0.1", "status": "UP", "vipAddress": app.lower(),
        "port": {"$": 8080, "@enabled": "true"}, "securePort": {"$": 443, "@enabled": "false"},
        "dataCenterInfo": {"@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", "name": "MyOwn"},
        "lastDirtyTimestamp": str(int(time.time() * 1000)), **more,
    }
    equal(ask(URLS[at] + f"apps/{app}", "POST", {"instance": body})[0], 204, f"registering at {at}")


def everywhere(id, status, *names):
    names = names or tuple(URLS)
    until(f"{id} is {status} at {names}", lambda: all(statuses(name).get(id) == status for name in names))


def start_real(place, name):
    settings = {
        "server.port": PORTS[name],
        "server.address": HOSTS[name],
        "spring.application.name": "eureka-cluster",
        "eureka.instance.hostname": HOSTS[name],
        "eureka.instance.instance-id": f"server-{name}",
        "eureka.client.service-url.defaultZone": ",".join(URLS.values()),
        "eureka.client.registry-fetch-interval-seconds": 2,
        "eureka.client.initial-instance-info-replication-interval-seconds": 1,
        "eureka.server.use-read-only-response-cache": "false",
        # The default gives a busy machine a fifth of a second.
        "eureka.server.peer-node-read-timeout-ms": 2000,
        "eureka.server.peer-node-connect-timeout-ms": 1000,
    }
    arguments = [f"--{key}={value}" for key, value in settings.items()]
    return Program(place / "server/target/server.jar", arguments, SCRATCH / f"eureka-{name}.log", heap="256m")


@contextlib.contextmanager
def ours():
    place = SCRATCH / f"eureka-cluster-{os.getpid()}"
    place.mkdir(parents=True)
    peers = json.dumps([URLS["first"], URLS["second"]])
    (place / "switchboard.toml").write_text(f'[eureka]\npeers = {peers}\ncluster_name = "EUREKA-CLUSTER"\n')
    command = [os.environ["SWITCHBOARD_BINARY"], "serve", "--config", str(place / "switchboard.toml"), "--data-dir", str(place / "data")]
    command += ["--only", "native", "--only", "eureka", "--listen", f"native={NATIVE}"]
    command += ["--listen", f"eureka={HOSTS['ours']}:{PORTS['ours']}"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("SWITCHBOARD_")}
    with (place / "log").open("wb") as log:
        child = subprocess.Popen(command, env=env, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        yield
    finally:
        child.kill()
        child.wait()


def copies():
    everywhere("before", "UP", "ours")
    until("it counts like them", lambda: len(hashes(*URLS)) == 1)


def both_ways():
    register("ours", "WEB", "at-ours")
    everywhere("at-ours", "UP")
    register("second", "WEB", "at-second")
    everywhere("at-second", "UP")
    said = [instance(name, "WEB", "at-second")["lastDirtyTimestamp"] for name in URLS]
    equal(len(set(said)), 1, "its clock, at all of them")
    equal(ask(URLS["ours"] + "apps/WEB/at-second?status=UP", "PUT")[0], 200, "its heartbeat, elsewhere")


def heartbeats():
    def heard(name):
        return instance(name, "WEB", "at-ours")["leaseInfo"]["lastRenewalTimestamp"]

    before = {name: heard(name) for name in ("first", "second")}
    time.sleep(1)
    equal(ask(URLS["ours"] + "apps/WEB/at-ours?status=UP", "PUT")[0], 200, "a heartbeat")
    until("it is told", lambda: all(heard(name) > before[name] for name in before))


def overrides():
    equal(ask(URLS["ours"] + "apps/WEB/at-second/status?value=OUT_OF_SERVICE", "PUT")[0], 200, "taken out here")
    everywhere("at-second", "OUT_OF_SERVICE")
    equal(ask(URLS["first"] + "apps/WEB/at-second/status?value=UP", "DELETE")[0], 200, "put back there")
    everywhere("at-second", "UP")
    equal(ask(URLS["first"] + "apps/WEB/at-second", "DELETE")[0], 200, "cancelled there")
    everywhere("at-second", None)
    equal(ask(URLS["ours"] + "apps/WEB/at-ours", "DELETE")[0], 200, "cancelled here")
    everywhere("at-ours", None)


def lends():
    body = {"service": "lent", "id": "lent-1", "host": "10.7.0.9", "port": 9090}
    equal(ask(f"http://{NATIVE}/v1/register", "POST", body)[0], 200, "by the native API")
    everywhere("lent-1", "UP")
    until("they know where it is", lambda: instance("first", "LENT", "lent-1")["port"]["$"] == 9090)
    # Renewed every half a minute, whether or not anybody looks.
    before = instance("second", "LENT", "lent-1")["leaseInfo"]["lastRenewalTimestamp"]
    until("it is kept alive", lambda: instance("second", "LENT", "lent-1")["leaseInfo"]["lastRenewalTimestamp"] > before)


def belongs():
    own = {f"server-{name}" for name in ("first", "second")}
    until("they are there", lambda: own <= statuses("ours").keys())
    place = f"{HOSTS['ours']}:{PORTS['ours']}"

    def available():
        # What it gives to programs about itself is an error where it is asked for JSON.
        with OPENER.open(f"http://{HOSTS['second']}:{PORTS['second']}/", timeout=15) as response:
            page = response.read().decode()
        row = re.search(r"<td>available-replicas</td>\s*<td>([^<]*)", page)
        return row is not None and place in row[1]

    until("we are a replica of theirs", available)
    until("all count alike", lambda: len(hashes(*URLS)) == 1)


def one_dies(first):
    register("first", "WEB", "moves")
    everywhere("moves", "UP")
    first.kill()
    equal(ask(URLS["ours"] + "apps/WEB/moves?status=UP", "PUT")[0], 200, "its client finds another")
    register("ours", "WEB", "after")
    everywhere("after", "UP", "ours", "second")
    until("those that are left count alike", lambda: len(hashes("ours", "second")) == 1)


def comes_back(again):
    again.wait_until(lambda: statuses("first").get("after") == "UP" and "lent-1" in statuses("first"))
    until("it counts like the others", lambda: len(hashes(*URLS)) == 1)
    register("ours", "WEB", "news")
    everywhere("news", "UP")


def main():
    try:
        place = build(Path(__file__).parent / "java")
    except Missing as missing:
        skip("a cluster with two real servers", str(missing))
        return
    with contextlib.ExitStack() as stack:
        real = {name: start_real(place, name) for name in ("first", "second")}
        for one in real.values():
            stack.callback(one.kill)
        for name, one in real.items():
            one.wait_until(lambda name=name: ask(URLS[name] + "apps")[0] == 200)
        register("first", "OLD", "before")
        everywhere("before", "UP", "first", "second")
        stack.enter_context(ours())
        check("it copies what they know", copies)
        check("what is registered at one is known to all, once", both_ways)
        check("heartbeats are told", heartbeats)
        check("statuses and cancellations are told", overrides)
        check("instances of other protocols are lent and kept alive", lends)
        check("each is a replica to the others, and all count alike", belongs)
        check("one is killed, and nothing is lost", one_dies, real["first"])
        again = start_real(place, "first")
        stack.callback(again.kill)
        check("it comes back and knows what happened", comes_back, again)


main()
finish()
