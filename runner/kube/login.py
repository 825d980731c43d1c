"""Credentials, read by the kubernetes library."""

import ast
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import msgspec

from runner.kube.library import config_modules

_NO_FILE = re.compile(r"File does not exists: (.+)")
_LOADER_LOGGER = "kubernetes.aio.config.kube_config"


class Configuration(msgspec.Struct):
    """What the library's loaders write of who and where we are, named as they name it: the
    library's own class brings its whole HTTP client."""

    host: str = ""
    ssl_ca_cert: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    verify_ssl: bool = True
    tls_server_name: str | None = None
    proxy: str | None = None
    api_key: dict[str, str] = msgspec.field(default_factory=dict)


class Login(Protocol):
    """Brings a Configuration up to date. `changes` says whether another time may give others."""

    changes: bool

    async def load(self, configuration: Configuration, *, forced: bool) -> None: ...

    def forget_files(self) -> None:
        """Remove what was written to temporary files, where it is no longer needed."""

    def is_users(self, path: str | None) -> bool:
        """Whether that is a file that the user knows of, and not one that was made here."""


class KubeconfigLogin:
    """A context of a kubeconfig: certificates, tokens, token files, exec plug-ins, OIDC."""

    def __init__(self, selected: dict[str, Any]) -> None:
        user = selected["users"][0]["user"]
        self._selected = selected
        self._has_plugin = "exec" in user
        self._loader: Any = None
        self.changes = any(key in user for key in ("exec", "auth-provider", "tokenFile"))

    async def load(self, configuration: Configuration, *, forced: bool) -> None:
        load = config_modules().kube_config.load_kube_config_from_dict
        plugin = self._selected["users"][0]["user"].get("exec") or {}
        hint = [str(plugin["installHint"])] if plugin.get("installHint") else []
        try:
            with _errors_of_the_library() as errors:
                if self._loader is None or forced:
                    configuration.api_key.pop("BearerToken", None)
                    self._loader = await load(self._selected, client_configuration=configuration)
                else:
                    await self._loader.load_and_set(configuration)
        except OSError as error:
            if error.filename is None:
                raise
            raise ValueError(f"{self._named(error.filename)}: {error.strerror}") from None
        except config_modules().kube_config.ConfigException as error:
            if (found := _NO_FILE.fullmatch(str(error))) is None:
                raise
            raise ValueError(f"{self._named(found[1])}: there is no such file") from None
        if errors:
            raise ValueError("; ".join([*map(_readable, errors), *hint]))

    def _named(self, path: str) -> str:
        """A file with the field of the kubeconfig that names it."""
        cluster = self._selected["clusters"][0]
        user = self._selected["users"][0]["user"]
        for whose, body in (
            (f"cluster {cluster['name']!r}", cluster["cluster"]),
            ("its user", user),
        ):
            for field, value in body.items():
                if value == path:
                    return f"{field} of {whose}: {path}"
        return path

    def forget_files(self) -> None:
        # The library keeps private keys of a kubeconfig in files until the process ends. What a
        # plug-in gave it reads again at each refresh, so that has to stay.
        if not self._has_plugin:
            config_modules().kube_config._cleanup_temp_files()  # noqa: SLF001

    def is_users(self, path: str | None) -> bool:
        bodies = (self._selected["clusters"][0]["cluster"], self._selected["users"][0]["user"])
        return any(path in body.values() for body in bodies)


class ServiceAccountLogin:
    """The service account of the pod that we run in; the kubelet renews its token."""

    changes = True

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self._folder = folder
        self._environ = environ

    async def load(self, configuration: Configuration, *, forced: bool) -> None:  # noqa: ARG002
        config_modules().incluster_config.InClusterConfigLoader(
            token_filename=str(self._folder / "token"),
            cert_filename=str(self._folder / "ca.crt"),
            try_refresh_token=False,
            environ=self._environ,
        ).load_and_set(configuration)

    def forget_files(self) -> None: ...

    def is_users(self, path: str | None) -> bool:  # noqa: ARG002
        return True


def _readable(message: str) -> str:
    """The library shows what a plug-in wrote as the literal of a bytes object, and of one that is
    not there what Python says."""
    if missing := re.fullmatch(r"\[Errno \d+\] (.*): '(.*)'", message):
        return f"exec plug-in {missing[2]}: {missing[1]}"
    if "failed to decode process output" in message:
        return "the exec plug-in wrote no ExecCredential (JSON) to its stdout"
    match = re.fullmatch(r"(.*?)(b(['\"]).*\3)", message, re.DOTALL)
    if not match:
        return message
    return match[1] + bytes(ast.literal_eval(match[2])).decode(errors="replace")


@contextmanager
def _errors_of_the_library() -> Iterator[list[str]]:
    """The library logs the failure of an exec plug-in and goes on without credentials."""
    heard: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    logger, ear = logging.getLogger(_LOADER_LOGGER), Ear(logging.ERROR)
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(ear)
    try:
        yield heard
    finally:
        logger.removeHandler(ear)
        logger.propagate = propagated
