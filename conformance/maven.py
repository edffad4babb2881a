"""Programs in Java for drivers: built once by Maven, kept until their sources change, started, waited for, stopped."""

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

# Longer than any start on a loaded machine.
READY_WITHIN = 120


class Missing(Exception):
    """What this machine lacks."""


def build(sources):
    """The folder of a Maven project, built. Needs the package registry once: what Maven fetched it keeps."""
    for tool in ("mvn", "javac"):
        if not shutil.which(tool):
            raise Missing(f"{tool} is not installed")
    scratch = Path(os.environ["SWITCHBOARD_CONFORMANCE_DIR"])
    place = scratch / f"maven-{sources.parent.name}"
    stamp = place / "built-from"
    wanted = fingerprint(sources)
    if stamp.exists() and stamp.read_text() == wanted:
        return place
    shutil.rmtree(place, ignore_errors=True)
    # Built in a copy, so that nothing is written into the sources.
    shutil.copytree(sources, place, ignore=shutil.ignore_patterns("target"))
    command = ["mvn", "--quiet", "--batch-mode", "package"]
    for more in (["--offline"], []):
        done = subprocess.run([*command, *more], cwd=place, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode == 0:
            stamp.write_text(wanted)
            return place
    tail = " / ".join(done.stdout.splitlines()[-3:])
    if "Could not resolve" in done.stdout or "Could not transfer" in done.stdout:
        raise Missing(f"packages cannot be had: {tail}")
    raise RuntimeError(f"it does not build: {tail}")


def fingerprint(sources):
    digest = hashlib.sha256()
    for path in sorted(sources.rglob("*")):
        if path.is_file() and "target" not in path.parts:
            digest.update(str(path.relative_to(sources)).encode() + path.read_bytes())
    return digest.hexdigest()


class Program:
    """A running one. `log` has what it says."""

    def __init__(self, jar, arguments, log, env=None, heap="192m"):
        # What is set for this driver is not meant for the program.
        plain = {name: value for name, value in os.environ.items() if not name.startswith(("SPRING_", "EUREKA_"))}
        self.log = log
        options = [f"-Xmx{heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.net.useSystemProxies=false"]
        self.name = jar.stem
        with log.open("wb") as output:
            self.child = subprocess.Popen(
                ["java", *options, "-jar", str(jar), *arguments],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, env={**plain, **(env or {})},
            )

    def wait_until(self, is_ready):
        deadline = time.monotonic() + READY_WITHIN
        while True:
            with contextlib.suppress(OSError, ValueError, KeyError):
                if is_ready():
                    return self
            if self.child.poll() is not None or time.monotonic() > deadline:
                tail = " / ".join(self.log.read_text(errors="replace").splitlines()[-5:])
                self.kill()
                raise RuntimeError(f"{self.name} did not come up ({self.child.poll()}): {tail}")
            time.sleep(0.2)

    def stop(self):
        """As an operator stops it; it may say goodbye."""
        self.child.terminate()
        try:
            return self.child.wait(60)
        finally:
            self.kill()

    def kill(self):
        self.child.kill()
        self.child.wait()


if __name__ == "__main__":
    # For those who want the programs and nothing else.
    print(build(Path(sys.argv[1])))
