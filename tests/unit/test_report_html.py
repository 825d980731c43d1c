"""The page: complete, harmless, small, and readable for everybody."""

import base64
import hashlib
import re
import zlib
from html.parser import HTMLParser
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runner import resources
from runner.model.changes import Difference, Revision, RevisionChange
from runner.model.report import Evidence, Finding, PodOutcome, Report
from runner.report import summarize, to_html
from runner.report.plain import is_terminal_safe
from tests.unit.report_samples import (
    HOSTILE,
    large_report,
    pod,
    report_of,
    rich_report,
    step,
    workload,
)


class Parsed(HTMLParser):
    """The elements of a page and its text, as a browser would see them."""

    VOID = frozenset({"meta", "input", "br", "hr", "img", "link"})

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self._open: list[int] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in self.VOID:
            self._open.append(len(self.elements))
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        self.texts.append("")

    def handle_endtag(self, tag: str) -> None:
        closed = self._open.pop()
        assert self.elements[closed][0] == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.texts[self._open[-1]] += data

    @property
    def shape(self) -> set[tuple[str, tuple[str, ...]]]:
        return {(tag, tuple(attributes)) for tag, attributes in self.elements}

    def text_of(self, tag: str, **wanted: str) -> list[str]:
        return [
            text
            for (name, attributes), text in zip(self.elements, self.texts, strict=True)
            if name == tag and wanted.items() <= attributes.items()
        ]


def _embedded(html: str) -> tuple[list[dict[str, Any]], list[list[dict[str, Any]]]]:
    """The list of workloads and the chunks of their details."""

    def inflated(text: str) -> Any:
        return msgspec.json.decode(zlib.decompress(base64.b64decode(text)))

    page = Parsed(html)
    (index,) = page.text_of("script", id="index")
    return inflated(index), [
        inflated(text) for text in page.text_of("script", **{"class": "chunk"})
    ]


