"""Undoes what Python and the libraries have changed since these tests were written; the tests stay as they are."""

import asyncio
import types

from hypothesis import HealthCheck, settings

if not hasattr(asyncio, "coroutine"):
    asyncio.coroutine = types.coroutine

# Each example starts etcdctl, so there are fewer of them.
settings.register_profile("here", deadline=None, suppress_health_check=list(HealthCheck), max_examples=25)
load_profile = settings.load_profile
# The tests load one of their own, which knows nothing of checks that were not there.
type.__setattr__(settings, "load_profile", staticmethod(lambda _: load_profile("here")))
