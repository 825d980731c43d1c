"""What a node says that it ran, against the digest that was asked for."""

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest

from runner.cluster import Access
from runner.examine.tampered import ran_another
from runner.model.node import Node

A, B = "sha256:" + "a" * 64, "sha256:" + "b" * 64
ASKED = f"ghcr.io/acme/tools@{A}"
OTHER = f"ghcr.io/acme/tools@{B}"


class _Cluster:
    """One node that lists one image, which nobody or everybody may read."""

    def __init__(self, names: Sequence[str], *, granted: bool = True) -> None:
        node = {"metadata": {"name": "n1"}, "status": {"images": [{"names": names}]}}
        self._node = msgspec.convert(node, Node)
        self._granted = granted
        self.objects = self

    async def denied(self, questions: Sequence[Access]) -> Sequence[Access]:
        return () if self._granted else questions

    async def list(self, *_: Any, **__: Any) -> Sequence[Node]:
        return [self._node]


@pytest.mark.parametrize(
    ("image", "image_id", "names", "told"),
    [
        (ASKED, ASKED, (), ""),
        # By a mirror, by a tag, and what no digest of a manifest is.
        (ASKED, f"mirror.local/tools@{A}", (), ""),
        ("ghcr.io/acme/tools:1", OTHER, (), ""),
        (ASKED, B, (), ""),
        (ASKED, "", (), ""),
        (ASKED, OTHER, (ASKED, "ghcr.io/acme/tools:1", OTHER), ""),
        (ASKED, OTHER, (OTHER, "ghcr.io/acme/tools:1"), f"node n1 ran {OTHER}, not {ASKED}"),
        (f"tools:1@{A}", f"docker-pullable://tools@{B}", (),
         f"node n1 ran docker-pullable://tools@{B}, not tools:1@{A}"),
    ],
)  # fmt: skip
async def test_another_digest_is_another_image_unless_the_node_knows_both_for_one(
    image: str, image_id: str, names: Sequence[str], told: str
) -> None:
    cluster: Any = _Cluster(names)
    assert await ran_another(cluster, "n1", image, image_id) == told


async def test_without_the_permission_it_is_said_what_would_tell() -> None:
    cluster: Any = _Cluster((ASKED, OTHER), granted=False)
    assert await ran_another(cluster, "n1", ASKED, OTHER) == (
        f"node n1 ran {OTHER}, not {ASKED}; whether it knows one image by both digests takes "
        "`list` on nodes"
    )
