"""The run: every script against ours, and against what the real server answered or answers now."""

import os
import time
import tomllib

from tap import check, finish, report

from . import store
from .ask import ask
from .compare import Allowed, Awaited, differences
from .plain import Plainer
from .script import read


def answers(script, server, strict=False):
    """What a fresh server answers to a script. `server()` gives a context with its address, words and variables."""
    with server() as running:
        fixed = {*running.fixed, *script.ids()}
        plainer = Plainer(running.words, fixed, running.index_header, running.opaque, running.unordered)
        return [plainer.plain(step, answer) for step, answer in ask(script, running.address, running.known, strict)]


def run(folder, ours, real, named=""):
    """`ours` and `real` start servers; `real` is None where there is none, and then the recorded answers stand for it."""
    scripts = [read(path) for path in sorted(folder.glob("*.http"))]
    scripts = [script for script in scripts if named in ("", script.name)]
    recording = bool(os.environ.get("SWITCHBOARD_CONFORMANCE_RECORD"))
    if recording and real is None:
        raise SystemExit("recording needs the real server")
    awaited = Awaited(folder / "awaited.txt")
    allowed = Allowed(tomllib.loads((folder / "allowed.toml").read_text()).get("allow", []))
    for script in scripts:
        path = folder / f"{script.name}.answers"
        begun = time.monotonic()
        if real is not None:
            check(f"{script.name}: asking the real server", ask_real, script, path, real, recording)
        recorded = store.read(path, script)
        if recorded is None:
            report(f"{script.name}: recorded answers", "there are none to the script as it is now; record them")
            continue
        mine = check(f"{script.name}: {len(recorded)} requests", answers, script, ours)
        if mine is not None:
            judge(script, recorded, mine, allowed, awaited)
        print(f"   {script.name}: {time.monotonic() - begun:.1f} s", flush=True)
    awaited.finish([script.name for script in scripts])
    for entry in allowed.unused([script.name for script in scripts]):
        report(f"allowed.toml: {entry['at']} of {entry.get('request', '*')}", "nothing needs this entry any more")
    finish()


def ask_real(script, path, real, recording):
    now = answers(script, real, strict=True)
    if recording:
        store.write(path, now)
        return
    recorded = store.read(path, script)
    if recorded is None:
        raise AssertionError("it is recorded otherwise; record it anew")
    changed = [f"{a.title}: {d}" for a, b in zip(recorded, now) for d in differences(script.name, a, b)]
    if changed:
        raise AssertionError(f"it answers otherwise than recorded: {'; '.join(changed[:3])}")


def judge(script, recorded, mine, allowed, awaited):
    """Says of each request what is left of its differences when those that are meant or awaited are taken away."""
    alike, late, bad = 0, 0, 0
    for n, (real, own) in enumerate(zip(recorded, mine), 1):
        left = [one for one in differences(script.name, real, own) if not allowed.take(one)]
        new = [one for one in left if not (script.awaiting or awaited.take(one))]
        name = f"{script.name} {n}: {real.title}"
        if new:
            bad += 1
            report(name, "; ".join(map(str, new)))
        elif left:
            late += 1
            if os.environ.get("SWITCHBOARD_CONFORMANCE_FULL"):
                print(f"   awaited - {name}: {'; '.join(map(str, left))}")
        else:
            alike += 1
    if late:
        what = script.awaiting or "what awaited.txt names"
        # Known and listed, so neither a failure nor something that could not be run.
        print(f"   awaited - {script.name}: {late} of {alike + late + bad} answers differ as {what}")
    if not bad:
        report(f"{script.name}: {alike} answers are those of the real server")
