"""Where the server is and who we are there: from a kubeconfig or from the pod we run in."""

import asyncio
import hashlib
import os
import shlex
import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from runner.cluster import ClusterError
from runner.kube import kubeconfig as files
from runner.kube.curl import Trust
from runner.kube.kubeconfig import config_error
from runner.kube.login import Configuration, KubeconfigLogin, Login, ServiceAccountLogin
from runner.kube.network import complete_proxy, proxy_from_environment

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
LOGIN_SECONDS = 60.0
REFRESH_SECONDS = 60.0
_TLS_REASONS = {
    "PEM lib": "one of them is no PEM, or the key is kept under a password",
    "KEY_VALUES_MISMATCH": "the key does not belong to the certificate",
}
Headers = Sequence[tuple[str, str]]


class Access:
    """The server and our credentials for it; `headers`, `ssl` and the others go with each request
    and are replaced by a refresh."""

    def __init__(
        self,
        login: Login,
        *,
        description: str,
        default_namespace: str,
        check_command: str,
        impersonation: Headers,
        environ: Mapping[str, str],
    ) -> None:
        self._login = login
        self._impersonation = impersonation
        self._environ = environ
        self._configuration: Any = None
        self._refreshing = asyncio.Lock()
        self._loaded_at = 0.0
        self._tls_digest = b""
        self.description = description
        self.default_namespace = default_namespace
        self.check_command = check_command
        self.headers: Headers = ()
        self.server = ""
        self.shown_server = ""
        self.trust = Trust()
        self.ssl: ssl.SSLContext | bool = True
        self.server_hostname: str | None = None
        self.proxy: str | None = None

    async def load(self) -> None:
        """Read everything for the first time; raises ClusterError(CONFIG)."""
        self._configuration = Configuration()
        await self._update(forced=False)

    @property
    def is_due(self) -> bool:
        return self._login.changes and _now() - self._loaded_at > REFRESH_SECONDS

    async def refresh(self) -> None:
        """Read credentials again when that is due."""
        async with self._refreshing:
            if not self.is_due:
                return
            try:
                await self._update(forced=False)
            except ClusterError:
                # What we have may be good for a while: a file is just being replaced, a plug-in
                # has a bad minute. The server will say when it is not.
                self._loaded_at = _now()

    async def replace(self, refused: Headers) -> None:
        """Read credentials again after a 401 to a request with these headers; raises
        ClusterError. Of many requests that met it, whenever, the first does it for all."""
        async with self._refreshing:
            if self.headers is refused:
                await self._update(forced=True)

    async def _update(self, *, forced: bool) -> None:
        configuration = self._configuration
        try:
            async with asyncio.timeout(LOGIN_SECONDS):
                await self._login.load(configuration, forced=forced)
            self._set_server()
            self._set_headers(configuration.api_key.get("BearerToken") or "")
            self._login.forget_files()
        except ClusterError:
            raise
        except TimeoutError:
            raise config_error(
                f"{self.description}: no credentials within {LOGIN_SECONDS:.0f} s: "
                "does the exec plug-in wait for input?"
            ) from None
        except Exception as error:  # noqa: BLE001  (the library raises what it runs into)
            raise config_error(f"{self.description}: {error or type(error).__name__}") from None
        self._loaded_at = _now()

    def _set_headers(self, authorization: str) -> None:
        # Tokens out of files come with their line feed.
        scheme, _, credential = authorization.strip().partition(" ")
        credential = credential.strip()
        if not (credential.isascii() and credential.isprintable()):
            raise config_error(f"{self.description}: the token has characters that none may have")
        # A list of its own each time: `replace` knows by it whether others were there before.
        headers = list(self._impersonation)
        if credential:
            name = "Bearer" if scheme.lower() == "bearer" else scheme
            headers.append(("Authorization", f"{name} {credential}"))
        self.headers = headers

    def _set_server(self) -> None:
        configuration = self._configuration
        self.server = str(configuration.host).rstrip("/")
        self.shown_server = _without_password(self.server)
        self.server_hostname = configuration.tls_server_name or None
        proxy = configuration.proxy or proxy_from_environment(self.server, self._environ)
        try:
            self.proxy = complete_proxy(proxy) if proxy else None
        except ValueError as error:
            raise config_error(f"{self.description}: {error}") from None
        if "https" in {urlsplit(self.server).scheme, urlsplit(self.proxy or "").scheme}:
            self._set_tls()

    def _set_tls(self) -> None:
        configuration = self._configuration
        paths = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
        try:
            contents = [Path(path).read_bytes() if path else b"" for path in paths]
            digest = hashlib.sha256(b"\0".join(contents)).digest()
            # Open connections belong to a context: a new one only for new certificates.
            if digest == self._tls_digest:
                return
            context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        except (OSError, ValueError) as error:
            raise self._unusable("certificate authority", paths[0], error) from None
        try:
            if configuration.cert_file:
                context.load_cert_chain(configuration.cert_file, configuration.key_file)
        except (OSError, ValueError) as error:
            raise self._unusable("client certificate and key", paths[1], error) from None
        if not configuration.verify_ssl:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        defaults = None if configuration.ssl_ca_cert else ssl.get_default_verify_paths()
        self.trust = Trust(
            authority=contents[0] or None,
            certificate=contents[1] or None,
            key=contents[2] or contents[1] or None,
            default_paths=(defaults.cafile, defaults.capath) if defaults else (None, None),
            is_verified=bool(configuration.verify_ssl),
        )
        self.ssl, self._tls_digest = context, digest

    def _unusable(self, what: str, path: str | None, error: Exception) -> ClusterError:
        path = getattr(error, "filename", None) or path
        if not self._login.is_users(path):
            path = "of the kubeconfig"
        why = str(getattr(error, "strerror", None) or error)
        why = next((text for sign, text in _TLS_REASONS.items() if sign in why), why)
        return config_error(f"{self.description}: {what} {path} cannot be used: {why}")


