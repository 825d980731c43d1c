"""What every part of a document of ours has in common."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel


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


def mapping(value: Any) -> Mapping[str, Any]:
    """A part of a file that may be wrong, as the mapping it should be."""
    return value if isinstance(value, Mapping) else {}


def listed(value: Any) -> Sequence[Any]:
    """The same for a list."""
    return value if isinstance(value, tuple) else ()
