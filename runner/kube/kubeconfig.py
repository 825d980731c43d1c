"""kubeconfig files put together the way kubectl does it; pure apart from reading the files.

The library's own merge lets the last file's current-context win where kubectl lets the first:
with two files in KUBECONFIG it would talk to another cluster than `kubectl` does.
"""

import base64
import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from runner.cluster import ClusterError, ErrorReason
from runner.kube.errors import one_line

_PATHS = {
    "clusters": ("cluster", ("certificate-authority",)),
    "users": ("user", ("client-certificate", "client-key", "tokenFile")),
    "contexts": ("context", ()),
}

# What each part holds; anything else is the library's business.
_WORDS: Mapping[str, Sequence[str]] = {
    "context": ("cluster", "user", "namespace"),
    "cluster": (
        "certificate-authority",
        "certificate-authority-data",
        "proxy-url",
        "server",
        "tls-server-name",
    ),
    "user": (
        "client-certificate",
        "client-certificate-data",
        "client-key",
        "client-key-data",
        "password",
        "token",
        "tokenFile",
        "username",
    ),
    "exec": ("apiVersion", "command", "installHint", "interactiveMode"),
    "env": ("name", "value"),
}
_FLAGS = ("disable-compression", "insecure-skip-tls-verify", "provideClusterConfig")
_PAIRS = (("client-certificate", "client-key"), ("client-key", "client-certificate"))
_DATA = ("certificate-authority-data", "client-certificate-data", "client-key-data")


def config_error(message: str) -> ClusterError:
    return ClusterError(ErrorReason.CONFIG, one_line(message))


def find(kubeconfig: str | None, environ: Mapping[str, str], home: Path) -> list[Path]:
    """The files to read: --kubeconfig, else $KUBECONFIG, else ~/.kube/config; [] when none is.

    Raises ClusterError when files were named and none of them is there.
    """
    if kubeconfig is not None:
        path = Path(kubeconfig).expanduser()
        if not _is_there(path):
            why = "it is a directory" if path.is_dir() else "there is no such file"
            raise config_error(f"--kubeconfig {kubeconfig}: {why}")
        return [path]
    listed = environ.get("KUBECONFIG", "")
    if listed:
        paths = [Path(item).expanduser() for item in listed.split(":") if item]
        there = [path for path in paths if _is_there(path)]
        if not there:
            raise config_error(f"KUBECONFIG={listed}: there is no such file")
        return there
    default = home / ".kube" / "config"
    return [default] if default.is_file() else []


def _is_there(path: Path) -> bool:
    """A pipe is a file, too: `--kubeconfig <(vault read …)`."""
    return path.exists() and not path.is_dir()


def read(paths: Sequence[Path]) -> dict[str, Any]:
    """One kubeconfig of all files: of each name, and of current-context, the first one counts."""
    merged: dict[str, Any] = {"clusters": [], "users": [], "contexts": [], "current-context": ""}
    seen: set[tuple[str, str]] = set()
    for path in paths:
        document = _load(path)
        current = document.get("current-context") or ""
        if not isinstance(current, str):
            raise config_error(f"{path}: current-context must be a string, found {_kind(current)}")
        merged["current-context"] = merged["current-context"] or current
        for kind in _PATHS:
            for name, entry in _entries(path, kind, document.get(kind)):
                if (kind, name) not in seen:
                    seen.add((kind, name))
                    merged[kind].append({"name": name, _PATHS[kind][0]: entry})
    return merged


def select(merged: dict[str, Any], context: str | None, source: str) -> dict[str, Any]:
    """The kubeconfig with the chosen context, its cluster and its user only; all of them exist."""
    contexts = {entry["name"]: entry["context"] for entry in merged["contexts"]}
    name = context or merged["current-context"]
    if not contexts:
        raise config_error(
            f"{source}: there is no context in it: it is no kubeconfig, or an empty one"
        )
    if not name:
        known = ", ".join(sorted(contexts))
        raise config_error(f"{source}: no current-context; name one with --context ({known})")
    if name not in contexts:
        raise config_error(f"{source}: there is no context {name!r}{_hint(name, contexts)}")
    chosen = contexts[name]
    _check_kinds("context", f"{source}: context {name!r}", chosen)
    clusters = {entry["name"]: entry["cluster"] for entry in merged["clusters"]}
    users = {entry["name"]: entry["user"] for entry in merged["users"]}
    cluster_name, user_name = chosen.get("cluster") or "", chosen.get("user") or ""
    if cluster_name not in clusters:
        hint = _hint(cluster_name, clusters)
        raise config_error(
            f"{source}: context {name!r} names cluster {cluster_name!r}, which is not in it{hint}"
        )
    if user_name and user_name not in users:
        hint = _hint(user_name, users)
        raise config_error(
            f"{source}: context {name!r} names user {user_name!r}, which is not in it{hint}"
        )
    cluster = clusters[cluster_name]
    server = cluster.get("server")
    if not isinstance(server, str) or not _is_url(server):
        found = f": found {server!r}, expected https://HOST:PORT" if server else ""
        raise config_error(f"{source}: cluster {cluster_name!r} has no server that is a URL{found}")
    user = dict(users.get(user_name) or {})
    if user.get("tokenFile"):
        # kubectl prefers the file, which is kept fresh; the library prefers the token.
        user.pop("token", None)
    parts = (("cluster", cluster_name, cluster), ("user", user_name, user))
    for what, which, body in parts:
        _check_kinds(what, f"{source}: {what} {which!r}", body)
        _check_data(f"{source}: {what} {which!r}", body)
    _check_user(f"{source}: user {user_name!r}", user)
    selected_context = {**chosen, "cluster": cluster_name, "user": "user"}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "contexts": [{"name": name, "context": selected_context}],
        "clusters": [{"name": cluster_name, "cluster": cluster}],
        "users": [{"name": "user", "user": user}],
    }


