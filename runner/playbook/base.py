"""What every part of a document of ours has in common."""

from collections.abc import Mapping
from typing import ClassVar

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
        use_attribute_docstrings=True,
    )

    refused: ClassVar[Mapping[str, str]] = {}
    """Fields that people know from elsewhere and that cannot be here, each with the reason."""
