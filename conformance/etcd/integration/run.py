"""etcd's own `tests/integration` v3.7.3 against this server instead of members in the process of the tests.

The module is copied out of the cache, and the files that start members make place for those in `shim/`; the tests are
as they were published. Each runs in a process of its own, since one that fails leaves behind what the next takes for a
leak of its own. `list.txt` says by name what is expected; with ETCD_BIN naming a real etcd the same tests run against it.
"""

import concurrent.futures
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from tap import finish, report, skip

HERE = Path(__file__).parent
SCRATCH = Path(os.environ["SWITCHBOARD_CONFORMANCE_DIR"]) / "etcd-integration"
MODULE = "go.etcd.io/etcd/tests/v3"
PACKAGES = (
    "", "clientv3", "clientv3/concurrency", "clientv3/connectivity", "clientv3/examples", "clientv3/experimental/recipes",
    "clientv3/lease", "clientv3/naming", "clientv3/watch", "proxy/grpcproxy",
)  # fmt: skip
# Most of them wait.
PARALLEL = 6
SECONDS = 170
# Its module was not published.
UNPUBLISHED = "integration/cache_test.go"


def go(*words, **more):
    env = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=mod", "GOWORK": "off"}
    return subprocess.run(["go", *words], env=env, capture_output=True, text=True, check=False, **more)


def copied():
    """The folder of the module that uses the copy, or why there is none. Needs the module proxy once."""
    wrapper, copy = SCRATCH / "wrapper", SCRATCH / "tests"
    wrapper.mkdir(parents=True, exist_ok=True)
    for name in ("go.mod", "go.sum"):
        shutil.copyfile(HERE / name, wrapper / name)
    found = go("list", "-m", "-f", "{{.Dir}}", MODULE, cwd=wrapper)
    if found.returncode or not found.stdout.strip():
        found = go("mod", "download", "-json", MODULE, cwd=wrapper)
        if found.returncode:
            return None, f"go cannot fetch it: {' '.join(found.stderr.split())[-300:]}"
        found = go("list", "-m", "-f", "{{.Dir}}", MODULE, cwd=wrapper)
    source = Path(found.stdout.strip())
    shutil.rmtree(copy, ignore_errors=True)
    for folder in ("framework", "fixtures", "integration"):
        # The cache is not to be written into, and its copy is.
        shutil.copytree(source / folder, copy / folder, copy_function=shutil.copyfile)
    for folder in (copy, *(path for path in copy.rglob("*") if path.is_dir())):
        folder.chmod(0o755)
    shutil.copyfile(source / "go.mod", copy / "go.mod")
    (copy / UNPUBLISHED).unlink()
    for theirs in ("cluster.go", "cluster_proxy.go"):
        (copy / "framework/integration" / theirs).unlink()
    for ours in (HERE / "shim").glob("*.go"):
        shutil.copyfile(ours, copy / "framework/integration" / ours.name)
    with (wrapper / "go.mod").open("a") as file:
        file.write(f"\nreplace {MODULE} => {copy}\n")
    return wrapper, None


def place(package):
    """Where its tests look for certificates from."""
    return SCRATCH / "tests/integration" / package


def built():
    """The programs of the tests by package, or why there are none."""
    if not shutil.which("go"):
        return None, "go is not installed"
    wrapper, why = copied()
    programs = {}
    for package in PACKAGES if wrapper else ():
        program = SCRATCH / "bin" / (package.replace("/", "-") or "integration")
        done = go("test", "-c", "-vet=off", "-o", program, f"{MODULE}/integration/{package}".rstrip("/"), cwd=wrapper)
        if done.returncode:
            return None, f"go cannot build it: {' '.join((done.stdout + done.stderr).split())[-300:]}"
        programs[package] = program
    return programs, why


def names(package, program):
    words = [program, "-test.list", "^(Test|Example)"]
    listed = subprocess.run(words, cwd=place(package), capture_output=True, text=True, check=True)
    return re.findall(r"^(?:Test|Example)\w*$", listed.stdout, re.M)


def run(package, program, name):
    """`PASS`, `FAIL` or `SKIP`, and what was said."""
    words = [program, "-test.v", "-test.timeout", f"{SECONDS}s", "-test.run", f"^{name}$"]
    child = subprocess.Popen(
        words, cwd=place(package), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True
    )
    try:
        said, _ = child.communicate(timeout=SECONDS + 30)
    finally:
        # With the servers that it may have left.
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    word = re.search(rf"^--- (PASS|FAIL|SKIP): {name} ", said, re.M)
    if word and word[1] == "SKIP":
        return "SKIP", " ".join(re.findall(r"^    \S+\.go:\d+: (.*)", said, re.M)[-1:])
    if word and word[1] == "PASS" and child.returncode == 0:
        return "PASS", ""
    lines = [line for line in said.splitlines() if "logger.go:" not in line]
    wrong = re.search(r"Error:\s+(.*)", said)
    return "FAIL", wrong[1] if wrong else " ".join(lines[-12:])[-300:] or "no verdict"


def expected():
    """By name what is to become of a test, and why."""
    found, section = {}, None
    for line in (HERE / "list.txt").read_text().splitlines():
        head = re.fullmatch(r"\[(run|either|fails|skips|out)\] ?(.*)", line)
        if head:
            words = {"run": "PASS", "either": "PASS or SKIP", "fails": "FAIL", "skips": "SKIP", "out": "OUT"}
            section = (words[head[1]], head[2])
        elif line and not line.startswith("#"):
            assert line not in found, f"{line} is listed twice"
            found[line] = section
    return found


def full(package, name):
    return f"{package}/{name}".lstrip("/")


def judge(wanted, word, said):
    if wanted is None:
        return f"it is in no section of list.txt: {word} {said}"
    if word in wanted[0].split(" or "):
        return ""
    if word == "FAIL":
        return said
    return f"{'it passes' if word == 'PASS' else f'it is left out ({said})'}, and is listed as {wanted[0]}: {wanted[1]}"


def main():
    programs, why = built()
    if why:
        return skip("etcd's tests/integration", why)
    tests = [(package, name) for package, program in programs.items() for name in names(package, program)]
    only = re.compile(os.environ.get("SWITCHBOARD_ONLY", ""))
    tests = [(package, name) for package, name in tests if only.search(f"{package}/{name}")]
    wanted = expected()
    # They would hang, or take the machine for minutes.
    out = [test for test in tests if wanted.get(full(*test), ("",))[0] == "OUT"]
    counts = {"not run": len(out)} if out else {}
    there = {full(*test) for test in tests}
    tests = [test for test in tests if test not in out]
    with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
        for (package, name), (word, said) in zip(tests, pool.map(lambda test: run(test[0], programs[test[0]], test[1]), tests), strict=True):
            test = full(package, name)
            wrong = judge(wanted.get(test), word, said)
            counts[word] = counts.get(word, 0) + 1
            if wrong or word == "PASS":
                report(test, wrong and " ".join(wrong.split())[-400:])
            else:
                report(f"{test} {'fails' if word == 'FAIL' else 'is left out'} as it is expected to: {wanted[test][1]}")
    if not only.pattern:
        for name in sorted(wanted.keys() - there):
            report(name, "it is listed, and there is no such test")
    print(f"   {', '.join(f'{count} {word}' for word, count in sorted(counts.items()))}", file=sys.stdout)
    return None


main()
finish()