def find_access(
    *,
    kubeconfig: str | None,
    context: str | None,
    impersonate: str | None = None,
    environ: Mapping[str, str] | None = None,
    home: Path | None = None,
    service_account: Path | None = None,
) -> Access:
    """Decide where to connect; nothing is sent and no plug-in run. Raises ClusterError(CONFIG)."""
    environ = os.environ if environ is None else environ
    service_account = service_account or SERVICE_ACCOUNT
    paths = files.find(kubeconfig, environ, home or Path.home())
    if paths:
        source = ":".join(map(str, paths))
        selected = files.select(files.read(paths), context, source)
        name = selected["current-context"]
        option = f"--kubeconfig {shlex.quote(kubeconfig)} " if kubeconfig else ""
        return Access(
            KubeconfigLogin(selected),
            description=f"context {name}",
            default_namespace=selected["contexts"][0]["context"].get("namespace") or "default",
            check_command=f"kubectl {option}--context {shlex.quote(name)} version",
            impersonation=_impersonation(impersonate, selected["users"][0]["user"]),
            environ=environ,
        )
    if context is not None or not (service_account / "token").is_file():
        asked = f" with context {context!r}" if context else ""
        raise config_error(
            f"no kubeconfig{asked}: name one by --kubeconfig or KUBECONFIG "
            "(there is no ~/.kube/config, and this is not a pod with a service account)"
        )
    namespace = ""
    with suppress(OSError):
        namespace = (service_account / "namespace").read_text().strip()
    return Access(
        ServiceAccountLogin(service_account, environ),
        description="in the cluster",
        default_namespace=namespace or "default",
        check_command="kubectl version",
        impersonation=_impersonation(impersonate, {}),
        environ=environ,
    )


def _impersonation(asked: str | None, user: Mapping[str, Any]) -> Headers:
    """Headers of --as, or of `as…` in the kubeconfig: the library does not know those, and
    without them we would act with more rights than the user meant."""
    if asked:
        return _headers([("Impersonate-User", asked)])
    found = [
        (name, user[key])
        for name, key in (("Impersonate-User", "as"), ("Impersonate-Uid", "as-uid"))
        if user.get(key)
    ]
    found += [("Impersonate-Group", group) for group in user.get("as-groups") or ()]
    for key, values in (user.get("as-user-extra") or {}).items():
        name = f"Impersonate-Extra-{quote(str(key), safe='')}"
        found += [(name, value) for value in values]
    return _headers(found)


def _headers(pairs: Sequence[tuple[str, object]]) -> Headers:
    headers = tuple((name, str(value)) for name, value in pairs)
    for name, value in headers:
        if not value.isprintable():
            raise config_error(f"{name}: {value!r} has characters that no name may have")
    return headers


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _now() -> float:
    return asyncio.get_running_loop().time()
