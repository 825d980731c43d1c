"""A tag is one image for a run: what its first container ran."""

from typing import Any

import msgspec
import pytest

from runner.examine import OneImage
from runner.model.report import Injection, PodOutcome, PodResult
from runner.model.subject import Workload
from tests.unit.test_tampered import A, B, _Cluster

TAG = "ghcr.io/acme/tools:1"
FIRST, OTHER = f"ghcr.io/acme/tools@{A}", f"ghcr.io/acme/tools@{B}"
TOLD = (
    f"container c1: node n1 ran {OTHER}, not {TAG}@{A}, which {TAG} was for the first pod of this "
    "run; name the image by its digest"
)


def result(image_id: str, *, image: str = TAG, strategy: str = "target") -> PodResult:
    injection = Injection(container="c1", image=image, image_id=image_id, strategy=strategy)
    return PodResult(
        namespace="shop", name="web-1", uid="u1", node="n1", outcome=PodOutcome.PASSED,
        workload=Workload(kind="Deployment", namespace="shop", name="web"),
        injections=(injection,),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("first", "second", "names", "told"),
    [
        (result(FIRST), result(OTHER), (), True),
        (result(FIRST), result(f"mirror.local/tools@{A}"), (), False),
        # One image by two digests: an index, and the manifest for the node.
        (result(FIRST), result(OTHER), (FIRST, OTHER), False),
        (result(FIRST), result(""), (), False),
        # Asked for by its digest: another one is Tampered.
        (result(FIRST, image=FIRST), result(OTHER, image=FIRST), (), False),
        # The app's own image, by the same name.
        (result(FIRST, strategy="own-image"), result(OTHER, strategy="own-image"), (), False),
        (result(FIRST, image="tools:2"), result(OTHER), (), False),
    ],
)
async def test_another_image_behind_the_same_tag_is_said(
    first: PodResult, second: PodResult, names: tuple[str, ...], *, told: bool
) -> None:
    cluster: Any = _Cluster(names)
    run = OneImage()
    assert await run.judged(cluster, first) == first
    now = await run.judged(cluster, second)
    warned = msgspec.structs.replace(
        second, outcome=PodOutcome.WARNED, reason="ImageDiffers", message=TOLD
    )
    assert now == (warned if told else second)


async def test_a_run_that_goes_on_holds_to_what_it_began_with() -> None:
    cluster: Any = _Cluster(())
    failed = msgspec.structs.replace(result(OTHER), outcome=PodOutcome.UNKNOWN, message="cut")
    now = await OneImage([result(FIRST)]).judged(cluster, failed)
    assert (now.outcome, now.reason, now.message) == (PodOutcome.UNKNOWN, "", f"cut; {TOLD}")
