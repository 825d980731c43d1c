"""Variants of the corpus differ in every name and keep the defect."""

import re

import pytest
import yaml

from bench.causes import Case, cases, varied
from lab.variants import variant

BROKEN = [case for case in cases() if case.broken]


@pytest.mark.parametrize("case", BROKEN, ids=[case.name for case in BROKEN])
def test_a_variant_can_be_deployed_and_judged(case: Case) -> None:
    made = varied(case, 7)
    before = list(yaml.load_all(case.manifest, yaml.CSafeLoader))
    after = list(yaml.load_all(made.manifest, yaml.CSafeLoader))
    assert [each["kind"] for each in after] == [each["kind"] for each in before if each]
    named = {f"{each['kind']}/{each['metadata']['name']}" for each in after}
    assert made.expected["workload"] in named
    assert "speaks" not in made.expected
    for pattern in (*made.expected["says"], *made.expected.get("neverSays", ())):
        re.compile(pattern)


def test_the_same_seed_makes_the_same_variant() -> None:
    for case in BROKEN:
        assert variant(case.manifest, case.expected, 3) == variant(case.manifest, case.expected, 3)


def test_nearly_every_workload_gets_another_name() -> None:
    kept = [c.name for c in BROKEN if varied(c, 1).expected["workload"] == c.expected["workload"]]
    assert len(kept) <= len(BROKEN) // 20, kept


MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: till}
spec:
  template:
    spec:
      containers:
      - name: till
        image: python:3
        args: [--ledger, "ledger-db:7001"]
        env:
        - {name: LEDGER_URL, value: "http://ledger-db:7001/till"}
---
apiVersion: v1
kind: Service
metadata: {name: ledger-db}
spec: {ports: [{port: 7001}]}
"""
EXPECTED = {
    "workload": "Deployment/till",
    "container": "till",
    "cause": "ledger-db:7001 refuses",
    "says": ["ledger-db", "7001", "LEDGER_URL"],
    "confidence": ["certain"],
}


def test_names_are_changed_everywhere_at_once() -> None:
    made = variant(MANIFEST, EXPECTED, 5)
    deployment, service = yaml.load_all(made.manifest, yaml.CSafeLoader)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    workload, host = deployment["metadata"]["name"], service["metadata"]["name"]
    port, name = service["spec"]["ports"][0]["port"], container["env"][0]["name"]
    assert not {workload, host, str(port), name} & {"till", "ledger-db", "7001", "LEDGER_URL"}
    assert container["args"] == ["--ledger", f"{host}:{port}"]
    assert container["env"][0]["value"] == f"http://{host}:{port}/{workload}"
    assert made.expected == {
        **EXPECTED,
        "workload": f"Deployment/{workload}",
        "container": workload,
        "cause": f"{host}:{port} refuses",
        "says": [host, str(port), name],
    }


def test_another_language_says_it() -> None:
    speaks = {"failure": "connection-refused", "names": {"host": "ledger-db", "port": 7001}}
    made = [variant(MANIFEST, {**EXPECTED, "speaks": speaks}, seed) for seed in range(12)]
    scripts = [
        yaml.safe_load(one.manifest.split("---")[0])["spec"]["template"]["spec"]["containers"][0][
            "command"
        ][2]
        for one in made
    ]
    assert all("efused" in script for script in scripts)
    assert len({re.sub(r"[a-z]+-[a-z]+|[0-9]+", "", script) for script in scripts}) >= 5
    assert all("7001" not in script for script in scripts)
    for one in made:
        service = yaml.safe_load(one.manifest.split("---")[1])
        assert str(service["spec"]["ports"][0]["port"]) in one.expected["says"]


def test_names_in_what_must_be_said_are_changed_as_in_the_manifest() -> None:
    speaks = {"failure": "dns", "names": {"host": "ledger-db", "port": 7001}}
    made = variant(MANIFEST, {**EXPECTED, "speaks": speaks}, 3)
    service = yaml.safe_load(made.manifest.split("---")[1])
    assert made.expected["says"][0] == service["metadata"]["name"]
