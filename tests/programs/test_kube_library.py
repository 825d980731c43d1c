"""Only what is needed of the `kubernetes` library is imported, and the rest can still be."""

import json
import subprocess
import sys

_PROGRAM = """
import json, sys
from runner.kube.library import config_modules
load = config_modules().kube_config.load_kube_config_from_dict
heavy = sorted({"aiohttp", "requests", "oauthlib", "urllib3", "websocket"} & set(sys.modules))
import aiohttp, kubernetes.client, kubernetes.aio.client
from kubernetes.aio.config.openid import OpenIDRequestor
OpenIDRequestor("id", "secret", "https://issuer.example.org")._get_connector
print(json.dumps([
    heavy, callable(load), hasattr(kubernetes.client, "V1Pod"),
    isinstance(kubernetes.aio.client.Configuration, type), hasattr(aiohttp, "ClientSession"),
]))
"""


def test_the_rest_of_the_library_stays_outside() -> None:
    """And what is imported of it afterwards, or used inside of it, is the real one."""
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True
    )

    assert json.loads(done.stdout) == [[], True, True, True, True]