def _is_url(text: str) -> bool:
    try:
        url = urlsplit(text)
        return url.scheme in ("https", "http") and bool(url.hostname) and url.port != 0
    except ValueError:
        return False


def _kind(value: object) -> str:
    """Not the value itself: it may be meant as a secret."""
    if isinstance(value, bool):
        return "true or false"
    words = {int: "a number", float: "a number", str: "a string", list: "a list", dict: "a mapping"}
    return words.get(type(value), "a date")


def _check_kinds(what: str, whose: str, body: Mapping[str, Any]) -> None:
    for field in _WORDS[what]:
        if not isinstance(body.get(field, ""), str):
            raise config_error(f"{whose}: {field} must be a string, found {_kind(body[field])}")
    for field in _FLAGS:
        if not isinstance(body.get(field, False), bool):
            found = _kind(body[field])
            raise config_error(f"{whose}: {field} must be true or false, found {found}")


def _check_user(whose: str, user: Mapping[str, Any]) -> None:
    for one, other in _PAIRS:
        if _either(user, one) and not _either(user, other):
            raise config_error(f"{whose}: {one} is there without {other}")
    plug_in = user.get("exec")
    if plug_in is None:
        return
    if not isinstance(plug_in, dict):
        raise config_error(f"{whose}: exec must be a mapping, found {_kind(plug_in)}")
    plug_in = {field: value for field, value in plug_in.items() if value is not None}
    _check_kinds("exec", f"{whose}: exec", plug_in)
    if missing := [field for field in ("apiVersion", "command") if not plug_in.get(field)]:
        raise config_error(f"{whose}: exec has no {' and no '.join(missing)}")
    for field, kind in (("args", str), ("env", dict)):
        entries = plug_in.get(field, [])
        if not isinstance(entries, list):
            raise config_error(f"{whose}: exec.{field} must be a list, found {_kind(entries)}")
        for index, entry in enumerate(entries):
            place = f"{whose}: exec.{field}[{index}]"
            if not isinstance(entry, kind):
                what = "a string" if kind is str else "a mapping of name and value"
                raise config_error(f"{place} must be {what}, found {_kind(entry)}")
            if isinstance(entry, dict):
                _check_kinds("env", place, entry)


def _either(user: Mapping[str, Any], field: str) -> bool:
    return bool(user.get(field) or user.get(f"{field}-data"))


def _check_data(whose: str, body: Mapping[str, Any]) -> None:
    for field in _DATA:
        value = body.get(field)
        try:
            found = base64.b64decode(value or "", validate=True)
        except (TypeError, ValueError):
            raise config_error(f"{whose}: {field} is not base64") from None
        if value and not found.lstrip().startswith(b"-----BEGIN "):
            raise config_error(f"{whose}: {field} holds no PEM: expected -----BEGIN … in base64")


def _load(path: Path) -> dict[str, Any]:
    try:
        raw = path.read_bytes()
        document = yaml.load(raw, Loader=yaml.CSafeLoader)
    except OSError as error:
        raise config_error(f"{path}: cannot be read: {error.strerror}") from None
    except yaml.MarkedYAMLError as error:
        from runner.playbook import syntax  # noqa: PLC0415  most files are YAML

        line, column, words = syntax.said(raw.decode(errors="replace"), error)
        raise config_error(f"{path}:{line}:{column}: not valid YAML: {words}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise config_error(f"{path}: not valid YAML: {error}") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise config_error(f"{path}: not a kubeconfig: expected a mapping at the top")
    return document


def _entries(path: Path, kind: str, listed: object) -> list[tuple[str, dict[str, Any]]]:
    """(name, body) of each entry of a list; paths in them made absolute beside their file."""
    if listed is None:
        return []
    if not isinstance(listed, list):
        raise config_error(f"{path}: {kind}: expected a list")
    key, path_fields = _PATHS[kind]
    entries = []
    for index, item in enumerate(listed):
        name = item.get("name") if isinstance(item, dict) else None
        body = (item.get(key) or {}) if isinstance(item, dict) else None
        if not isinstance(name, str | None):
            found = _kind(name)
            raise config_error(f"{path}: {kind}[{index}]: name must be a string, found {found}")
        if not isinstance(name, str) or not isinstance(body, dict):
            raise config_error(f"{path}: {kind}[{index}]: expected name and {key}")
        body = {field: value for field, value in body.items() if value is not None}
        for field in path_fields:
            if isinstance(body.get(field), str) and body[field]:
                body[field] = str(path.absolute().parent / body[field])
        entries.append((name, body))
    return entries


def _hint(name: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f" (did you mean {close[0]!r}?)"
    return f" (there are: {', '.join(sorted(known))})" if known else " (there is none)"
