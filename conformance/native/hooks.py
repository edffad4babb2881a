"""Keeps a fuzzed registry at home.

A registered check makes the server probe an address, and generated addresses are anybody's. So every check that is
sent probes this machine, whatever address the instance itself claims.
"""

import schemathesis

HOME = "127.0.0.1"
# These wait for reports and probe nothing.
PASSIVE = ("ttl", "manual")


@schemathesis.hook
def before_call(context, case, kwargs):
    in_query = case.query if isinstance(case.query, dict) else {}
    if "wait" in in_query:
        # Long enough to wait for something, short enough for thousands of examples.
        in_query["wait"] = in_query["wait"] if is_malformed(case) else "50ms"
    elif "at_least" in in_query:
        in_query["wait"] = "50ms"
    is_check = "/checks/" in case.path and not case.path.endswith("/status")
    keep_home(case.body, is_check, HOME if not is_malformed(case) else 0)


def is_malformed(case):
    """Whether the example is meant to be refused."""
    mode = getattr(getattr(case.meta, "generation", None), "mode", None)
    return mode is not None and mode.name == "NEGATIVE"


def keep_home(body, is_check, home):
    if isinstance(body, list):
        for item in body:
            keep_home(item, is_check, home)
    if not isinstance(body, dict):
        return
    if is_check and body.get("type") not in PASSIVE and (body.get("host") is None or isinstance(body["host"], str)):
        # In a malformed example a number: it stays malformed, where an address might have repaired it.
        body["host"] = home
    for key, value in body.items():
        keep_home(value, key in ("check", "checks"), home)
