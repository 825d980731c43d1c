"""The chart, installed: a Job from its CronJob sweeps its namespace with its own Role and no more.
cronjob.yaml, deploy/serve and deploy/kustomize are what the chart renders."""

import json
import re
import shutil
import socket
import subprocess
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from lab import binaries
from lab.deploy import CHART, DEPLOY, FOLDERS, KUSTOMIZE, folder, rendered, without_helm
from lab.handle import Lab
from lab.layout import LabError
from runner.policy import load_policy, manifests
from tests.lab import podmedic as pm
from tests.lab.waiting import wait_crashing

CRONJOB = Path(__file__).parents[2] / "cronjob.yaml"
CRASH = 'echo "fatal: environment variable LEDGER_URL is not set" >&2; exit 1'


def free_port(address: str) -> int:
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def pushgateway(lab: Lab) -> Iterator[str]:
    """A real one on the machine, reached in the cluster as pushgateway.monitoring."""
    address = lab.machine_address
    port = free_port(address)
    program = shutil.which("prometheus-pushgateway")
    assert program is not None, "Debian package prometheus-pushgateway is missing"
    process = subprocess.Popen(
        [program, f"--web.listen-address={address}:{port}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "pushgateway", "namespace": "monitoring"},
        "spec": {"ports": [{"port": 9091, "targetPort": port}]},
    }
    endpoints = {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "pushgateway",
            "namespace": "monitoring",
            "labels": {"kubernetes.io/service-name": "pushgateway"},
        },
        "addressType": "IPv4",
        "ports": [{"port": port}],
        "endpoints": [{"addresses": [address]}],
    }
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "monitoring"}}
    try:
        lab.put(namespace, service, endpoints)
        yield f"http://{address}:{port}"
    finally:
        lab.kubectl("delete", "namespace", "monitoring", "--wait=false", "--ignore-not-found")
        process.terminate()
        process.wait(timeout=10)


@pytest.fixture
def reports(lab: Lab, namespace: str, tmp_path: Path) -> Iterator[Path]:
    """A volume for the claim podmedic-reports: a folder of the node, as an administrator gives."""
    folder = tmp_path / "reports"
    folder.mkdir()
    node = lab.kubectl(
        "get", "nodes", "-l", "type!=kwok", "-o", "jsonpath={.items[0].metadata.name}"
    )
    name = f"reports-{namespace}"
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "claimRef": {"name": "podmedic-reports", "namespace": namespace},
            "local": {"path": str(folder)},
            "nodeAffinity": {
                "required": {
                    "nodeSelectorTerms": [
                        {
                            "matchExpressions": [
                                {
                                    "key": "kubernetes.io/hostname",
                                    "operator": "In",
                                    "values": [node],
                                }
                            ]
                        }
                    ]
                }
            },
        },
    }
    lab.put(volume)
    yield folder
    lab.kubectl("delete", "persistentvolume", name, "--wait=false")


def _plain(documents: Iterable[dict[str, Any]]) -> dict[tuple[str, str], dict[str, Any]]:
    """By kind and name, without what is Helm's own."""
    found = {}
    for each in documents:
        made = without_helm(each)
        made = json.loads(json.dumps(made))
        if made["kind"] == "Deployment":
            made["spec"]["template"]["metadata"].pop("annotations", None)
        if made["kind"] == "ConfigMap":
            made["data"] = {name: yaml.safe_load(value) for name, value in made["data"].items()}
        found[made["kind"], made["metadata"]["name"]] = made
    return found


