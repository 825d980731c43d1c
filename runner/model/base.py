"""The base of every value of ours that is read from or written to JSON."""

import msgspec


class Value(
    msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True, gc=False
):
    """A frozen value whose JSON spelling is Kubernetes' own camelCase.

    Unknown fields are ignored on decoding: a projection of an API object names
    only what we use, and that is what makes reading ten thousand pods cheap.
    """


class Record(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Like `Value`, for what we publish: every key is always written, so that readers can rely
    on it."""
