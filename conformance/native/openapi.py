"""The API as its own OpenAPI document promises it, tried by schemathesis: valid and malformed requests, every check."""

import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree as xml

from tap import check, finish

URL = os.environ["SWITCHBOARD_URL"]
FULL = bool(os.environ.get("SWITCHBOARD_CONFORMANCE_FULL"))
HERE = pathlib.Path(__file__).parent
REPORT = pathlib.Path(os.environ.get("SWITCHBOARD_CONFORMANCE_DIR", ".")) / "openapi.junit.xml"


def try_out():
    """Runs schemathesis; its report has a test case for each operation."""
    REPORT.unlink(missing_ok=True)
    command = [str(pathlib.Path(sys.executable).parent / "schemathesis"), "--config-file", str(HERE / "schemathesis.toml")]
    command += ["run", f"{URL}/v1/openapi.json", "--checks", "all", "--no-color"]
    # The same examples on every run, so that a change is blamed for what it did; a full run draws new ones and names
    # its seed.
    # Neither remembers earlier runs.
    drawn = ["--generation-database", "none"] if FULL else ["--generation-deterministic"]
    command += ["--max-examples", "200" if FULL else "30", *drawn]
    command += ["--report", "junit", "--report-junit-path", str(REPORT)]
    environment = os.environ | {"SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": str(HERE), "PYTHONDONTWRITEBYTECODE": "1"}
    run = subprocess.run(command, env=environment, cwd=REPORT.parent, timeout=1700 if FULL else 580)
    # 1 says that checks failed, which the report says better.
    if run.returncode not in (0, 1) or not REPORT.exists():
        raise AssertionError(f"schemathesis ended with {run.returncode}")
    cases = list(xml.parse(REPORT).iter("testcase"))
    if not cases:
        raise AssertionError("schemathesis tried nothing")
    return run.returncode, cases


def held(case):
    wrong = [part for part in case if part.tag in ("failure", "error")]
    if wrong:
        raise AssertionError(" | ".join(part.get("message") or part.text or part.tag for part in wrong)[:500])


def nothing_else_failed(code, failed):
    if code != 0 and not failed:
        raise AssertionError("it reports a failure that belongs to no operation; see its output above")


tried = check("schemathesis reads the OpenAPI document and runs", try_out)
if tried:
    code, cases = tried
    for case in cases:
        check(case.get("name"), held, case)
    failed = any(part.tag in ("failure", "error") for case in cases for part in case)
    check("nothing failed outside an operation", nothing_else_failed, code, failed)
finish()
