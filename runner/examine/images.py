"""Whether all containers of a run come from one image, where it is named by a tag.

A tag is only a name: it may be moved while a sweep goes on, and nodes keep what they once pulled.
No registry is asked. What the first container ran is what the tag means for this run.
"""

from collections.abc import Iterable

import msgspec

from runner.cluster import Cluster
from runner.examine.tampered import digest_of, ran_another
from runner.model.report import Injection, PodOutcome, PodResult

REASON = "ImageDiffers"
# These run the app's own image, and that may differ between pods for reasons of its own.
_OF_THE_APP = frozenset({"own-image", "copy"})


class OneImage:
    """Hears every result of a run."""

    def __init__(self, done: Iterable[PodResult] = ()) -> None:
        """`done` are results of an earlier process of the same run."""
        self._first: dict[str, str] = {}
        for result in done:
            for injection in result.injections:
                self._meant(injection)

    def _meant(self, injection: Injection) -> str:
        """The digest that the run's first container by this name ran; empty where that is not told,
        or the name says it itself."""
        image, ran = injection.image, digest_of(injection.image_id)
        if injection.strategy in _OF_THE_APP or digest_of(image) or not ran:
            return ""
        return self._first.setdefault(image, ran)

    async def judged(self, cluster: Cluster, result: PodResult) -> PodResult:
        """Never healthy if its tools were others than elsewhere: their answers may be, too."""
        for injection in result.injections:
            meant = self._meant(injection)
            if not meant or meant == digest_of(injection.image_id):
                continue
            asked = f"{injection.image}@{meant}"
            why = await ran_another(cluster, result.node, asked, injection.image_id)
            if why:
                return _told(result, (
                    f"container {injection.container}: {why}, which {injection.image} was for the "
                    "first pod of this run; name the image by its digest"
                ))  # fmt: skip
        return result


def _told(result: PodResult, message: str) -> PodResult:
    if result.outcome is PodOutcome.PASSED:
        return msgspec.structs.replace(
            result, outcome=PodOutcome.WARNED, reason=REASON, message=message
        )
    both = f"{result.message}; {message}" if result.message else message
    return msgspec.structs.replace(result, message=both)
