"""jetcd, unmodified: the checks are in Java, in the folder beside; here they are built and given certificates."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from maven import Missing, build
from tap import skip


def certificates(folder):
    def made(name, *more):
        command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}"]
        subprocess.run([*command, "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem", *more], check=True, capture_output=True)

    made("authority")
    signed = ["-CA", folder / "authority.pem", "-CAkey", folder / "authority.key", "-addext", "basicConstraints=critical,CA:false"]
    for name in ("server", "root"):
        made(name, "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", *signed)


def main():
    if not shutil.which("openssl"):
        return skip("jetcd", "openssl is not installed, which makes its certificates")
    try:
        place = build(Path(__file__).parent / "java")
    except Missing as why:
        return skip("jetcd", why)
    with tempfile.TemporaryDirectory(dir=os.environ["SWITCHBOARD_CONFORMANCE_DIR"]) as folder:
        certificates(Path(folder))
        options = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        return subprocess.run(["java", *options, "-jar", place / "target/jetcd.jar", folder], check=False, stderr=subprocess.DEVNULL).returncode


sys.exit(main())
