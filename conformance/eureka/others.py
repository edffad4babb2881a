"""Software that reads Eureka: go-kit's own test of its Eureka client, by fargo, and Prometheus."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from pathlib import Path

from tap import check, equal, finish, skip

EUREKA = os.environ["SWITCHBOARD_EUREKA_URL"]
NATIVE = os.environ["SWITCHBOARD_URL"]
HERE = Path(__file__).parent
SCRATCH = Path(os.environ["SWITCHBOARD_CONFORMANCE_DIR"])
OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
PATIENCE = 60


def ask(url, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with OPENER.open(request, timeout=15) as response:
        return json.load(response)


def gokit():
    # A missing toolchain must not be downloaded, and modules only as `go.sum` has them.
    env = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off", "EUREKA_ADDR": EUREKA + "/eureka"}
    command = ["go", "test", "-count=1", "-v", "-tags", "integration", "-run", "TestIntegration", "github.com/go-kit/kit/sd/eureka"]
    done = subprocess.run(command, cwd=HERE / "gokit", env=env, capture_output=True, text=True, timeout=500)
    (SCRATCH / "eureka-gokit.log").write_text(done.stdout + done.stderr)
    passed = "--- PASS: TestIntegration" in done.stdout
    equal((done.returncode, passed), (0, True), " / ".join((done.stdout + done.stderr).splitlines()[-5:]))


def prometheus():
    ask(NATIVE + "/v1/register", {"service": "scraped", "id": "s1", "host": "127.0.0.1", "port": 9, "metadata": {"version": "v1.2"}})
    place = SCRATCH / "eureka-prometheus"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    (place / "prometheus.yml").write_text(f"""
scrape_configs:
  - job_name: eureka
    eureka_sd_configs:
      - server: {EUREKA}/eureka
        refresh_interval: 1s
""")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = "127.0.0.1:%d" % free.getsockname()[1]
    command = ["prometheus", f"--config.file={place}/prometheus.yml", f"--storage.tsdb.path={place}/data", f"--web.listen-address={address}"]
    with (place / "log").open("wb") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)
    try:
        def targets():
            try:
                found = ask(f"http://{address}/api/v1/targets")["data"]["activeTargets"]
            except (urllib.error.URLError, ConnectionError):
                return {}
            words = ("app_name", "app_instance_status", "app_instance_id", "app_instance_metadata_version")
            every = [target["discoveredLabels"] for target in found]
            return {one["__address__"]: [one.get(f"__meta_eureka_{word}") for word in words] for one in every}

        until(lambda: targets().get("127.0.0.1:9") == ["SCRAPED", "UP", "s1", "v1.2"], targets)
        request = urllib.request.Request(f"{NATIVE}/v1/instances/s1?service=scraped", method="DELETE")
        OPENER.open(request, timeout=15).close()
        until(lambda: "127.0.0.1:9" not in targets(), targets)
    finally:
        child.kill()
        child.wait()


def until(found, last):
    deadline = time.monotonic() + PATIENCE
    while not found():
        if time.monotonic() > deadline:
            raise AssertionError(f"never; at last: {last()}")
        time.sleep(0.2)


def run(name, tool, function):
    if shutil.which(tool):
        check(name, function)
    else:
        skip(name, f"{tool} is not installed")


run("go-kit's own test against a running Eureka passes", "go", gokit)
run("Prometheus finds what is registered, and what is gone is gone", "prometheus", prometheus)
finish()
