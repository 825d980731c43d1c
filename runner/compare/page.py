"""A comparison as one HTML file, without a script: it opens from disk and speaks to nobody."""

import hashlib
from base64 import b64encode
from functools import cache
from typing import TYPE_CHECKING

from runner import resources
from runner.compare.model import Comparison, FindingState
from runner.compare.runs import fails
from runner.compare.text import (
    TITLES,
    change_sentence,
    headline,
    pods_sentence,
    remarks,
    runs_sentence,
    worse,
)
from runner.report.view import plural

if TYPE_CHECKING:
    from jinja2 import Template


def to_html(found: Comparison) -> str:
    """All text in it that came from a pod is escaped and harmless."""
    from markupsafe import Markup  # noqa: PLC0415

    style = (resources.directory("reports") / "report.css").read_text(encoding="utf-8")
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    sections = [
        (state.value, TITLES[state], [each for each in found.findings if each.state is state])
        for state in FindingState
    ]
    return _template().render(
        found=found,
        title=headline(found),
        runs=runs_sentence(found),
        pods=pods_sentence(found),
        tone="bad" if fails(found) else "unsure" if _open(found) else "good",
        sections=[section for section in sections if section[2]],
        worse=worse(found),
        style=Markup(style),  # noqa: S704  our own file
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'",
    )


def _open(found: Comparison) -> bool:
    return bool(found.notices or found.summary[FindingState.NOT_COMPARED.value])


@cache
def _template() -> "Template":
    from runner.report.templates import page_environment  # noqa: PLC0415

    environment = page_environment()
    environment.globals["plural"] = plural
    environment.filters.update(remarks=remarks, change=change_sentence)
    return environment.get_template("diff.html.j2")
