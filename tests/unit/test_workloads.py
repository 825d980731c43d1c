"""The corpus of broken and healthy workloads can be deployed and judged."""

import re
from typing import Any

import pytest
import yaml

from bench.causes import Case, cases, judge

CASES = cases()
CONFIDENCES = {"certain", "likely", "possible"}


def test_there_are_enough() -> None:
    assert sum(case.broken for case in CASES) >= 45
    assert sum(not case.broken for case in CASES) >= 10


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_each_says_what_it_is(case: Case) -> None:
    """Manifests without a namespace of their own, and an expectation that can be checked."""
    documents = list(yaml.load_all(case.manifest, yaml.CSafeLoader))
    assert documents
    assert all("namespace" not in document["metadata"] for document in documents)
    expected = case.expected
    if not case.broken:
        assert set(expected) == {"why"}
        return
    assert set(expected) <= {
        "workload", "container", "cause", "says", "confidence", "neverSays", "withinSeconds",
        "speaks", "then",
    }  # fmt: skip
    named = {f"{d['kind']}/{d['metadata']['name']}" for d in documents}
    assert expected["workload"] in named
    assert expected["says"]
    assert set(expected["confidence"]) <= CONFIDENCES
    for pattern in (*expected["says"], *expected.get("neverSays", ())):
        re.compile(pattern)


def finding(**fields: Any) -> dict[str, Any]:
    workload = {"kind": "Deployment", "namespace": "ns", "name": "web"}
    return {
        "rule": "r", "severity": "critical", "confidence": "certain", "title": "t",
        "message": "m", "remediation": "", "workload": workload, **fields,
    }  # fmt: skip


SICK = Case(
    name="sick",
    broken=True,
    manifest="",
    expected={
        "workload": "Deployment/web", "cause": "c", "says": ["LEDGER"], "confidence": ["certain"],
        "neverSays": ["DNS"],
    },
)  # fmt: skip


@pytest.mark.parametrize(
    ("findings", "right"),
    [
        ([finding(message="LEDGER_URL is not set")], True),
        ([finding(message="LEDGER_URL is not set", confidence="possible")], False),
        ([finding(message="something else")], False),
        # Only what is said first counts, and nothing said may be what must not be claimed.
        ([finding(message="else"), finding(message="LEDGER_URL is not set")], False),
        ([finding(message="LEDGER_URL is not set"), finding(message="DNS")], False),
        ([], False),
    ],
)
def test_what_counts_as_right(findings: list[dict[str, Any]], right: bool) -> None:
    assert judge(SICK, {"findings": findings}, "ns")["ok"] is right


def test_a_healthy_one_must_not_be_accused() -> None:
    well = Case(name="well", broken=False, manifest="", expected={"why": "w"})
    assert judge(well, {"findings": [finding(severity="info")]}, "ns")["ok"] is True
    assert judge(well, {"findings": [finding(severity="warning")]}, "ns")["ok"] is False
