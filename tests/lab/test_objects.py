"""What shows in no pod: a sweep reports on workloads and Services, from the API alone."""

from pathlib import Path

import jsonschema

from lab.handle import Lab
from runner.report import json_schema
from tests.lab import podmedic as pm
from tests.lab.test_sweep import SLEEP

WORKLOADS = Path(__file__).parents[2] / "lab" / "workloads" / "broken"
KINDS = ("daemonsets.apps", "deployments.apps", "jobs.batch", "statefulsets.apps")


def apply(lab: Lab, namespace: str, name: str) -> None:
    manifest = (WORKLOADS / name / "manifest.yaml").read_text()
    lab.kubectl("apply", "-n", namespace, "-f", "-", input=manifest)


def wait_refused(lab: Lab, namespace: str, name: str) -> None:
    condition = "jsonpath={.status.conditions[?(@.type=='ReplicaFailure')].status}=True"
    lab.kubectl(
        "wait", f"deployment/{name}", "-n", namespace, f"--for={condition}", "--timeout=180s"
    )


def test_a_namespace_without_a_pod_is_reported(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """The cause on the terminal, in the file and on the page; exit code 1, not 5."""
    apply(lab, namespace, "serviceaccount-missing")
    wait_refused(lab, namespace, "releaser")
    run = pm.run(lab, namespace, directory=tmp_path / "out")
    assert run.code == 1, run.stderr
    (finding,) = run.report["findings"]
    assert finding["workload"] == {"kind": "Deployment", "namespace": namespace, "name": "releaser"}
    assert (finding["rule"], finding["confidence"]) == ("service-account-missing", "certain")
    assert finding["evidence"][0]["source"] == "status of Deployment releaser"
    assert run.report["summary"]["workloadsBroken"] == 1
    assert run.report["run"]["namespaces"] == [namespace]
    jsonschema.validate(run.report, json_schema())
    assert "1 workload broken" in run.stdout
    assert f"Deployment/releaser  ({namespace}, no pod, certain)" in run.stdout
    assert "deploy-bot does not exist" in (run.directory / "report.html").read_text()


def test_a_healthy_namespace_without_a_pod_is_still_nothing_selected(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    pm.apply(lab, namespace, pm.deployment("web", SLEEP, replicas=0))
    assert pm.run(lab, namespace, directory=tmp_path / "out").code == 5


def test_a_failed_job_is_judged_by_its_last_pod(lab: Lab, namespace: str, tmp_path: Path) -> None:
    lab.images("busybox")
    apply(lab, namespace, "job-failed")
    lab.kubectl(
        "wait", "job/nightly-import", "-n", namespace, "--for=condition=Failed", "--timeout=180s"
    )
    run = pm.run(lab, namespace, directory=tmp_path / "out")
    assert run.code == 1, run.stderr
    # That the Job was given up is explained by its pod.
    (finding,) = run.report["findings"]
    assert (finding["rule"], finding["workload"]["kind"]) == ("last-words", "Job")
    assert "import: schema version 12, expected 14" in finding["message"], finding["message"]
    # its log was read, though nothing can be started in it
    (log,) = [e for e in finding["evidence"] if e["source"].startswith("log")]
    assert log["excerpt"] == "import: schema version 12, expected 14"
    (pod,) = run.report["pods"]
    assert (pod["outcome"], pod["injections"]) == ("failed", [])
