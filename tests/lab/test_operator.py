"""What is meant for the Prometheus Operator, held against its own CRDs by the API server."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from lab import binaries
from lab.deploy import DEPLOY, KUSTOMIZE, rendered
from lab.handle import KubectlError, Lab
from tests.lab.waiting import until

OPERATOR = (
    "github.com/prometheus-operator/prometheus-operator",
    "v0.85.0",
    "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
)
GROUP = "monitoring.coreos.com"
PLURALS = ("alertmanagerconfigs", "prometheusrules", "servicemonitors")
FILES = (
    DEPLOY / "serve" / "alertmanagerconfig.yaml",
    DEPLOY / "prometheus" / "prometheusrule.yaml",
    KUSTOMIZE / "monitoring" / "resources.yaml",
)
VALUES = ("serve.enabled=true", "metrics.prometheusRule.enabled=true",
          "metrics.serviceMonitor.enabled=true")  # fmt: skip


def established(lab: Lab, plural: str) -> bool:
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{plural}.{GROUP}"
    conditions = lab.client().get(path).get("status", {}).get("conditions") or ()
    return any((each["type"], each["status"]) == ("Established", "True") for each in conditions)


@pytest.fixture
def operator(lab: Lab) -> Iterator[None]:
    """The kinds, without who acts on them. They are too large for an annotation of kubectl's."""
    folder = binaries.source(*OPERATOR, lab.layout.cache) / "example" / "prometheus-operator-crd"
    files = [word for name in PLURALS for word in ("-f", str(folder / f"{GROUP}_{name}.yaml"))]
    names = [f"crd/{name}.{GROUP}" for name in PLURALS]
    try:
        lab.kubectl("apply", "--server-side", *files)
        # `kubectl wait` fails where a kind has no conditions yet.
        until(lambda: all(established(lab, name) for name in PLURALS), "the kinds are not served")
        yield
    finally:
        lab.kubectl("delete", "--ignore-not-found", "--wait=false", *names)


def ours() -> list[dict[str, Any]]:
    files = [yaml.safe_load_all(path.read_text()) for path in FILES]
    every = [each for documents in (*files, rendered(*VALUES)) for each in documents]
    return [each for each in every if each["apiVersion"].startswith(f"{GROUP}/")]


def test_the_operator_takes_our_documents(lab: Lab, namespace: str, operator: None) -> None:
    """Strictly: a field that it does not know is a mistake, too."""
    documents = ours()
    assert sorted(each["kind"] for each in documents) == [
        "AlertmanagerConfig", *["PrometheusRule"] * 3, *["ServiceMonitor"] * 2,
    ]  # fmt: skip

    def apply(document: dict[str, Any]) -> str:
        document["metadata"]["namespace"] = namespace
        return lab.kubectl("create", "--validate=strict", "--dry-run=server", "-f", "-",
                           input=json.dumps(document))  # fmt: skip

    for document in documents:
        assert "created (server dry run)" in apply(document)
    wrong = {**documents[0], "spec": {**documents[0]["spec"], "reciever": []}}
    with pytest.raises(KubectlError, match=r'unknown field "spec\.reciever"'):
        apply(wrong)
