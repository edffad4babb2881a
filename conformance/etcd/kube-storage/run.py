"""Kubernetes's own tests of its storage, k8s.io/apiserver v0.37.2: the same files, but for the one that starts an etcd.

That one is replaced in a copy of the module by `testserver/test_server.go`, which starts a registry for each test.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from tap import finish, report, skip
from theirs import judge

HERE = Path(__file__).parent
SCRATCH = Path(os.environ["SWITCHBOARD_CONFORMANCE_DIR"]) / "etcd-kube-storage"
APISERVER = "k8s.io/apiserver"
PACKAGES = {
    "etcd3": "storage/etcd3",
    "factory": "storage/storagebackend/factory",
    "cacher": "storage/cacher",
    "registry": "registry/generic/registry",
}
FAILS = {}


def go(*words):
    env = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
    return subprocess.run(["go", *words], cwd=HERE, env=env, capture_output=True, text=True, check=False)


def built():
    """The folder of the copy's packages, or why there is none. Needs the module proxy once."""
    if not shutil.which("go"):
        return None, "go is not installed"
    # Brings the module, too.
    listed = go("list", "-f", "{{.Module.Dir}}", f"{APISERVER}/pkg/storage")
    if listed.returncode:
        return None, f"go cannot fetch it: {' '.join(listed.stderr.split())[-300:]}"
    copy = SCRATCH / "apiserver"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(listed.stdout.strip(), copy, copy_function=shutil.copyfile)
    # The module's own folders cannot be written to; the next run wants to remove these.
    for folder, _, _ in os.walk(copy):
        os.chmod(folder, 0o755)
    starts = "testserver/test_server.go"
    shutil.copyfile(HERE / starts, copy / "pkg/storage/etcd3" / starts)
    pins = SCRATCH / "go.mod"
    for name in ("go.mod", "go.sum"):
        shutil.copyfile(HERE / name, SCRATCH / name)
    go("mod", "edit", f"-replace={APISERVER}={copy}", pins)
    for name, package in PACKAGES.items():
        done = go("test", "-c", "-vet=off", f"-modfile={pins}", "-o", SCRATCH / f"{name}.test", f"{APISERVER}/pkg/{package}")
        if done.returncode:
            return None, f"go cannot build it: {' '.join(done.stderr.split())[-300:]}"
    return copy / "pkg", None


def tests(name, folder, *words):
    """What each test said that was run: nothing if it passed, None if it left itself out, otherwise why it failed."""
    command = [SCRATCH / f"{name}.test", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", check=False)
    with (SCRATCH / f"{name}.log").open("a") as log:
        log.write(done.stdout + done.stderr)
    verdicts = re.findall(r"^--- (PASS|FAIL|SKIP): (Test\w+) ", done.stdout, re.M)
    return {test: {"PASS": "", "SKIP": None}.get(word, why(done.stdout, test)) for word, test in verdicts}


def run(name, folder):
    listed = subprocess.run([SCRATCH / f"{name}.test", "-test.list", "^Test"], cwd=folder, capture_output=True, text=True, check=True)
    (SCRATCH / f"{name}.log").unlink(missing_ok=True)
    found = tests(name, folder, "-test.v", "-test.parallel", "2", "-test.timeout", "20m")
    for test in (line for line in listed.stdout.splitlines() if line.startswith("Test")):
        # Some allow a tenth of a second for what takes longer while others run: they get the machine to themselves.
        if found.get(test, "no verdict"):
            alone = tests(name, folder, "-test.v", "-test.timeout", "5m", "-test.run", f"^{test}$")
            found[test] = alone.get(test, "no verdict")
    return {f"{name}.{test}": said for test, said in found.items()}


def why(output, test):
    """The first lines that blame something in the test or in one within it."""
    part = output.split(f"=== RUN   {test}\n", 1)[-1].split(f"--- FAIL: {test} ")[0]
    blamed = re.findall(r"^\s+\w+\.go:\d+: (.*)", part, re.M)
    return " | ".join(blamed[-3:]) or "no verdict"


def main():
    sources, missing = built()
    if missing:
        return skip("Kubernetes's tests of its storage", missing)
    said = {}
    for name, package in PACKAGES.items():
        said |= run(name, sources / package)
    judge({test: why for test, why in said.items() if why is not None}, FAILS)
    left = sorted(test for test, why in said.items() if why is None)
    if left:
        report(f"{len(left)} leave themselves out: {', '.join(left)}")
    return None


main()
finish()
