"""Recorded answers: plain text beside the script, one block per request, so that a change reads well in a diff."""

import json

from .plain import Plain

MARK = "=== "


def write(path, answers):
    blocks = []
    for answer in answers:
        lines = [f"{MARK}{answer.title}", str(answer.status)]
        lines += [f"{name}: {value}" for name, value in sorted(answer.headers.items())]
        if isinstance(answer.body, str) and "json" not in kind(answer):
            lines += ["", *(f"| {line}" for line in answer.body.split("\n"))] if answer.body else []
        else:
            lines += ["", *readable(answer.body)]
        blocks.append("\n".join(lines))
    path.write_text("\n\n".join(blocks) + "\n")


def read(path, script):
    """The recorded answers to a script; None when they are not those of the script as it is now."""
    if not path.exists():
        return None
    answers = [block_of(block) for block in path.read_text().rstrip("\n").split(f"\n\n{MARK}")]
    steps = script.answering()
    if [answer.title for answer in answers] != [step.title for step in steps]:
        return None
    for answer, step in zip(answers, steps):
        answer.unordered = step.unordered
    return answers


def block_of(block):
    head, _, body = block.removeprefix(MARK).partition("\n\n")
    title, status, *headers = head.split("\n")
    headers = dict(line.split(": ", 1) if ": " in line else (line.rstrip(":"), "") for line in headers)
    answer = Plain(title, int(status), headers, "")
    if body.startswith("| "):
        answer.body = "\n".join(line.removeprefix("| ") for line in body.split("\n"))
    elif body:
        answer.body = json.loads(body)
    return answer


def kind(answer):
    return answer.headers.get("content-type", "") if not isinstance(answer.body, str) or answer.body else ""


def readable(body):
    """JSON with one element of the outermost list or object a line."""

    def one(value):
        return json.dumps(value, ensure_ascii=False)

    if isinstance(body, list) and body:
        return ["[", *(f"  {one(value)}," for value in body[:-1]), f"  {one(body[-1])}", "]"]
    if isinstance(body, dict) and body:
        pairs = [f"  {one(key)}: {one(value)}" for key, value in body.items()]
        return ["{", *(f"{pair}," for pair in pairs[:-1]), pairs[-1], "}"]
    return [one(body)]
