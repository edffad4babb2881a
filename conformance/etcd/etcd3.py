"""python-etcd3 0.12.0's own tests, unmodified, out of its source package."""

import os
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import ctl
from tap import finish, skip
from theirs import judge

HERE = Path(__file__).parent
SCRATCH = Path(os.environ["SWITCHBOARD_CONFORMANCE_DIR"])
# Some of the tests have it in their source.
PORT = 2379
NOT_HERE = 77

# They fail on a real etcd 3.7.3 as well.
FAILS = {
    "test_get_key_serializable": "it stops two of three servers that it believes to run",
    "test_get_prefix_serializable": "it stops two of three servers that it believes to run",
    "test_member_list": "it wants three members",
    "test_snapshot": "it wants an etcdctl that reads snapshots",
    "TestClient.test_user_pwd_auth": "it puts something else in the place of a module that it does not find",
}


def prepared():
    """A folder with its sources and a Python that runs them, or why there is none. Needs the package registry once."""
    place = SCRATCH / "etcd3"
    pins = (HERE / "etcd3.txt").read_text()
    stamp = place / "prepared-from"
    if not (stamp.exists() and stamp.read_text() == pins):
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir(parents=True)
        python = place / "venv/bin/python"
        pip = [python, "-m", "pip", "--disable-pip-version-check"]
        tests = next(line for line in pins.splitlines() if line.startswith("etcd3=="))
        for command in (
            [sys.executable, "-m", "venv", place / "venv"],
            # What it says it wants and what its tests run with are not the same any more.
            [*pip, "install", "--quiet", "--no-deps", "--requirement", HERE / "etcd3.txt"],
            [*pip, "download", "--quiet", "--no-deps", "--no-binary", ":all:", "--no-build-isolation", "--dest", place, tests],
            ["tar", "--extract", "--file", place / "etcd3-0.12.0.tar.gz", "--directory", place],
        ):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                return None, f"no Python packages: {(done.stdout + done.stderr).strip()[-300:]}"
        stamp.write_text(pins)
    shutil.copy(HERE / "etcd3_conftest.py", place / "etcd3-0.12.0/tests/conftest.py")
    return place, None


def main():
    etcdctl, why = ctl.built()
    place, none = prepared() if etcdctl else (None, why)
    if none:
        return skip("python-etcd3's tests", none)
    report = place / "report.xml"
    report.unlink(missing_ok=True)
    env = {**os.environ, "PYTHON_ETCD_HTTP_URL": f"http://localhost:{PORT}", "TEST_ETCD_VERSION": "v3.7.3"}
    env["PATH"] = f"{etcdctl.parent}:{env['PATH']}"
    command = [sys.executable, "-B", HERE.parent / "alone.py", f"etcd={PORT}", "--", place / "venv/bin/python", "-B", "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junit-xml={report}", "tests"]
    with (SCRATCH / "etcd-etcd3.tests.log").open("w") as log:
        done = subprocess.run(command, cwd=place / "etcd3-0.12.0", env=env, stdout=log, stderr=log, check=False, timeout=550)
    if done.returncode == NOT_HERE:
        return skip("python-etcd3's tests", "port 2379 is taken, and there is no network of our own to be had")
    judge({name(case): said(case) for case in ET.parse(report).getroot().iter("testcase")}, FAILS)
    return None


def name(case):
    group = case.get("classname", "").rsplit(".", 1)[-1]
    return case.get("name") if group == "TestEtcd3" else f"{group}.{case.get('name')}"


def said(case):
    wrong = [one for one in case if one.tag in ("failure", "error")]
    return wrong[0].get("message", "failed") if wrong else ""


main()
finish()
