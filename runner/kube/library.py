"""The way into `kubernetes.aio.config` that leaves the rest of the `kubernetes` library out.

`import kubernetes.aio.config` runs `kubernetes/__init__.py`, `kubernetes/aio/__init__.py` and
`kubernetes/aio/client/__init__.py` first, which import clients, models and aiohttp: most of the
CPU until a sweep begins, for nothing that is used here. Meanwhile others stand in their place,
and are gone when the import is done: whoever imports more of `kubernetes` finds it.
"""

import importlib
import sys
from importlib.util import find_spec
from types import ModuleType
from typing import Any, NamedTuple

_CONFIG = "kubernetes.aio.config"


class ConfigModules(NamedTuple):
    """Of the library, which has no types."""

    kube_config: Any
    incluster_config: Any


class _OnUse(ModuleType):
    """A module that is imported when something of it is used, as for OIDC."""

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(self.__name__), name)


def config_modules() -> ConfigModules:
    """Raises ImportError."""
    if f"{_CONFIG}.kube_config" not in sys.modules:
        _import()
    return ConfigModules(
        sys.modules[f"{_CONFIG}.kube_config"], sys.modules[f"{_CONFIG}.incluster_config"]
    )


def _import() -> None:
    places = list(getattr(find_spec("kubernetes"), "submodule_search_locations", None) or ())
    stand_ins: dict[str, ModuleType] = {"aiohttp": _OnUse("aiohttp")}
    for name, below in (("kubernetes", ""), ("kubernetes.aio", "/aio")):
        stand_ins[name] = ModuleType(name)
        stand_ins[name].__path__ = [f"{place}{below}" for place in places]
    client = stand_ins["kubernetes.aio.client"] = ModuleType("kubernetes.aio.client")
    # Of the loaders' functions that are used here none makes one of these.
    vars(client).update(ApiClient=None, Configuration=None)
    missing = {name: module for name, module in stand_ins.items() if name not in sys.modules}
    sys.modules.update(missing)
    try:
        importlib.import_module(_CONFIG)
    finally:
        for name in missing:
            del sys.modules[name]
