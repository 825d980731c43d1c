"""What a start costs is what it imports: what a sweep does not need stays outside."""

import json
import subprocess
import sys

_PROGRAM = """
import json, sys
import runner.cli.run, runner.kube
from runner.kube.library import config_modules
from runner.playbook import resolve
config_modules()
name = resolve("triage").name
heavy = {"aiohttp", "apprise", "awscrt", "kubernetes.client", "obstore", "opentelemetry",
         "prometheus_client", "pydantic", "requests", "rich", "sigstore", "tenacity"}
print(json.dumps([sorted(heavy & set(sys.modules)), name]))
"""


def test_a_sweep_imports_what_it_needs() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    )

    assert json.loads(done.stdout) == [[], "triage"]
