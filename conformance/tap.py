"""The lines every driver prints: `ok - name`, `not ok - name: why`, `skip - name: why`."""

import sys
import traceback

failures = 0


def check(name, function, *arguments):
    """Runs one check and prints its line. What it returns is returned, or None when it failed."""
    global failures
    try:
        result = function(*arguments)
    except Exception as error:  # noqa: BLE001: whatever a check raises is its reason to fail
        failures += 1
        reason = " ".join(str(error).split()) or type(error).__name__
        where = traceback.extract_tb(error.__traceback__)[-1].lineno
        print(f"not ok - {name}: {reason} (line {where})", flush=True)
        return None
    print(f"ok - {name}", flush=True)
    return result


def report(name, why=""):
    """Prints the line of a check that was made elsewhere: passed, or failed and why."""
    global failures
    if why:
        failures += 1
    print(f"not ok - {name}: {why}" if why else f"ok - {name}", flush=True)


def skip(name, why):
    print(f"skip - {name}: {why}", flush=True)


def equal(found, expected, what):
    if found != expected:
        raise AssertionError(f"{what}: expected {expected!r}, found {found!r}")


def finish():
    sys.exit(1 if failures else 0)


def later(name):
    """What takes too long for every run; it is no lack of the machine, so it does not count as one."""
    print(f"   {name}: only with --full", flush=True)
