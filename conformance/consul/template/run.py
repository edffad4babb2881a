"""consul-template, unmodified, built from its module: a file that follows services, nodes, health and keys."""

import contextlib
import json
import os
import pathlib
import shutil
import subprocess
import tempfile
import time
import urllib.request

from tap import check, equal, finish, skip

HERE = pathlib.Path(__file__).parent
BASE = os.environ["SWITCHBOARD_CONSUL_URL"].rstrip("/")
SCRATCH = pathlib.Path(os.environ["SWITCHBOARD_CONFORMANCE_DIR"])
# Far longer than anything here takes, on any machine.
PATIENCE = 60

TEMPLATE = """\
{{ range services }}service {{ .Name }} [{{ .Tags | join "," }}]
{{ end }}\
{{ range service "web" }}web {{ .ID }} {{ .Address }}:{{ .Port }} on {{ .Node }}
{{ end }}\
{{ range service "web|any" }}any {{ .ID }} {{ .Status }}
{{ end }}\
{{ range nodes }}node {{ .Node }}
{{ end }}\
color {{ keyOrDefault "app/color" "none" }}
{{ range tree "app" }}key {{ .Key }}={{ .Value }}
{{ end }}\
"""


def built():
    """The program, or why there is none."""
    if not shutil.which("go"):
        return None, "go is not installed"
    place = SCRATCH / "consul-template"
    place.mkdir(parents=True, exist_ok=True)
    for name in ("go.mod", "go.sum", "deps.go"):
        shutil.copy(HERE / name, place / name)
    program = place / "consul-template"
    env = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}
    command = ["go", "build", "-o", str(program), "github.com/hashicorp/consul-template"]
    done = subprocess.run(command, cwd=place, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        return None, f"go cannot build consul-template: {' '.join(done.stderr.split())[-300:]}"
    return program, None


def put(path, body=""):
    body = body if isinstance(body, str) else json.dumps(body)
    request = urllib.request.Request(BASE + path, data=body.encode(), method="PUT")
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=30) as answer:
        return answer.read()


def instance(number, **more):
    body = {"ID": f"web-{number}", "Name": "web", "Address": f"10.0.0.{number}", "Port": 80, "Tags": ["v1"], **more}
    put("/v1/agent/service/register", body)


@contextlib.contextmanager
def following(program):
    """What the file says, asked until it says what it should."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = pathlib.Path(folder) / "in.ctmpl", pathlib.Path(folder) / "out"
        source.write_text(TEMPLATE)
        command = [str(program), "-consul-addr", BASE, "-template", f"{source}:{target}", "-log-level", "err"]
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL)

        def lines(kind):
            text = target.read_text() if target.exists() else ""
            return sorted(line for line in text.splitlines() if line.split(" ")[0] == kind)

        def until(kind, *expected):
            deadline = time.monotonic() + PATIENCE
            while lines(kind) != sorted(expected) and time.monotonic() < deadline:
                if child.poll() is not None:
                    raise AssertionError(f"consul-template ended with {child.returncode}")
                time.sleep(0.05)
            equal(lines(kind), sorted(expected), f"lines of {kind}")

        try:
            yield until
        finally:
            child.kill()
            child.wait()


def followed(program):
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(BASE + "/v1/agent/self") as answer:
        node = json.loads(answer.read())["Config"]["NodeName"]
    with following(program) as until:
        until("color", "color none")
        until("node", f"node {node}")
        instance(1)
        until("web", f"web web-1 10.0.0.1:80 on {node}")
        until("service", "service consul []", "service web [v1]")
        instance(2, Check={"TTL": "1h"})
        until("any", "any web-1 passing", "any web-2 critical")
        until("web", f"web web-1 10.0.0.1:80 on {node}")
        put("/v1/agent/check/pass/service:web-2")
        until("web", *(f"web web-{n} 10.0.0.{n}:80 on {node}" for n in (1, 2)))
        put("/v1/kv/app/color", "blue")
        put("/v1/kv/app/size", "7")
        until("color", "color blue")
        until("key", "key color=blue", "key size=7")
        put("/v1/agent/service/maintenance/web-1?enable=true")
        until("web", f"web web-2 10.0.0.2:80 on {node}")
        for number in (1, 2):
            put(f"/v1/agent/service/deregister/web-{number}")
        until("web")
        until("service", "service consul []")


program, why = built()
if program is None:
    skip("consul-template follows what changes", why)
else:
    check("consul-template follows what changes", followed, program)
finish()
