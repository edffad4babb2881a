"""Servers for drivers that kill them, or want them otherwise than they are."""

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

# Longer than any start on a loaded machine.
READY_WITHIN = 60


class Server:
    """One that can be killed, and comes back on the same port."""

    def __init__(self, *settings):
        self.folder = Path(tempfile.mkdtemp(prefix="etcd-python-", dir=os.environ["SWITCHBOARD_CONFORMANCE_DIR"]))
        self.place = "127.0.0.1:0"
        self.settings = [word for one in settings for word in ("--set", one)]
        self.start()

    def start(self):
        ports = self.folder / "ports"
        ports.unlink(missing_ok=True)
        command = [os.environ["SWITCHBOARD_BINARY"], "serve", "--only", "etcd", "--data-dir", self.folder / "data", "--port-file", ports]
        env = {name: value for name, value in os.environ.items() if not name.startswith("SWITCHBOARD_")}
        with (self.folder / "log").open("ab") as log:
            self.child = subprocess.Popen([*command, "--listen", f"etcd={self.place}", *self.settings], env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + READY_WITHIN
        while not (ports.exists() and "etcd=" in ports.read_text()):
            if self.child.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server did not come up: {(self.folder / 'log').read_text()[-300:]}")
            time.sleep(0.05)
        self.place = next(line for line in ports.read_text().splitlines() if line.startswith("etcd="))[5:]

    def kill(self):
        """Tells it nothing."""
        self.child.kill()
        self.child.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def until(what, found, patience=60):
    """Whatever it last found, once it is true."""
    deadline = time.monotonic() + patience
    while not (last := found()):
        if time.monotonic() > deadline:
            raise AssertionError(f"never: {what}")
        time.sleep(0.02)
    return last
