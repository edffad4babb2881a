"""Sending a script to one server and collecting what it answers."""

import contextlib
import http.client
import json
import threading
import time
from dataclasses import dataclass

from .script import filled

# Far above what any answer takes; one that does not come is a failure and not a hung run.
PATIENCE = 70
# For what is asked again and again; a check that is made each second has long been made by then.
UNTIL = 20
# For what is not built yet and will hardly come.
UNTIL_AWAITED = 1


@dataclass
class Answer:
    status: int
    headers: list
    body: bytes


# The server hung up instead of answering: what a Go server does whose handler panics.
DROPPED = Answer(0, [], b"")


class Verbatim(http.client.HTTPConnection):
    """Sends a path as it is written: it may well be one that no careful client sends."""

    def _validate_path(self, url):
        pass

    def _encode_request(self, request):
        return request.encode("utf-8")


def send(address, method, path, headers, body):
    connection = Verbatim(*address, timeout=PATIENCE)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        if body or method in ("PUT", "POST"):
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders()
        if body:
            # A server may well say no before it has read everything.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.send(body)
        response = connection.getresponse()
        return Answer(response.status, response.getheaders(), response.read())
    except (http.client.RemoteDisconnected, ConnectionResetError):
        return DROPPED
    finally:
        connection.close()


def ask(script, address, known, strict):
    """Steps with their answers, in the order of the answers: a step in the background answers where it is joined.

    Strictly, an answer without what is to be captured is an error in the script; otherwise it is one more difference."""
    captured, flying, answers = dict(known), {}, []
    for step in script.steps:
        if step.join:
            thread, slot, sent = flying.pop(step.join)
            thread.join(PATIENCE)
            if not slot or isinstance(slot[0], Exception):
                raise RuntimeError(f"line {sent.line}: {sent.title}: {slot[0] if slot else 'no answer'}")
            answers.append((sent, slot[0]))
            keep(sent, slot[0], captured, strict)
            continue
        time.sleep(step.pause)
        request = (
            address,
            step.method,
            filled(step.path, captured),
            [(name, filled(value, captured)) for name, value in step.headers],
            body_of(step.body, captured),
        )
        if step.background:
            slot = []
            thread = threading.Thread(target=into, args=(slot, request), daemon=True)
            thread.start()
            flying[step.background] = (thread, slot, step)
            # So that it waits already when what follows is done.
            time.sleep(0.3)
            continue
        try:
            awaited = step.until and (step.until[0], json.loads(filled(step.until[1], captured)))
            answer = until(awaited, request, UNTIL_AWAITED if script.awaiting and not strict else UNTIL)
            keep(step, answer, captured, strict)
        except Exception as error:
            raise RuntimeError(f"line {step.line}: {step.title}: {error!r}") from error
        answers.append((step, answer))
    if flying:
        raise RuntimeError(f"never joined: {', '.join(flying)}")
    return answers


def body_of(text, captured):
    """Bytes that were captured are sent as they came; everything else is text."""
    whole = captured.get(text.removeprefix("${").removesuffix("}"))
    return whole if isinstance(whole, bytes) else filled(text, captured).encode()


def into(slot, request):
    try:
        slot.append(send(*request))
    except Exception as error:  # noqa: BLE001: it is told where it is joined
        slot.append(error)


def until(awaited, request, patience):
    deadline = time.monotonic() + patience
    while True:
        answer = send(*request)
        if not awaited or fulfils(awaited, answer) or time.monotonic() > deadline:
            return answer
        time.sleep(0.1)


def fulfils(awaited, answer):
    place, value = awaited
    if place == "status":
        return answer.status == value
    try:
        return pointed(json.loads(answer.body), place) == value
    except (ValueError, LookupError, TypeError):
        return False


def keep(step, answer, captured, strict):
    for name, source in step.captures:
        try:
            captured[name] = found(answer, source)
        except (LookupError, ValueError, TypeError) as error:
            captured.pop(name, None)
            if strict:
                raise ValueError(f"no {source} in {answer.status} {answer.body[:300]!r}") from error


def found(answer, source):
    if source == "body":
        return answer.body
    if source.startswith("header "):
        return {key.lower(): value for key, value in answer.headers}[source.removeprefix("header ").lower()]
    return pointed(json.loads(answer.body), source)


def pointed(value, pointer):
    """The part of JSON that a pointer means."""
    for word in pointer.split("/")[1:]:
        word = word.replace("~1", "/").replace("~0", "~")
        value = value[int(word)] if isinstance(value, list) else value[word]
    return value
