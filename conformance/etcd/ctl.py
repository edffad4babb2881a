"""etcdctl as etcd's modules have it, built once."""

import os
import shutil
import subprocess
from pathlib import Path

SCRATCH = Path(os.environ["SWITCHBOARD_CONFORMANCE_DIR"])


def built():
    """The program, or why there is none. Needs the module proxy once."""
    if not shutil.which("go"):
        return None, "go is not installed"
    program = SCRATCH / "real-etcdctl" / "etcdctl"
    program.parent.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}
    command = ["go", "build", "-mod=readonly", "-o", program, "go.etcd.io/etcd/etcdctl/v3"]
    done = subprocess.run(command, cwd=Path(__file__).parent / "real", env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        return None, f"go cannot build etcdctl: {' '.join(done.stderr.split())[-300:]}"
    return program, None
