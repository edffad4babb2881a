"""Answers without what differs from run to run: ids, indexes, ports, dates.

What they say by being equal or not is kept: an id has a number by its first appearance in the script, an object says
whether it changed since it was made, and an index says whether it moved since the same question was asked before.
"""

import json
import re
from dataclasses import dataclass

from .ask import pointed
from .script import UUID

# What says nothing about the answer: when and over which connection it came.
UNHEARD = {"date", "content-length", "connection", "transfer-encoding", "keep-alive"}


@dataclass
class Plain:
    title: str
    status: int
    headers: dict
    # JSON as it is read, or text.
    body: object
    unordered: bool = False


class Plainer:
    def __init__(self, words, fixed=(), index_header="", opaque=(), unordered=None):
        """`words`: what to say instead of what is this run's own. `fixed`: ids that are the same in every run.

        `opaque`: headers and keys whose values say nothing but whether they are equal. `unordered`: the beginning of
        paths whose index is no number to compare, only another one."""
        self.words = sorted(words.items(), key=lambda pair: -len(pair[0]))
        self.fixed = set(fixed)
        self.index_header = index_header
        self.opaque = opaque
        self.unordered = unordered
        self.ids = {}
        self.hashes = {}
        self.indexes = {}

    def plain(self, step, answer):
        is_json = any(k.lower() == "content-type" and "json" in v for k, v in answer.headers)
        if step.opaque:
            is_json = False
        text = "<bytes>" if step.opaque and answer.body else answer.body.decode("utf-8", "backslashreplace")
        body = text
        if is_json and text:
            try:
                body = json.loads(text)
            except ValueError:
                is_json, text = False, f"<not JSON> {text}"
        if is_json and text and step.only:
            body = {place: self.part(body, place) for place in step.only}
        body = self.value(body) if is_json and text else self.text(text)
        headers = {
            name.lower(): self.header(step, name.lower(), value)
            for name, value in answer.headers
            if name.lower() not in UNHEARD
        }
        return Plain(step.title, answer.status, headers, body, step.unordered)

    @staticmethod
    def part(body, place):
        try:
            return pointed(body, place)
        except (LookupError, TypeError, ValueError):
            return "<nothing there>"

    def header(self, step, name, value):
        if name in self.opaque:
            return self.hashed(value)
        if name != self.index_header:
            return self.text(value)
        question = re.sub(r"[?&](index|wait)=[^&]*", "", step.path)
        before, self.indexes[question] = self.indexes.get(question), int(value)
        if before is None:
            return "first"
        if before == int(value):
            return "same"
        is_number = not self.unordered or not step.path.startswith(self.unordered)
        return "went back" if is_number and before > int(value) else "moved"

    def value(self, value):
        if isinstance(value, dict):
            plain = {
                self.text(key): self.hashed(one) if key in self.opaque else self.value(one)
                for key, one in value.items()
            }
            made, changed = value.get("CreateIndex"), value.get("ModifyIndex")
            if isinstance(made, int) and isinstance(changed, int):
                plain["CreateIndex"] = "index" if made else 0
                word = "as created" if changed == made else "since changed" if changed > made else "before"
                plain["ModifyIndex"] = word
            return plain
        if isinstance(value, list):
            return [self.value(one) for one in value]
        return self.text(value) if isinstance(value, str) else value

    def text(self, text):
        for own, word in self.words:
            text = text.replace(own, word)
        return UUID.sub(lambda found: found[0] if found[0] in self.fixed else self.named(found[0]), text)

    def hashed(self, own):
        return f"<hash {self.hashes.setdefault(own, len(self.hashes) + 1)}>"

    def named(self, own):
        return f"<id {self.ids.setdefault(own, len(self.ids) + 1)}>"
