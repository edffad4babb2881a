"""etcd's programs as its modules have them, each built once."""

import os
import shutil
import subprocess
from pathlib import Path

SCRATCH = Path(os.environ["SWITCHBOARD_CONFORMANCE_DIR"])
# By which modules they are pinned.
PLACES = {"etcdctl": "real", "server": "real", "etcdutl": "common"}


def built(name="etcdctl"):
    """The program, or why there is none. Needs the module proxy once."""
    if not shutil.which("go"):
        return None, "go is not installed"
    program = SCRATCH / f"real-{name}" / name
    program.parent.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off"}
    command = ["go", "build", "-mod=readonly", "-o", program, f"go.etcd.io/etcd/{name}/v3"]
    done = subprocess.run(command, cwd=Path(__file__).parent / PLACES[name], env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        return None, f"go cannot build {name}: {' '.join(done.stderr.split())[-300:]}"
    return program, None
