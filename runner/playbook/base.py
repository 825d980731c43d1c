"""What every part of a document of ours has in common."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Literal, Self

import msgspec


class Spec(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, dict=True
):
    """The base of every part, a value. What a file says becomes one through
    `runner.playbook.reading`, where nothing is guessed, converted or ignored; who makes one by
    hand is not checked."""

    refused: ClassVar[Mapping[str, str]] = {}
    """Fields that people know from elsewhere and that cannot be here, each with the reason."""
    also_in_schema: ClassVar[Mapping[str, Any]] = {}
    """What the JSON Schema of the part says beside its fields."""

    def changed(self, **fields: Any) -> Self:
        """The same with other values in these fields."""
        return msgspec.structs.replace(self, **fields)


class Check(msgspec.Struct, frozen=True):
    """In the annotation of a field of text: what more must hold. `problem` raises
    PlacedError."""

    problem: Callable[[str], object]


class _Origin(msgspec.Struct, frozen=True):
    source: str = ""
    text: str = ""
    sha256: str = ""


class Document(Spec, frozen=True, kw_only=True):
    """A whole file. It knows where it was read and what stood there; one that holds without a file
    has neither."""

    api_version: Literal["podmedic.io/v1alpha1"]
    """Version of this format."""

    @property
    def _origin(self) -> _Origin:
        return self.__dict__.get("origin", _Origin())  # type: ignore[no-any-return]

    @property
    def source(self) -> str:
        """Where it was read from: a path, or `built-in`."""
        return self._origin.source

    @property
    def sha256(self) -> str:
        """Hash of the bytes that were read, hexadecimal."""
        return self._origin.sha256

    @property
    def text(self) -> str:
        """The file as it was read."""
        return self._origin.text

    def was_read(self, source: str, text: str, sha256: str) -> None:
        """For those who read it. Two documents that say the same are equal wherever they stood."""
        self.__dict__["origin"] = _Origin(source, text, sha256)

    def changed(self, **fields: Any) -> Self:
        other = super().changed(**fields)
        other.__dict__.update(self.__dict__)
        return other


def mapping(value: Any) -> Mapping[str, Any]:
    """A part of a file that may be wrong, as the mapping it should be."""
    return value if isinstance(value, Mapping) else {}


def listed(value: Any) -> Sequence[Any]:
    """The same for a list."""
    return value if isinstance(value, tuple) else ()