def _hash(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_the_page_says_the_essential_without_its_script() -> None:
    page = Parsed(to_html(rich_report()))

    assert page.text_of("h1") == ["2 workloads broken, 2 suspicious, 4 healthy, 2 not examined"]
    assert page.text_of("span", **{"class": "badge"})[:7] == [
        "broken", "broken", "suspicious", "suspicious", "not examined", "not examined", "healthy",
    ]  # fmt: skip
    assert (
        page.text_of("span", **{"class": "cause"})[0]
        == "app exits with code 1 because LEDGER_URL is not set."
    )
    assert page.text_of("code", **{"class": "evidence"})[0] == "KeyError: 'LEDGER_URL'"
    assert page.text_of("span", **{"class": "facts"})[0] == "6 of 6 pods · 84 restarts · certain"
    assert page.text_of("span", **{"class": "names"}) == ["4 workloads: etcd, kafka, redis, web"]
    assert page.text_of("td")[:3] == [
        "pod could not be examined",
        "Forbidden: may not patch pods/ephemeralcontainers in namespace shop",
        "2 pods, such as shop/cart-5c0",
    ]
    assert page.text_of("time") == ["2026-11-23 03:12:40 UTC"]
    assert page.text_of("b") == ["prod-eu-1", "shop, infra, evil", "crashloop, triage"]


@pytest.mark.parametrize(
    ("report", "told"),
    [
        (rich_report(), "14 ephemeral containers added"),
        (report_of(pod("a-0", workload("a"), PodOutcome.PASSED)), "no ephemeral container added"),
    ],
)
def test_how_much_was_added_to_the_pods_stands_on_top(report: Report, told: str) -> None:
    head = to_html(report).split("</header>")[0]
    assert told in re.sub(r"<[^>]*>", "", head)


def test_the_same_report_gives_the_same_page() -> None:
    assert to_html(rich_report()) == to_html(rich_report())


def test_the_page_speaks_to_nobody_and_runs_only_its_own_scripts() -> None:
    html = to_html(rich_report())
    page = Parsed(html)
    scripts = [
        text
        for (tag, attributes), text in zip(page.elements, page.texts, strict=True)
        if tag == "script" and not attributes
    ]
    (style,) = page.text_of("style")
    (policy,) = [
        attributes["content"] for tag, attributes in page.elements if attributes.get("http-equiv")
    ]

    assert policy == (
        f"default-src 'none'; script-src {' '.join(repr(_hash(s)) for s in scripts)}; "
        f"style-src '{_hash(style)}'; "
        "base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'"
    )
    files = resources.directory("reports")
    assert scripts == [(files / name).read_text() for name in ("parts.js", "report.js")]
    assert len("".join(scripts).encode()) <= 30_000
    names = {name for _, attributes in page.elements for name in attributes}
    assert not [
        name
        for name in names
        if name in {"src", "href", "style", "srcset", "action"} or name.startswith("on")
    ]
    assert "innerHTML" not in "".join(scripts)
    assert "url(" not in style


def _filled(text: str) -> Report:
    """A report with `text` in every field that can hold any."""
    owner = workload(text, text, text)
    steps = (step(text, text, stderr=text, exit_code=1, playbook=text, tries=2),)
    pods = (pod(text, owner, PodOutcome.FAILED, steps=steps, reason=text, message=text),
            pod(text + "2", owner, PodOutcome.ERROR, reason=text, message=text),
            pod("a", workload(text + "h", text, text), PodOutcome.PASSED))  # fmt: skip
    (first, *_) = rich_report().findings
    finding: Finding = msgspec.structs.replace(
        first, rule=text, playbook=text, title=text, message=text, remediation=f"{text}\nkubectl {text}",
        workload=owner, container=text, evidence=(Evidence(source=text, excerpt=text, pod=text),), fingerprint=text,
    )  # fmt: skip
    report = report_of(*pods)
    run = msgspec.structs.replace(
        report.run, id=text, cluster=text, namespaces=(text,), selector=text, aborted=text, runner_version=text,
        playbooks=(msgspec.structs.replace(report.run.playbooks[0], name=text, source=text, sha256=text),),
    )  # fmt: skip
    revision = Revision(name=text, number=1, created_at=None, ready=0)
    change = RevisionChange(
        workload=owner, before=revision, after=revision,
        differences=(Difference(path=text, before=text, after=text + "2"),),
    )  # fmt: skip
    return msgspec.structs.replace(
        report, run=run, findings=(finding,), summary=summarize(pods, (finding,), ()),
        changes=(change,),
    )  # fmt: skip


BENIGN = Parsed(to_html(_filled("benign")))


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(min_size=1), st.sampled_from(HOSTILE), st.text())
def test_no_text_of_a_pod_becomes_markup(before: str, hostile: str, after: str) -> None:
    """The page has no element and no attribute that it would not have anyway."""
    html = to_html(_filled(before + hostile + after))
    page = Parsed(html)

    assert page.shape <= BENIGN.shape
    assert len([tag for tag, _ in page.elements if tag == "script"]) == 4
    if re.search("[<>\"']", hostile):
        assert hostile not in re.sub(r"<(style|script)>.*?</\1>", "", html, flags=re.DOTALL)
    assert is_terminal_safe(html)
    assert "49" not in re.findall(
        r"\{\{7\*7\}\}|\b49\b", "".join(page.text_of("span", **{"class": "cause"}))
    )


@settings(max_examples=30)
@given(st.text() | st.sampled_from(HOSTILE))
def test_what_travels_compressed_is_harmless_too(text: str) -> None:
    index, chunks = _embedded(to_html(_filled(text)))

    def texts(value: Any) -> list[str]:
        if isinstance(value, dict):
            return [text for key, item in value.items() for text in [key, *texts(item)]]
        if isinstance(value, list):
            return [text for item in value for text in texts(item)]
        return [value] if isinstance(value, str) else []

    assert [found for found in texts(index) + texts(chunks) if not is_terminal_safe(found)] == []


