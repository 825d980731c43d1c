"""kubeconfig files put together the way kubectl does it; pure apart from reading the files.

The library's own merge lets the last file's current-context win where kubectl lets the first:
with two files in KUBECONFIG it would talk to another cluster than `kubectl` does.
"""

import base64
import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from runner.cluster import ClusterError, ErrorReason
from runner.kube.errors import one_line

_PATHS = {
    "clusters": ("cluster", ("certificate-authority",)),
    "users": ("user", ("client-certificate", "client-key", "tokenFile")),
    "contexts": ("context", ()),
}

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
    if not isinstance(server, str) or not server.startswith(("https://", "http://")):
        found = f": found {server!r}, expected https://HOST:PORT" if server else ""
        raise config_error(f"{source}: cluster {cluster_name!r} has no server that is a URL{found}")
    user = dict(users.get(user_name) or {})
    if user.get("tokenFile"):
        # kubectl prefers the file, which is kept fresh; the library prefers the token.
        user.pop("token", None)
    for whose, body in ((f"cluster {cluster_name!r}", cluster), (f"user {user_name!r}", user)):
        _check_data(f"{source}: {whose}", body)
    selected_context = {**chosen, "cluster": cluster_name, "user": "user"}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "contexts": [{"name": name, "context": selected_context}],
        "clusters": [{"name": cluster_name, "cluster": cluster}],
        "users": [{"name": "user", "user": user}],
    }


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
