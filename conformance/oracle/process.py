"""A server of its own for each script: started, waited for, stopped by its handle."""

import contextlib
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

# Longer than any start on a loaded machine.
READY_WITHIN = 90


@contextlib.contextmanager
def folder():
    path = Path(tempfile.mkdtemp(prefix="oracle-"))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def running(command, directory, env, is_ready):
    """`is_ready()` raises or says no for as long as it is not. Ended by its handle, however the block ends."""
    log = directory / "log"
    with log.open("wb") as output:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env)
    try:
        deadline = time.monotonic() + READY_WITHIN
        while not ready(is_ready):
            if child.poll() is not None or time.monotonic() > deadline:
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:])
                raise RuntimeError(f"{command[0]} did not come up ({child.poll()}):\n{tail}")
            time.sleep(0.1)
        yield
    finally:
        child.kill()
        child.wait()


def ready(is_ready):
    try:
        return is_ready()
    except (OSError, ValueError, KeyError):
        return False
