"""What a start costs is what it imports: what a sweep does not need stays outside."""

import json
import subprocess
import sys

_PROGRAM = """
import json, sys
import importlib.metadata as metadata
scanned, find = [], metadata.entry_points
metadata.entry_points = lambda **group: scanned.append(group) or find(**group)
import runner.cli.run, runner.kube
from runner.kube.library import config_modules
from runner.playbook import resolve
config_modules()
name = resolve("triage").name
heavy = {"aiohttp", "apprise", "awscrt", "kubernetes.client", "obstore", "opentelemetry",
         "prometheus_client", "requests", "rich", "sigstore", "tenacity"}
print(json.dumps([sorted(heavy & set(sys.modules)), scanned, name]))
"""


def test_a_sweep_imports_what_it_needs() -> None:
    """And reads the metadata of no other package for plug-ins of pydantic."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    )

    assert json.loads(done.stdout) == [[], [], "triage"]
