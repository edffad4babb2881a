"""The tests of the Rust crate etcd-client 0.21.1, unmodified, out of its published package. Their address is fixed."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import ctl
from tap import finish, skip
from theirs import judge

HERE = Path(__file__).parent
SCRATCH = Path(os.environ["SWITCHBOARD_CONFORMANCE_DIR"]) / "etcd-client"
NOT_HERE = 77

# The tests switch access control on and off, for this user, and wait for its token to end.
ROOT = 'for words in "user add root:rootpwd" "role add root" "user grant-role root root"; do "$1" $words || exit 1; done; shift; exec "$@"'
FAILS = {
    "client::test_cluster": "it adds a member to a cluster of three; it fails on a real etcd of one as well",
}


def cargo(*words, **more):
    # Not those of the package that started this.
    env = {name: value for name, value in os.environ.items() if not name.startswith("CARGO_")}
    for name in ("CARGO_HOME", "CARGO_TERM_COLOR"):
        if name in os.environ:
            env[name] = os.environ[name]
    env |= {"CARGO_TARGET_DIR": str(SCRATCH / "target"), "CARGO_INCREMENTAL": "0", "CARGO_PROFILE_DEV_DEBUG": "0"}
    return subprocess.run(["cargo", *words], env=env, capture_output=True, text=True, check=False, **more)


def built():
    """Its test programs, by name, or why there are none. Needs the package registry once."""
    if not shutil.which("protoc"):
        return None, "protoc is not installed, and its build wants it"
    described = cargo("metadata", "--locked", "--format-version", "1", "--manifest-path", HERE / "rust/Cargo.toml")
    if described.returncode:
        return None, f"the crate cannot be had: {described.stderr.strip()[-300:]}"
    packages = json.loads(described.stdout)["packages"]
    source = next(Path(one["manifest_path"]).parent for one in packages if one["name"] == "etcd-client")
    copy = SCRATCH / source.name
    shutil.rmtree(copy, ignore_errors=True)
    # With the times of its files, so that what is built stays built.
    shutil.copytree(source, copy)
    with (copy / "Cargo.toml").open("a") as manifest:
        # It lies below ours, and belongs to no workspace.
        manifest.write("\n[workspace]\n")
    done = cargo("test", "--locked", "--tests", "--no-run", "--message-format", "json", cwd=copy)
    if done.returncode:
        return None, f"it does not build: {done.stderr.strip()[-300:]}"
    artifacts = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    programs = {it["target"]["name"]: it["executable"] for it in artifacts if it.get("executable") and it["target"]["kind"] == ["test"]}
    return {name: programs[name] for name in ("client", "namespace")}, None


def run(name, program, etcdctl):
    """What each test said when it failed, or nothing; None: it cannot be run here."""
    command = [sys.executable, HERE.parent / "alone.py", "etcd=2379", "--", "sh", "-c", ROOT, "sh", etcdctl, program, "--include-ignored"]
    env = {**os.environ, "SWITCHBOARD_ALONE_SET": "--set etcd.auth_token_ttl=2s"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=500)
    if done.returncode == NOT_HERE:
        skip(f"etcd-client's tests: {name}", done.stderr.strip())
        return None
    said = dict(re.findall(r"^---- (\S+) stdout ----\n(.*?)(?=^----|^failures:)", done.stdout, re.M | re.S))
    found = re.findall(r"^test (\S+)(?: - .*?)? \.\.\. (ok|FAILED)$", done.stdout, re.M)
    if not found:
        raise RuntimeError(f"no verdict: {(done.stdout + done.stderr)[-500:]}")
    return {f"{name}::{test}": "" if word == "ok" else said.get(test, "failed") for test, word in found}


def main():
    etcdctl, why = ctl.built()
    programs, why = built() if etcdctl else (None, why)
    if why:
        return skip("etcd-client's tests", why)
    results = {name: run(name, program, etcdctl) for name, program in programs.items()}
    if None not in results.values():
        judge({test: said for one in results.values() for test, said in one.items()}, FAILS)
    return None


main()
finish()
