"""Request scripts: plain text, one request after the other.

    # What this shows.
    @capture index header X-Consul-Index
    PUT /v1/agent/service/register?replace-existing-checks
    X-Some-Header: value
    {"Name": "web"}

A blank line ends a request. A line that begins with `#` outside a body is a comment, one with `@` says something about
the request that follows:

    @capture NAME header H   keeps a header of the answer for later, as ${NAME} or ${NAME+1000}
    @capture NAME /0/ID      keeps a value of the JSON that is answered
    @capture NAME body       keeps the whole body, whatever it is; as the body of a request it is sent as it came
    @opaque                  compares of the body only whether there is one
    @unordered               lists are compared without their order
    @only /A /B/0            compares these parts of the JSON alone
    @until /0/Status "x"     asks again until that part is so; also `@until status 200`
    @background NAME         sends it and goes on; the answer comes with the line `@join NAME`
    @pause 200ms             waits before it is sent

In paths, headers and bodies `${NAME}` is what was captured, and `${x*500}` is a letter five hundred times.

`@awaiting WHAT` at the top of a script: it is recorded and compared, but its differences are no failures yet.
"""

import re
from dataclasses import dataclass, field

UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")


@dataclass
class Step:
    line: int
    method: str = ""
    path: str = ""
    headers: list = field(default_factory=list)
    body: str = ""
    captures: list = field(default_factory=list)
    only: list = field(default_factory=list)
    until: tuple = ()
    unordered: bool = False
    opaque: bool = False
    background: str = ""
    join: str = ""
    pause: float = 0.0

    @property
    def title(self):
        return f"{self.method} {self.path}"


@dataclass
class Script:
    name: str
    awaiting: str
    steps: list

    def ids(self):
        """The ids that the script gives itself: they are the same in every run."""
        return {id for step in self.steps for id in UUID.findall(step.path + step.body)}

    def answering(self):
        """The steps in the order of their answers: one in the background answers where it is joined."""
        flying = {step.background: step for step in self.steps if step.background}
        return [flying[step.join] if step.join else step for step in self.steps if not step.background]


def read(path):
    awaiting, steps, step, state = "", [], None, "between"
    for number, line in enumerate(path.read_text().splitlines(), 1):
        where = f"{path.name}:{number}"
        if not line.strip():
            if state in ("headers", "body"):
                steps.append(step)
                step, state = None, "between"
            continue
        if state == "between" and line.startswith("#"):
            continue
        if state == "between" and line.startswith("@awaiting "):
            awaiting = line.removeprefix("@awaiting ")
            continue
        if state == "between" and line.startswith("@join "):
            steps.append(Step(number, join=line.removeprefix("@join ").strip()))
            continue
        if state == "between":
            step = step or Step(number)
            if line.startswith("@"):
                directive(step, line, where)
                continue
            found = re.fullmatch(r"([A-Z]+) (.*)", line)
            if not found:
                raise ValueError(f"{where}: expected METHOD PATH, found {line!r}")
            step.line, step.method, step.path = number, found[1], found[2]
            state = "headers"
        elif state == "headers" and re.match(r"[A-Za-z-]+: ", line):
            step.headers.append(tuple(line.split(": ", 1)))
        else:
            state = "body"
            step.body += ("\n" if step.body else "") + line
    if state in ("headers", "body"):
        steps.append(step)
    return Script(path.stem, awaiting, steps)


def directive(step, line, where):
    word, _, rest = line[1:].partition(" ")
    match word:
        case "capture":
            name, _, source = rest.partition(" ")
            step.captures.append((name, source))
        case "only":
            step.only = rest.split()
        case "until":
            place, _, value = rest.partition(" ")
            step.until = (place, value)
        case "unordered":
            step.unordered = True
        case "opaque":
            step.opaque = True
        case "background":
            step.background = rest
        case "pause":
            step.pause = float(rest.removesuffix("ms")) / 1000
        case _:
            raise ValueError(f"{where}: nothing is called @{word}")


def filled(text, captured):
    """The text with what was captured put in."""

    def value(found):
        if found[1] not in captured:
            return found[0]
        known = captured[found[1]]
        return str(int(known) + int(found[2])) if found[2] else str(known)

    text = re.sub(r"\$\{(.)\*(\d+)\}", lambda found: found[1] * int(found[2]), text)
    return re.sub(r"\$\{(\w+)([+-]\d+)?\}", value, text)
