"""What every part of a document of ours has in common."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, PrivateAttr
from pydantic.alias_generators import to_camel
from pydantic.plugin import _loader

# Nobody's plugins are ours. To look for them pydantic reads the metadata of every package that is
# installed; its own switch is a variable of the environment, which exec plug-ins would inherit.
_loader._plugins = {}  # noqa: SLF001


class Spec(BaseModel):
    """The base of every part: nothing is guessed, converted or ignored."""

    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        # Read from the source where somebody asks (runner.playbook.schema): at each start it would
        # cost more than reading the playbooks. Validators are built when they are first used.
        defer_build=True,
    )

    refused: ClassVar[Mapping[str, str]] = {}
    """Fields that people know from elsewhere and that cannot be here, each with the reason."""


class Document(Spec):
    """A whole file. It knows where it was read and what stood there; one that holds without a file
    has neither."""

    api_version: Literal["podmedic.io/v1alpha1"]
    """Version of this format."""

    _source: str = PrivateAttr(default="")
    _sha256: str = PrivateAttr(default="")
    _text: str = PrivateAttr(default="")

    @property
    def source(self) -> str:
        """Where it was read from: a path, or `built-in`."""
        return self._source

    @property
    def sha256(self) -> str:
        """Hash of the bytes that were read, hexadecimal."""
        return self._sha256

    @property
    def text(self) -> str:
        """The file as it was read."""
        return self._text

    def was_read(self, source: str, text: str, sha256: str) -> None:
        """For those who read it."""
        self._source, self._text, self._sha256 = source, text, sha256


def mapping(value: Any) -> Mapping[str, Any]:
    """A part of a file that may be wrong, as the mapping it should be."""
    return value if isinstance(value, Mapping) else {}


def listed(value: Any) -> Sequence[Any]:
    """The same for a list."""
    return value if isinstance(value, tuple) else ()
