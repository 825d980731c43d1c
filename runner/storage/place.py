"""Where in an object store something is to go, from a URL."""

import re
from urllib.parse import urlsplit

import msgspec

SCHEMES = ("s3", "gs", "az", "file")
FORMS = "s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, az://ACCOUNT/CONTAINER/PREFIX or file:///FOLDER"
_SUFFIXES = (".tar.zst", ".tzst", ".tar.gz", ".tgz")
_KEY = re.compile(r"[\w.\-/ ()!*'=+]*", re.ASCII)


class PlaceError(Exception):
    """A URL that says no place; one line."""


class Place(msgspec.Struct, frozen=True):
    """`base` is what a client is made for, `key` the object's name in it."""

    base: str
    key: str

    @property
    def url(self) -> str:
        return f"{self.base.rstrip('/')}/{self.key}"

    @property
    def scheme(self) -> str:
        return self.base.partition(":")[0]

    @classmethod
    def of(cls, url: str, name: str) -> "Place":
        """The URL names the object, if it ends as bundles do, else the folder for `name`. Raises
        PlaceError."""
        parts = urlsplit(url)
        if parts.scheme not in SCHEMES:
            raise PlaceError(f"{_shown(url)}: a place looks like {FORMS}")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise PlaceError(
                f"{_shown(url)}: credentials and options come from the environment, not in the URL"
            )
        segments = [segment for segment in parts.path.split("/") if segment]
        if any(segment in {".", ".."} for segment in segments) or not _KEY.fullmatch(parts.path):
            raise PlaceError(f"{_shown(url)}: has a path that object stores do not take")
        if not (segments and segments[-1].endswith(_SUFFIXES)):
            segments.append(name)
        if parts.scheme == "file":
            if parts.netloc:
                raise PlaceError(f"{url}: a folder of this machine has three slashes: file:///srv")
            return cls("file:///" + "/".join(segments[:-1]), segments[-1])
        if not parts.netloc:
            raise PlaceError(f"{url}: names no bucket; a place looks like {FORMS}")
        if parts.scheme == "az":
            if len(segments) < 2:
                raise PlaceError(f"{url}: names no container: az://ACCOUNT/CONTAINER/PREFIX")
            return cls(f"az://{parts.netloc}/{segments[0]}", "/".join(segments[1:]))
        return cls(f"{parts.scheme}://{parts.netloc}", "/".join(segments))


def is_remote(value: str) -> bool:
    """Whether an `-o` is one of these and no folder."""
    return value.partition("://")[0] in SCHEMES and "://" in value


def _shown(url: str) -> str:
    """Without what might be a password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