def test_every_workload_points_to_its_details() -> None:
    index, chunks = _embedded(to_html(rich_report()))

    assert [(entry["name"], entry["verdict"], len(chunks[entry["chunk"]][entry["at"]]["groups"])) for entry in index] == [
        ("ledger", "broken", 1),
        ("orders", "broken", 2),
        ("queue", "suspicious", 1),
        ("<img src=x onerror=alert(1)>", "suspicious", 1),
        ("cart", "not examined", 1),
        ("sampled", "not examined", 1),
        ("etcd", "healthy", 1),
        ("kafka", "healthy", 1),
        ("redis", "healthy", 1),
        ("web", "healthy", 1),
    ]  # fmt: skip
    assert index[0] == {
        "kind": "Deployment",
        "namespace": "shop",
        "name": "ledger",
        "verdict": "broken",
        "cause": "app exits with code 1 because LEDGER_URL is not set.",
        "confidence": "certain",
        "pods": "6 of 6 pods",
        "restarts": 84,
        "evidence": "KeyError: 'LEDGER_URL'",
        "source": "log of container app, line 41",
        "rules": ["missing-env"],
        "outcomes": ["failed"],
        "names": [f"ledger-6d9f7c5b9-{suffix}" for suffix in ("2xkq8", "7hm4d", "b9zwl", "fc6tn", "kp2rv", "x8s5j")],
        "more": "A variable is missing\nCrashLoopBackOff\nKeyError: 'LEDGER_URL'\napp\n"
        "app exits with code 1 because LEDGER_URL is not set.\nconfig\nenvironment\nmissing-env\nnode-a",
        "chunk": 0,
        "at": 0,
    }  # fmt: skip


def test_fifty_pods_are_at_most_200_kb() -> None:
    for per_workload in (1, 10, 50):
        assert (
            len(to_html(large_report(50, per_workload=per_workload, output_bytes=2000)).encode())
            <= 200_000
        )


def test_many_workloads_are_cut_in_the_static_part_and_whole_in_the_data() -> None:
    html = to_html(large_report(2000))
    index, chunks = _embedded(html)

    assert Parsed(html).text_of("p", id="more") == [
        "… and 1950 more workloads, worst first. The rest needs JavaScript, or report.json."
    ]
    assert len(chunks) > 1
    told = [chunks[entry["chunk"]][entry["at"]]["findings"][0]["message"] for entry in index]
    assert told == [
        f"app exits with code 1 because VARIABLE_{number} is not set." for number in range(2000)
    ]


def test_notices_are_on_top() -> None:
    report = rich_report()
    cut_short = msgspec.structs.replace(
        report, run=msgspec.structs.replace(report.run, aborted="30 % errors")
    )

    assert Parsed(to_html(cut_short)).text_of("p", role="alert") == [
        "The sweep was aborted: 30 % errors."
    ]
    assert Parsed(to_html(report)).text_of("p", role="alert") == []


@pytest.mark.parametrize(
    ("report", "tone"),
    [
        (rich_report(), "bad"),
        (report_of(), "unsure"),
        (report_of(pod("a-0", workload("a"), PodOutcome.UNKNOWN)), "unsure"),
        (report_of(pod("a-0", workload("a"), PodOutcome.PASSED)), "good"),
    ],
)
def test_the_page_is_green_only_when_everything_was_seen(report: Report, tone: str) -> None:
    assert [
        attributes["class"]
        for tag, attributes in Parsed(to_html(report)).elements
        if tag == "header"
    ] == [tone]


def _luminance(color: str) -> float:
    digits = color if len(color) == 6 else "".join(digit * 2 for digit in color)
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_contrast_is_wcag_aa_in_light_dark_and_print() -> None:
    css = (resources.directory("reports") / "report.css").read_text()
    palettes = [
        dict(re.findall(r"--([\w-]+): #([0-9a-f]+);", block))
        for block in re.findall(r":root \{(.*?)\}", css, re.DOTALL)
    ]
    used = [
        (front, back) for front in ("text", "quiet", "link") for back in ("page", "raised", "code")
    ]
    colors = ("broken", "suspicious", "not-examined", "healthy")
    used += [(color, back) for color in colors for back in ("page", "raised")]
    used += [("badge", color) for color in (*colors, "quiet")]

    too_low = []
    assert len(palettes) == 3
    for number, palette in enumerate(palettes):
        known = palettes[0] | palette
        for front, back in used:
            light, dark = sorted((_luminance(known[front]), _luminance(known[back])), reverse=True)
            if (light + 0.05) / (dark + 0.05) < 4.5:
                too_low.append((number, front, back))

    assert too_low == []
