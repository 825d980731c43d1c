"""`python -m lab.deploy`: makes anew what lies in deploy/ and is made of something else.

The chart's files come from our own compilers (permissions, policy) and tables (metrics); the
kustomize base is what the chart renders. Tests hold both against what is in the repository.
"""

import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from lab import binaries
from lab.layout import LabError, cache_folder
from runner.cli.options import load_playbooks
from runner.metrics.documents import dashboard, groups
from runner.permissions import manifests, needs
from runner.policy import load_policy
from runner.policy import manifests as policy_manifests

Json = dict[str, Any]
ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
CHART = DEPLOY / "helm" / "podmedic"
KUSTOMIZE = DEPLOY / "kustomize"
SWEPT_BY_DEFAULT = ("crashloop", "triage")
_OF_HELM = frozenset(
    {"helm.sh/chart", *(f"app.kubernetes.io/{w}" for w in ("managed-by", "instance", "version"))}
)
_MADE = "# Made by `python -m lab.deploy`.\n"
# What each folder of deploy/kustomize is rendered with, and the kinds that it holds.
_SWEEP = ("ServiceAccount", "Role", "RoleBinding", "PersistentVolumeClaim", "CronJob")
FOLDERS: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "base": (("networkPolicy.enabled=true",), (*_SWEEP, "NetworkPolicy")),
    "serve": (("serve.enabled=true", "networkPolicy.enabled=true"), ()),
    "monitoring": (
        ("metrics.prometheusRule.enabled=true", "metrics.serviceMonitor.enabled=true",
         "metrics.dashboard.enabled=true", "serve.enabled=true"),
        ("PrometheusRule", "ServiceMonitor", "ConfigMap"),
    ),
    "admission": (
        ("admissionPolicy.enabled=true",),
        ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"),
    ),
}  # fmt: skip


def chart_files() -> dict[str, str]:
    """Name and text of the files in the chart's folder `files`."""
    wanted = needs(load_playbooks(SWEPT_BY_DEFAULT, None))

    def rules(namespaces: Sequence[str] | None) -> str:
        made = manifests(
            wanted, name="podmedic", account_namespace="podmedic", namespaces=namespaces
        )
        role = next(each for each in made if each["kind"].endswith("Role"))
        return _MADE + str(yaml.safe_dump(role["rules"], sort_keys=False))

    policy = policy_manifests(load_policy(DEPLOY / "policy.yaml"), account="", namespaces="")
    return {
        "rules.yaml": rules(["podmedic"]),
        "cluster-rules.yaml": rules(None),
        "validating-admission-policy.yaml": _MADE + _documents(policy),
        "podmedic.rules.yaml": _MADE + str(yaml.safe_dump(groups(), sort_keys=False, width=100)),
        "podmedic.json": dashboard(),
        "routes.yaml": _routes(),
    }


def _routes() -> str:
    """Those of deploy/serve/serve.yaml."""
    for each in yaml.safe_load_all((DEPLOY / "serve" / "serve.yaml").read_text()):
        if each["kind"] == "ConfigMap":
            return str(each["data"]["routes.yaml"])
    raise LabError("deploy/serve/serve.yaml has no ConfigMap")


def rendered(*values: str, namespace: str = "podmedic") -> list[Json]:
    """What the chart makes of `--set` values."""
    helm = binaries.ensure(["helm"], cache_folder())["helm"]
    words = [word for value in values for word in ("--set", value)]
    done = subprocess.run(
        [helm, "template", "podmedic", CHART, "--namespace", namespace, "--kube-version",
         "1.36.3", *words],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    if done.returncode != 0:
        raise LabError(f"helm template: {done.stderr}")
    return [each for each in yaml.safe_load_all(done.stdout) if each]


def folder(name: str) -> str:
    """The resources of a folder of deploy/kustomize."""
    values, kinds = FOLDERS[name]
    return _MADE + _documents(_of(name, rendered(*values), kinds))


def _of(name: str, found: Iterable[Json], kinds: Sequence[str]) -> Iterator[Json]:
    for each in found:
        component = each["metadata"].get("labels", {}).get("app.kubernetes.io/component")
        if name == "serve":
            if component != "serve" and each["metadata"]["name"] != "podmedic-serve":
                continue
        elif each["kind"] not in kinds or (
            each["metadata"]["name"] == "podmedic-serve" and each["kind"] != "ServiceMonitor"
        ):
            continue
        yield without_helm(each)


def without_helm(each: Json) -> Json:
    """Without what is Helm's own, and without a namespace: kustomize sets that."""
    metadata = each["metadata"]
    labels = {k: v for k, v in metadata.get("labels", {}).items() if k not in _OF_HELM}
    kept = {k: v for k, v in metadata.items() if k not in ("namespace", "labels")}
    made = {**each, "metadata": {**kept, "labels": labels}}
    for subject in made.get("subjects", ()):
        subject.pop("namespace", None)
    return made


def _documents(values: Iterable[Json]) -> str:
    return str(yaml.safe_dump_all(values, sort_keys=False, width=100))


def main() -> int:
    for name, text in chart_files().items():
        (CHART / "files" / name).write_text(text)
    for name in FOLDERS:
        (KUSTOMIZE / name / "resources.yaml").write_text(folder(name))
    return 0


if __name__ == "__main__":
    sys.exit(main())
