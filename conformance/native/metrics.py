"""/metrics as Prometheus reads it: its own Python parser, and promtool where it is installed."""

import os
import shutil
import subprocess

import httpx
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from tap import check, finish, skip

URL = os.environ["SWITCHBOARD_URL"]
http = httpx.Client(base_url=URL, timeout=15, trust_env=False)


def scrape(accept=None):
    response = http.get("/metrics", headers={"Accept": accept} if accept else {})
    response.raise_for_status()
    return response


def parse():
    """Both texts, each by its own parser: the same families."""
    response = scrape("application/openmetrics-text;version=1.0.0,text/plain;q=0.5")
    if not response.headers["Content-Type"].startswith("application/openmetrics-text"):
        raise AssertionError(f"asked for OpenMetrics, got {response.headers['Content-Type']}")
    families = list(openmetrics.text_string_to_metric_families(response.text))
    classic = list(text_string_to_metric_families(scrape().text))
    if [family.name for family in classic] != [family.name for family in families]:
        raise AssertionError(f"the two texts differ: {classic} and {families}")
    if not any(family.name.startswith("switchboard_") for family in families):
        raise AssertionError(f"none of {len(families)} families is named switchboard_*")
    return families


def names(families):
    seen = [family.name for family in families]
    twice = sorted({name for name in seen if seen.count(name) > 1})
    silent = sorted(family.name for family in families if not family.documentation)
    if twice or silent:
        raise AssertionError(f"families given twice: {twice}, without help: {silent}")


def promtool():
    text = scrape("text/plain;version=0.0.4").text
    run = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, timeout=60)
    if run.returncode != 0:
        raise AssertionError(run.stderr or run.stdout)


http.post("/v1/register", json={"service": "measured", "host": "127.0.0.1", "port": 1, "ttl": 30})
families = check("prometheus_client reads /metrics", parse)
if families:
    check("every family is given once and explained", names, families)
if shutil.which("promtool"):
    check("promtool check metrics", promtool)
else:
    skip("promtool check metrics", "promtool is not installed")
finish()