def _file(path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    return _plain(each for each in yaml.safe_load_all(path.read_text()) if each)


def test_what_is_applied_without_helm_is_what_the_chart_renders() -> None:
    assert {
        name: (KUSTOMIZE / name / "resources.yaml").read_text() == folder(name) for name in FOLDERS
    } == dict.fromkeys(FOLDERS, True), "python -m lab.deploy makes them anew"
    chart = _plain(rendered("serve.enabled=true"))
    cronjob, serve = _file(CRONJOB), _file(DEPLOY / "serve" / "serve.yaml")
    for key, each in (cronjob | serve).items():
        assert chart[key] == each, key
    assert chart.keys() == cronjob.keys() | serve.keys()


def test_the_policy_holds_serve_as_well_as_its_runs() -> None:
    """What it allows is taken from an alert, and what it forbids is refused before there is a Job."""
    made = rendered("serve.enabled=true", "policy=kind: Policy")
    (serve,) = (each["spec"]["template"]["spec"] for each in made if each["kind"] == "Deployment")
    (container,) = serve["containers"]
    assert "--policy=/etc/podmedic-policy/policy.yaml" in container["args"]
    mounts = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
    volumes = {each["name"]: each for each in serve["volumes"]}
    assert volumes[mounts["/etc/podmedic-policy"]]["configMap"] == {"name": "podmedic-policy"}


def test_a_link_leads_to_the_directory_of_the_run() -> None:
    """Sweeps and alerts have folders of their own on the volume; {run} is the run's id."""
    chart = rendered(
        "serve.enabled=true", "notify.secretName=urls", "notify.link=https://r.example/{run}/",
        "sweeps[0].name=dns", "sweeps[0].schedule=@daily", "sweeps[0].playbooks={dns}",
    )  # fmt: skip
    (cronjob,) = [each for each in chart if each["kind"] == "CronJob"]
    (config,) = [each for each in chart if "job.yaml" in each.get("data", {})]
    for job, base, link, keep in (
        (cronjob["spec"]["jobTemplate"], "/reports/dns", "dns/{run}/", 30),
        (yaml.safe_load(config["data"]["job.yaml"]), "/reports/alerts", "alerts/{run}/", 100),
    ):
        arguments = job["spec"]["template"]["spec"]["containers"][0]["args"]
        wanted = {f"--output={base}", f"--keep={keep}", f"--link=https://r.example/{link}"}
        assert wanted <= set(arguments)


@pytest.mark.parametrize(
    ("values", "arguments", "mounts"),
    [
        (["signing.secretName=k"], ["--bundle", "--key=/var/run/secrets/podmedic-key/podmedic.key"],
         {"/var/run/secrets/podmedic-key": {"secret": {"secretName": "k", "defaultMode": 0o440}}}),
        (["signing.sigstore.enabled=true", "signing.sigstore.trustConfigMap=t"],
         ["--bundle", "--sigstore", "--identity-token=/var/run/secrets/podmedic-sigstore/token",
          "--trust-config=/etc/podmedic-sigstore/trust.json"],
         {"/var/run/secrets/podmedic-sigstore": {"projected": {"sources": [
             {"serviceAccountToken": {"audience": "sigstore", "path": "token"}}]}},
          "/etc/podmedic-sigstore": {"configMap": {"name": "t"}}}),
    ],
)  # fmt: skip
def test_what_signs_is_mounted_for_sweeps_and_for_runs_of_alerts(
    values: list[str], arguments: list[str], mounts: dict[str, Any]
) -> None:
    chart = rendered("serve.enabled=true", *values)
    (cronjob,) = [each for each in chart if each["kind"] == "CronJob"]
    (config,) = [each for each in chart if "job.yaml" in each.get("data", {})]
    for job in (cronjob["spec"]["jobTemplate"], yaml.safe_load(config["data"]["job.yaml"])):
        pod = job["spec"]["template"]["spec"]
        (container,) = pod["containers"]
        first = container["args"].index("--bundle")
        assert container["args"][first : first + len(arguments)] == arguments
        names = {each["mountPath"]: each["name"] for each in container["volumeMounts"]}
        volumes = {each.pop("name"): each for each in pod["volumes"]}
        assert {path: volumes[names[path]] for path in mounts} == mounts
    with pytest.raises(LabError, match="two ways to sign: choose one"):
        rendered("signing.secretName=k", "signing.sigstore.enabled=true")


def test_each_sweep_has_a_group_of_its_own_at_the_pushgateway() -> None:
    second = ("name=weekly", "schedule=@weekly", "playbooks={triage}")
    made = rendered("metrics.pushgateway=http://pg:9091", "sweeps[0].name=podmedic",
                    "sweeps[0].schedule=@daily", "sweeps[0].playbooks={triage}",
                    *(f"sweeps[1].{each}" for each in second))  # fmt: skip
    arguments = [
        word
        for each in made
        if each["kind"] == "CronJob"
        for word in each["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["args"]
        if word.startswith("--pushgateway")
    ]
    assert sorted(arguments) == [
        "--pushgateway=http://pg:9091",
        "--pushgateway=http://pg:9091/metrics/job/weekly",
    ]


def test_kustomize_puts_all_of_it_into_one_namespace(lab: Lab, tmp_path: Path) -> None:
    """As deploy/kustomize/base/kustomization.yaml shows it."""
    overlay = tmp_path / "overlay"
    shutil.copytree(KUSTOMIZE, overlay / "kustomize")
    words = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "shop",
        "resources": ["kustomize/base"],
        "components": [f"kustomize/{name}" for name in FOLDERS if name != "base"],
    }
    (overlay / "kustomization.yaml").write_text(json.dumps(words))

    made = list(yaml.safe_load_all(lab.kubectl("kustomize", str(overlay))))

    namespaced = [each for each in made if not each["kind"].startswith("ValidatingAdmission")]
    assert {each["metadata"]["namespace"] for each in namespaced} == {"shop"}
    subjects = [s for each in made if each["kind"] == "RoleBinding" for s in each["subjects"]]
    assert {subject["namespace"] for subject in subjects} == {"shop"}
    assert len(made) == sum(
        len(list(yaml.safe_load_all((KUSTOMIZE / name / "resources.yaml").read_text())))
        for name in FOLDERS
    )


def _helm(lab: Lab, *arguments: str | Path) -> str:
    helm = binaries.ensure(["helm"], lab.layout.cache)["helm"]
    done = subprocess.run(
        [helm, *arguments, "--kubeconfig", lab.kubeconfig],
        capture_output=True, text=True, check=False, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def _values(namespace: str, folder: Path) -> list[str | Path]:
    """Everything that the chart has, but for what needs CRDs."""
    vap = folder / "vap.yaml"
    label = f"kubernetes.io/metadata.name={namespace}"
    policy = load_policy(DEPLOY / "policy.yaml")
    policy = policy.changed(metadata=policy.metadata.changed(name=namespace))
    vap.write_text(yaml.safe_dump_all(manifests(policy, account="", namespaces=label)))
    switched = ("events", "serve.enabled", "networkPolicy.enabled", "metrics.dashboard.enabled",
                "admissionPolicy.enabled")  # fmt: skip
    return [
        *(word for name in switched for word in ("--set", f"{name}=true")),
        "--set", "signing.secretName=podmedic-key",
        # A lab that is kept may have an older image of that name.
        "--set", "image.pullPolicy=Always",
        "--set-file", f"policy={DEPLOY / 'policy.yaml'}",
        "--set-file", f"admissionPolicy.manifest={vap}",
    ]  # fmt: skip


@pytest.fixture
def chart(lab: Lab, namespace: str, tmp_path: Path) -> Iterator[str]:
    """Installed; the notes that Helm prints."""
    lab.images("busybox", "tools", "runner")
    _helm(lab, "lint", CHART)
    lab.kubectl("create", "secret", "generic", "podmedic-serve", "-n", namespace,
                "--from-literal=token=0123456789abcdef0123456789abcdef")  # fmt: skip
    pm.podmedic(None, "keygen", "-o", tmp_path / "podmedic", directory=tmp_path)
    lab.kubectl("create", "secret", "generic", "podmedic-key", "-n", namespace,
                f"--from-file={tmp_path / 'podmedic.key'}")  # fmt: skip
    yield _helm(lab, "install", "podmedic", CHART, "-n", namespace, *_values(namespace, tmp_path))
    _helm(lab, "uninstall", "podmedic", "-n", namespace)
    # What is in no namespace goes with the release as well.
    assert namespace not in lab.kubectl("get", "validatingadmissionpolicies", "-o", "name")


def test_a_job_from_the_chart(
    lab: Lab, namespace: str, pushgateway: str, reports: Path, chart: str, tmp_path: Path
) -> None:
    """Report on the volume and a signed bundle beside it, metrics in the Pushgateway, no request refused, no secret read; two
    replicas of serve are ready."""
    assert f"kubectl create job -n {namespace} --from=cronjob/podmedic podmedic-now" in chart
    pm.apply(lab, namespace, pm.deployment("ledger", CRASH, replicas=2))
    wait_crashing(lab, namespace, "ledger", 2)
    offset = lab.audit_offset()
    lab.kubectl("create", "job", "now", "-n", namespace, "--from=cronjob/podmedic")
    lab.kubectl(
        "wait", "-n", namespace, "--for=condition=Complete", "job/now", "--timeout=150s",
        timeout_seconds=170,
    )  # fmt: skip
    lab.kubectl(
        "wait", "-n", namespace, "--for=condition=Available", "deployment/podmedic-serve",
        "--timeout=180s",
    )  # fmt: skip

    (run,) = [path for path in reports.iterdir() if (path / "run.json").exists()]
    report = json.loads((run / "report.json").read_bytes())
    assert report["run"]["id"] == run.name
    assert {p["workload"]["name"] for p in report["pods"]} == {"ledger"}
    assert report["run"]["policy"]["name"] == "cluster"
    assert {(p["strategy"], p["reason"]) for p in report["pods"]} == {("shared", "")}
    assert "LEDGER_URL" in report["findings"][0]["message"]
    assert (run / "report.html").stat().st_size > 1000
    for sealed in (run, run.with_name(f"{run.name}.tar.zst")):
        key = ("--key", tmp_path / "podmedic.pub")
        done = pm.podmedic(None, "verify", sealed, *key, directory=tmp_path)
        assert (done.code, done.stderr) == (0, "")

    with urllib.request.urlopen(f"{pushgateway}/metrics", timeout=10) as answer:
        metrics = answer.read().decode()
    assert re.search(r'^podmedic_pods\{.*outcome="failed".*\} 2$', metrics, re.MULTILINE)
    assert "podmedic_run_last_success_timestamp_seconds" in metrics
    assert not any(pod["name"] in metrics for pod in report["pods"])

    account = f"system:serviceaccount:{namespace}:podmedic"
    ours = [r for r in lab.requests(offset) if r["user"]["username"] == account]
    assert ours
    assert not [r["requestURI"] for r in ours if r["responseStatus"]["code"] >= 400]
    used = {
        (
            r["verb"],
            "/".join(filter(None, (r["objectRef"]["resource"], r["objectRef"].get("subresource")))),
        )
        for r in ours
    }
    assert used == {
        ("list", "pods"),
        ("watch", "pods"),
        ("patch", "pods/ephemeralcontainers"),
        ("get", "pods/log"),
        ("list", "events"),
        ("watch", "events"),
        ("create", "selfsubjectaccessreviews"),
        ("create", "selfsubjectrulesreviews"),
        ("create", "selfsubjectreviews"),
        ("list", "jobs"),
        # No pod behind the Service of serve is swept: what it means is looked for.
        ("list", "deployments"),
        ("list", "statefulsets"),
        ("list", "daemonsets"),
        ("list", "endpointslices"),
        ("list", "services"),
        ("list", "poddisruptionbudgets"),
        ("list", "replicasets"),
        ("create", "events"),
        ("create", "leases"),
        ("update", "leases"),
    }
    described = lab.kubectl("describe", "deployment", "ledger", "-n", namespace)
    assert re.search(r"Warning +DiagnosticsFailed .* podmedic.io/podmedic", described), described
    assert "LEDGER_URL" in described.partition("DiagnosticsFailed")[2]
