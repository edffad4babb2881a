"""Keeps a fuzzed registry at home.

A registered check makes the server probe an address, and generated addresses are anybody's. So every check that is
sent probes this machine, whatever address the instance itself claims.
"""

import re

import schemathesis

HOME = "127.0.0.1"
# These wait for reports and probe nothing.
PASSIVE = ("ttl", "manual")


# What the description takes for a host, and what it and the server certainly do not.
HOST = re.compile(r"[A-Za-z0-9._:-]+")
NOWHERE = "not a host"


@schemathesis.hook
def before_call(context, case, kwargs):
    in_query = case.query if isinstance(case.query, dict) else {}
    if isinstance(in_query.get("wait"), str) and re.fullmatch("[0-9]{1,3}s", in_query["wait"]):
        # Thousands of examples have no time to wait.
        in_query["wait"] = "0s"
    elif "at_least" in in_query and "wait" not in in_query:
        in_query["wait"] = "0s"
    is_check = "/checks/" in case.path and not case.path.endswith("/status")
    keep_home(case.body, is_check)


def keep_home(body, is_check):
    if isinstance(body, list):
        for item in body:
            keep_home(item, is_check)
    if not isinstance(body, dict):
        return
    if is_check and body.get("type") not in PASSIVE:
        host = body.get("host")
        if host is None or (isinstance(host, str) and HOST.fullmatch(host)):
            body["host"] = HOME
        elif isinstance(host, str):
            # It was meant to be refused, and must not be tried where it was not.
            body["host"] = NOWHERE
    for key, value in body.items():
        keep_home(value, key in ("check", "checks"))
