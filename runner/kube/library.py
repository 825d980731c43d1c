"""The way into the `kubernetes` library that leaves its synchronous half out.

`import kubernetes.aio.config` runs `kubernetes/__init__.py` and `kubernetes/aio/__init__.py` first,
which import every client, watch and informer with requests, urllib3 and oauthlib: two thirds of the
time and 20 MB of memory, for nothing that is used here. Packages that only say where their modules
are do for the modules that we want; whoever imports more of `kubernetes` afterwards finds it.
"""

import sys
from importlib.util import find_spec
from types import ModuleType


def without_the_rest() -> None:
    """To be called before anything of `kubernetes.aio` is imported."""
    if "kubernetes" in sys.modules:
        return
    spec = find_spec("kubernetes")
    places = list((spec.submodule_search_locations if spec is not None else None) or ())
    for name, below in (("kubernetes", ""), ("kubernetes.aio", "/aio")):
        package = ModuleType(name)
        package.__path__ = [f"{place}{below}" for place in places]
        sys.modules[name] = package
