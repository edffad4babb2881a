"""A Kubernetes API server 1.37.2, unmodified, with this registry as its store, and beside it the same with a real etcd 3.7.3.

Both are asked the same; what must be so is checked on ours, and the answers have to be equal to those of the real one but for
uids, versions and times. KUBE_APISERVER_BIN and ETCD_BIN name programs that are built already; without them they are built
from their modules, which takes ten minutes once.
"""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import bad_days
import kinds
import scenarios
from cluster import Cluster, real, registry
from notes import Notes
from tap import check, finish, report, skip

HERE = Path(__file__).parent
SCRATCH = Path(os.environ["SWITCHBOARD_CONFORMANCE_DIR"]) / "etcd-kubernetes"
FULL = os.environ.get("SWITCHBOARD_CONFORMANCE_FULL") == "1"
MANY = int(os.environ.get("SWITCHBOARD_KUBERNETES_OBJECTS", "10000" if FULL else "2000"))


def built(variable, folder, package):
    """The program, or why there is none. Needs the module proxy once."""
    if variable in os.environ:
        return Path(os.environ[variable]), None
    if not shutil.which("go"):
        return None, "go is not installed"
    program = SCRATCH / "bin" / package.rstrip("/v3").rsplit("/", 1)[1]
    program.parent.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
    done = subprocess.run(["go", "build", "-o", program, package], cwd=folder, env=env, capture_output=True, text=True, check=False)
    return (program, None) if done.returncode == 0 else (None, f"go cannot build {package}: {' '.join(done.stderr.split())[-300:]}")


class Side:
    """One store with its apiserver, and what was noted and measured there."""

    def __init__(self, name, apiserver, start):
        self.name, self.notes, self.figures = name, {}, []
        folder = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=SCRATCH))
        store, port = start(folder)
        self.cluster = Cluster(apiserver, store, port, folder)
        self.api = self.cluster.api

    def run(self, label, scenario, *more):
        """Checks it; what it notes is compared later."""
        notes = Notes()
        done = check(f"{self.name}: {label}", lambda: (scenario(*more, notes), True))
        if done:
            self.notes[label] = notes.lines
        return done and done[0]

    def measure(self, when):
        seconds, now, most = self.cluster.store.used()
        server = self.cluster.server.used()
        self.figures.append((when, f"{seconds:.2f} s of CPU, {now} MB, at most {most} MB; its apiserver {server[0]:.1f} s, {server[1]} MB"))

    def play(self):
        cluster = self.cluster
        begun = time.monotonic()
        cluster.start_store()
        cluster.start_server()
        self.figures.append(("ready after", f"{time.monotonic() - begun:.1f} s"))
        self.measure("once ready")
        for scenario in scenarios.ALL + kinds.ALL:
            self.run(first_line(scenario), scenario, self.api)
        self.measure("after the scenarios")
        took = self.run(f"{MANY} objects", lambda notes: scenarios.many(self.api, notes, MANY))
        self.figures.append((f"{MANY} creates in", f"{took or 0:.1f} s"))
        self.measure(f"after {MANY} objects")
        for day in bad_days.ALL:
            self.run(first_line(day), day, cluster)
        # Everything once more, straight from the store: no cache of the apiserver's answers.
        cluster.server.stop()
        cluster.start_server("--watch-cache=false")
        self.api.mark = "-direct"
        for scenario in scenarios.ALL:
            self.run(f"without its cache: {first_line(scenario)}", scenario, self.api)
        self.measure("at the end")


def first_line(function):
    return function.__doc__.split("\n")[0].rstrip(".")


def compare(ours, theirs):
    for label, lines in ours.notes.items():
        there = theirs.notes.get(label)
        differs = "" if there == lines else first_difference(lines, there or [])
        report(f"as on a real etcd: {label}", differs)


def first_difference(ours, theirs):
    for (what, mine), (_, other) in zip(ours, theirs):
        if mine != other:
            return f"{what}: ours {mine!r:.1500} theirs {other!r:.1500}"
    return f"{len(ours)} answers here and {len(theirs)} there"


def main():
    SCRATCH.mkdir(parents=True, exist_ok=True)
    apiserver, why = built("KUBE_APISERVER_BIN", HERE, "k8s.io/kubernetes/cmd/kube-apiserver")
    if why or not shutil.which("openssl"):
        return skip("Kubernetes on this registry", why or "openssl is not installed")
    ours = Side("ours", apiserver, registry)
    etcd, why = built("ETCD_BIN", HERE.parent / "real", "go.etcd.io/etcd/server/v3")
    theirs = None if why else Side("etcd", apiserver, lambda folder: real(etcd, folder))
    for side in filter(None, (ours, theirs)):
        try:
            side.play()
        finally:
            side.cluster.end()
        for when, figures in side.figures:
            print(f"   {side.name}, {when}: {figures}", flush=True)
    if theirs:
        compare(ours, theirs)
    else:
        skip("the same on a real etcd", why)
    check("over TLS, as the user whom its certificate names", bad_days.with_certificates, apiserver, SCRATCH)
    return None


if __name__ == "__main__":
    main()
    finish()
