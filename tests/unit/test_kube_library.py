"""Only what is needed of the `kubernetes` library is imported, and the rest can still be."""

import json
import subprocess
import sys

_PROGRAM = """
import json, sys
from runner.kube.library import without_the_rest
without_the_rest()
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import load_kube_config_from_dict
heavy = sorted({"requests", "oauthlib", "urllib3", "websocket"} & set(sys.modules))
import kubernetes.client
print(json.dumps([heavy, callable(load_kube_config_from_dict), hasattr(kubernetes.client, "V1Pod")]))
"""


def test_the_synchronous_half_stays_outside() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    )

    assert json.loads(done.stdout) == [[], True, True]
