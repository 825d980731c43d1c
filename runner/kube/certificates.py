"""The import of aiohttp, without the machine's certificates.

aiohttp makes two TLS contexts when it is imported, and reads all certificates that the machine
trusts into each of them: a fifth of the CPU until a sweep begins, for contexts that are not used
here, as every connection of ours over TLS has one of its own (`Access.ssl`). Whoever takes the
default by mistake trusts nobody: the connection fails.
"""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# What OpenSSL goes by before its own places.
_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


@contextmanager
def _no_certificates() -> Iterator[None]:
    before = {name: os.environ.get(name) for name in _VARIABLES}
    os.environ.update(dict.fromkeys(_VARIABLES, os.devnull))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def import_aiohttp() -> None:
    """To be called before anything imports aiohttp; afterwards it does nothing."""
    if "aiohttp" not in sys.modules:
        with _no_certificates():
            import aiohttp  # noqa: F401, PLC0415
