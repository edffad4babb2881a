"""What is noted of answers, and the few words that every scenario uses."""

import re

NAMESPACES = "/api/v1/namespaces"
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
ADDRESS = re.compile(r"10\.96\.\d+\.\d+")
# What every store and every run gives differently.
OWN = {"uid": "UID", "resourceVersion": "VERSION", "continue": "TOKEN", "nodePort": "PORT", "name": None, "message": None}


class Notes:
    """Answers without what differs from run to run."""

    def __init__(self):
        self.lines = []

    def note(self, what, answer):
        self.lines.append((what, plain(answer)))
        return answer


def plain(value, key=None):
    if isinstance(value, dict):
        return {name: plain(inner, name) for name, inner in value.items()}
    if key == "managedFields":
        # They are in the order of their times, which have whole seconds.
        return sorted((plain(inner) for inner in value), key=str)
    if isinstance(value, (list, tuple)):
        return [plain(inner) for inner in value]
    if OWN.get(key) and value not in ("", "0"):
        return OWN[key]
    if isinstance(value, str):
        value = ADDRESS.sub("ADDRESS", MOMENT.sub("MOMENT", value))
        # Versions that are named in a sentence; uids.
        value = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}", "UID", value)
        value = re.sub(r"\b\d{2,}\b", "NUMBER", value) if key == "message" else value
    return value


def version(thing):
    return thing["metadata"]["resourceVersion"]


def named(things):
    return [thing["metadata"]["name"] for thing in things["items"]]


def happened(events):
    return [(event["type"], event["object"]["metadata"]["name"]) for event in events]


def config_map(name, data=None, **metadata):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}, "data": data or {"k": "v"}}


def namespace(api, name):
    name += api.mark
    api.post(NAMESPACES, {"metadata": {"name": name}})
    return f"{NAMESPACES}/{name}"
