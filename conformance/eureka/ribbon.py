"""Which zones and instances Netflix Ribbon's own classes choose, and which we do, over the same zones."""

import math
import os
import random
import subprocess
from pathlib import Path

from maven import Missing, build
from tap import check, finish, skip

ROOT = Path(__file__).parents[2]
CALLS = 20_000
# Instances, those of them that are tripped, and calls on the way.
SITUATIONS = {
    "idle": "a 3 0 0 | b 3 0 0 | c 3 0 0",
    "unequal and idle": "a 1 0 0 | b 5 0 0",
    "low load": "a 6 0 1 | b 6 0 0",
    "one zone": "a 4 0 9",
    "one zone, all tripped": "a 3 3 0",
    "one busier": "a 3 0 9 | b 3 0 3 | c 6 0 3",
    "the busier one is large": "a 2 0 2 | b 8 0 24",
    "two alike are the worst": "a 2 0 4 | b 6 0 12 | c 4 0 1",
    "all alike and busy": "a 2 0 4 | b 6 0 12",
    "one zone is dead": "a 3 3 0 | b 4 0 4 | c 2 0 1",
    "one zone is dead, the others idle": "a 4 4 0 | b 3 0 0 | c 1 0 0",
    "all but one are dead": "a 3 3 0 | b 3 0 2",
    "everything is dead": "a 3 3 0 | b 2 2 0",
    "some tripped": "a 4 1 6 | b 4 2 2 | c 4 0 1",
    "some tripped and idle": "a 4 1 0 | b 4 2 0",
    "five zones": "a 2 0 1 | b 3 1 2 | c 4 0 8 | d 1 0 0 | e 6 2 3",
}
# Where zones tie for the worst, and who is left out of them. Ribbon asks again for every instance of the zone that it has
# chosen whether its zone is left out, rolling the dice each time, goes round those that are left, and starts again from the
# first where its turn is beyond them: so it prefers the first ones in its list. Which zone a call goes to is the same; within
# it we treat all alike. Here Ribbon is held to that explanation, and we to treating all alike.
TIES = {
    "two alike are the worst": {"a", "b"},
    "all alike and busy": {"a", "b"},
    "one zone is dead, the others idle": {"b", "c"},
}
# One in ten thousand: the dice are seeded, so that what passes once passes always.
NORMAL_QUANTILE = 3.719


def told(command, **more):
    lines = "".join(f"{name.replace(' ', '_')} {CALLS} | {zones}\n" for name, zones in SITUATIONS.items())
    done = subprocess.run(command, input=lines, capture_output=True, text=True, timeout=500, **more)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
    answers = {}
    for line in done.stdout.splitlines():
        what, name, *counts = line.split()
        pairs = (count.rsplit("=", 1) for count in counts)
        answers[what, name.replace("_", " ")] = {key: int(count) for key, count in pairs}
    return answers


def distance(ours, theirs):
    """Two samples of the same size: chi-square, its degrees of freedom, and what it may come to."""
    keys = ours.keys() | theirs.keys()
    chi = sum((ours.get(key, 0) - theirs.get(key, 0)) ** 2 / (ours.get(key, 0) + theirs.get(key, 0)) for key in keys)
    degrees = len(keys) - 1
    if degrees == 0:
        return chi, 0, 0.0
    # Wilson and Hilferty's approximation.
    spread = 2 / (9 * degrees)
    return chi, degrees, degrees * (1 - spread + NORMAL_QUANTILE * math.sqrt(spread)) ** 3


def alike(ours, theirs):
    for counts in (ours, theirs):
        if round(sum(counts.values())) != CALLS:
            raise AssertionError(f"not {CALLS} calls: {counts}")
    chi, degrees, most = distance(ours, theirs)
    if chi > most:
        raise AssertionError(f"chi-square {chi:.1f} with {degrees} degrees of freedom, at most {most:.1f}; Ribbon {theirs}, we {ours}")


def sizes(name):
    return {zone: int(instances) for zone, instances, *_ in (part.split() for part in SITUATIONS[name].split("|"))}


def as_explained(name, theirs):
    """What Ribbon comes to by the explanation above, with as many calls to each zone as it made."""
    dice, expected, tied = random.Random(20260101), {}, TIES[name]
    left_out = {zone: sizes(name)[zone] / sum(sizes(name)[one] for one in tied) for zone in tied}
    for zone, calls in by_zone(theirs).items():
        instances, turn = [f"{zone}-{n}" for n in range(sizes(name)[zone])], 0
        for _ in range(calls):
            left = [one for one in instances if dice.random() >= left_out.get(zone, 0)] or instances
            # Its turn belongs to the whole zone, and may be beyond those that are left.
            while True:
                chosen, turn = turn, (turn + 1) % len(left)
                if chosen < len(left):
                    break
            expected[left[chosen]] = expected.get(left[chosen], 0) + 1
    return expected


def evenly(name, ours):
    zones = by_zone(ours)
    return {f"{zone}-{n}": calls / sizes(name)[zone] for zone, calls in zones.items() for n in range(sizes(name)[zone])}


def by_zone(choices):
    zones = {}
    for instance, count in choices.items():
        zone = instance.rsplit("-", 1)[0]
        zones[zone] = zones.get(zone, 0) + count
    return zones


def differ(ours, theirs):
    """So that a comparison that finds everything alike is seen."""
    for one, other in [("one busier", "idle"), ("two alike are the worst", "one busier")]:
        chi, _, most = distance(by_zone(ours["choices", one]), by_zone(theirs["choices", other]))
        if chi <= most:
            raise AssertionError(f"{one!r} passes for {other!r}")


def main():
    try:
        place = build(Path(__file__).parent / "java")
    except Missing as missing:
        skip("Ribbon's zone rules", str(missing))
        return
    theirs = told(["java", "-Xmx128m", "-XX:+UseSerialGC", "-jar", str(place / "ribbon/target/ribbon.jar")])
    cargo = os.environ.get("CARGO", "cargo")
    example = ["run", "--quiet", "--locked", "--package", "switchboard-balance", "--example", "zones"]
    ours = told([cargo, *example], cwd=ROOT)
    for name in SITUATIONS:
        zones, choices = ("zones", name), ("choices", name)
        check(f"{name}: available zones", alike, ours[zones], theirs[zones])
        check(f"{name}: chosen zones", alike, by_zone(ours[choices]), by_zone(theirs[choices]))
        if name in TIES:
            check(f"{name}: Ribbon's instances, as explained", alike, as_explained(name, theirs[choices]), theirs[choices])
            check(f"{name}: our instances, evenly", alike, ours[choices], evenly(name, ours[choices]))
        else:
            check(f"{name}: chosen instances", alike, ours[choices], theirs[choices])
    check("one situation does not pass for another", differ, ours, theirs)


main()
finish()
