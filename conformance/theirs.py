"""Tests that others wrote: each must pass, but for those that are written down as failing here, which must fail."""

import tap


def judge(results, fails):
    """`results`: what each test said when it failed, or nothing. `fails`: why some are expected to."""
    for name, said in sorted(results.items()):
        why = fails.get(name)
        if why is None:
            tap.report(name, said and " ".join(said.split())[-400:])
        elif said:
            tap.report(f"{name} fails as it is expected to: {why}")
        else:
            tap.report(name, f"it passes, and is listed as failing: {why}")
    for name in sorted(fails.keys() - results.keys()):
        tap.report(name, "it is listed as failing, and there is no such test")
