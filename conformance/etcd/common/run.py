"""etcd's own `tests/common` v3.7.3, unmodified, with real etcdctl and etcdutl, on the case of one member without TLS.

Each test is a process of its own, since one that fails leaves behind what the next takes for a leak of its own.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from tap import finish, report, skip
from theirs import judge

HERE = Path(__file__).parent
SCRATCH = Path(os.environ["SWITCHBOARD_CONFORMANCE_DIR"]) / "etcd-common"
TESTS = "go.etcd.io/etcd/tests/v3/common"

FAILS = {
    "TestAuthMemberAdd": "there are no members to add",
    "TestAuthMemberRemove": "there are no members to take out",
}


def go(*words, **more):
    env = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly", "GOWORK": "off"}
    return subprocess.run(["go", *words], cwd=HERE, env=env, capture_output=True, text=True, check=False, **more)


def built():
    """The folder of programs, or why there is none. Needs the module proxy once."""
    if not shutil.which("go"):
        return None, "go is not installed"
    bin = SCRATCH / "bin"
    bin.mkdir(parents=True, exist_ok=True)
    for command in (
        ["build", "-o", bin / "etcdctl", "go.etcd.io/etcd/etcdctl/v3"],
        ["build", "-o", bin / "etcdutl", "go.etcd.io/etcd/etcdutl/v3"],
        ["test", "-c", "-vet=off", "-tags", "e2e", "-o", SCRATCH / "common.test", TESTS],
    ):
        done = go(*command)
        if done.returncode:
            return None, f"go cannot build it: {' '.join(done.stderr.split())[-300:]}"
    launcher = f"#!/bin/sh\nSWITCHBOARD_BINARY='{os.environ['SWITCHBOARD_BINARY']}' exec '{sys.executable}' -B '{HERE}/launcher.py' \"$@\"\n"
    (bin / "etcd").write_text(launcher)
    (bin / "etcd").chmod(0o755)
    # Keys and certificates, where the tests look for them: beside the folder in which they run.
    source = Path(go("list", "-f", "{{.Dir}}", TESTS).stdout.strip()).parent / "fixtures"
    shutil.rmtree(SCRATCH / "fixtures", ignore_errors=True)
    shutil.copytree(source, SCRATCH / "fixtures", copy_function=shutil.copyfile)
    return bin, None


def run(bin, name):
    """`PASS`, `FAIL` or `SKIP`, and what was said."""
    place = SCRATCH / "run"
    place.mkdir(exist_ok=True)
    command = [SCRATCH / "common.test", "-test.v", "-test.timeout", "110s", "-test.run", f"^{name}$/NoTLS", f"--bin-dir={bin}"]
    env = {**os.environ, "E2E_TEST_MINIMAL": "true"}
    done = subprocess.run(command, cwd=place, env=env, capture_output=True, text=True, check=False, timeout=180)
    word = re.search(rf"^--- (PASS|FAIL|SKIP): {name} ", done.stdout, re.M)
    wrong = re.search(r"Error:\s+(.*)", done.stdout)
    return word[1] if word else "FAIL", wrong[1] if wrong else done.stdout[-300:] or "no verdict"


def main():
    bin, why = built()
    if why:
        return skip("etcd's tests/common", why)
    listed = subprocess.run([SCRATCH / "common.test", "-test.list", "^Test", f"--bin-dir={bin}"], capture_output=True, text=True, check=True)
    names = [line for line in listed.stdout.splitlines() if line.startswith("Test")]
    found = {name: run(bin, name) for name in names}
    judge({name: "" if word == "PASS" else said for name, (word, said) in found.items() if word != "SKIP"}, FAILS)
    skipped = [name for name, (word, _) in found.items() if word == "SKIP"]
    report(f"{len(skipped)} tests leave this case out themselves: {', '.join(skipped)}")
    return None


main()
finish()
