"""What is said of how much evidence arrived whole."""

from collections.abc import Iterable, Iterator

from runner.model.report import Completeness

_SHOWN = 5


def evidence_lines(found: Iterable[Completeness]) -> Iterator[str]:
    """A sentence for each."""
    for each in found:
        missing = f"; missing: {', '.join(each.missing[:_SHOWN])}" if each.missing else ""
        more = f" and {len(each.missing) - _SHOWN} more" if len(each.missing) > _SHOWN else ""
        yield (
            f"Evidence of {each.playbook}: {each.percent} % complete ({each.whole} of "
            f"{each.asked} items are whole){missing}{more}"
        )
