"""Where two answers differ, and which differences are meant."""

import fnmatch
import json
import os
import re
from dataclasses import dataclass

NOTHING = "<nothing>"


@dataclass
class Difference:
    script: str
    request: str
    # `status`, `header/NAME`, `body` or `body/POINTER`.
    at: str
    real: object
    ours: object
    # The whole body of our answer, as text.
    said: str

    def __str__(self):
        return f"{self.at}: real {shown(self.real)}, ours {shown(self.ours)}"


def shown(value):
    text = value if value is NOTHING else json.dumps(value, ensure_ascii=False)
    return text if len(text) < 400 else f"{text[:400]}... ({len(text)} characters)"


def differences(script, real, ours):
    """Between two plain answers to the same request."""
    found = []
    said = ours.body if isinstance(ours.body, str) else json.dumps(ours.body)

    def differ(at, one, other):
        found.append(Difference(script, real.title, at, one, other, said))

    if real.status != ours.status:
        differ("status", real.status, ours.status)
    for name in sorted(real.headers.keys() | ours.headers.keys()):
        one, other = real.headers.get(name, NOTHING), ours.headers.get(name, NOTHING)
        if one != other:
            differ(f"header/{name}", one, other)
    one, other = real.body, ours.body
    if real.unordered:
        one, other = in_order(one), in_order(other)
    bodies("body", one, other, differ)
    return found


def bodies(at, one, other, differ):
    if isinstance(one, dict) and isinstance(other, dict):
        for key in sorted(one.keys() | other.keys()):
            bodies(f"{at}/{key}", one.get(key, NOTHING), other.get(key, NOTHING), differ)
        if one.keys() == other.keys() and list(one) != list(other):
            differ(f"{at}/<order>", list(one), list(other))
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for n, (left, right) in enumerate(zip(one, other)):
            bodies(f"{at}/{n}", left, right, differ)
    elif type(one) is not type(other) or one != other:
        differ(at, one, other)


def in_order(value):
    if isinstance(value, dict):
        return {key: in_order(one) for key, one in value.items()}
    if isinstance(value, list):
        return sorted((in_order(one) for one in value), key=place)
    return value


def place(value):
    """Where a value stands when order means nothing: nothing and empty stand alike."""
    return re.sub(r"null|\[\]|\{\}", "", json.dumps(value, sort_keys=True))


class Allowed:
    """The written list of differences that are meant. An entry that nothing uses is a mistake.

    `script`, `request` and `at` say where; `real` and `ours` what each has there; `says` what our whole answer is."""

    def __init__(self, entries):
        for entry in entries:
            unknown = entry.keys() - {"script", "request", "at", "real", "ours", "says", "why"}
            if unknown or not entry.get("why") or not entry.get("at"):
                raise ValueError(f"an allowed difference says `at` and `why`, and nothing else is {unknown}: {entry}")
        self.entries = entries
        self.used = [0] * len(entries)

    def take(self, difference):
        """Whether it is on the list; a difference counts for the first entry that fits."""
        for n, entry in enumerate(self.entries):
            if fits(entry, difference):
                self.used[n] += 1
                return True
        return False

    def unused(self, scripts):
        """Entries that nothing needed, of those that these scripts could have needed."""
        could = [any(like(entry.get("script", "*"), name) for name in scripts) for entry in self.entries]
        return [entry for entry, used, could in zip(self.entries, self.used, could) if could and not used]


class Awaited:
    """Differences that are defects of ours and known: no failures, until they are mended and leave the list.

    One a line: script, request and place. With SWITCHBOARD_CONFORMANCE_AWAIT=1 a run writes the list as it should be.
    """

    def __init__(self, path):
        self.path = path
        self.lines = set(path.read_text().splitlines()) if path.exists() else set()
        self.rewriting = bool(os.environ.get("SWITCHBOARD_CONFORMANCE_AWAIT"))
        self.needed = {}

    def take(self, difference):
        line = f"{difference.script} | {difference.request} | {difference.at}"
        if line in self.lines or self.rewriting:
            self.needed[line] = None
            return True
        return False

    def finish(self, scripts):
        done = [line for line in self.lines - self.needed.keys() if line.split(" | ")[0] in scripts]
        if self.rewriting:
            others = [line for line in self.lines if line.split(" | ")[0] not in scripts]
            self.path.write_text("".join(f"{line}\n" for line in sorted([*others, *self.needed])))
        elif done:
            print(f"   {len(done)} lines of {self.path.name} are no longer needed, such as: {sorted(done)[0]}")


def fits(entry, difference):
    def is_value(key, value):
        if key not in entry:
            return True
        wanted = entry[key]
        # TOML has no null.
        if wanted == "null" and value is None:
            return True
        if isinstance(value, str) and (isinstance(wanted, str) or all(isinstance(one, str) for one in wanted)):
            return like(wanted, value)
        return type(wanted) is type(value) and wanted == value

    return (
        like(entry.get("script", "*"), difference.script)
        and like(entry.get("request", "*"), difference.request)
        and like(entry.get("at", "*"), difference.at)
        and like(entry.get("says", "*"), difference.said)
        and is_value("real", difference.real)
        and is_value("ours", difference.ours)
    )


def like(patterns, text):
    patterns = patterns if isinstance(patterns, list) else [patterns]
    return any(fnmatch.fnmatchcase(text, escaped(pattern)) for pattern in patterns)


def escaped(pattern):
    """Only `*` is a pattern: paths and texts are full of the others."""
    return pattern.replace("[", "[[]").replace("?", "[?]")
