"""Budgets, canary, breaker, cap and the proof of no harm, on real pods."""

import json
import subprocess
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec

from lab import binaries
from lab.handle import Lab
from runner.model.pod import Pod
from tests.lab import podmedic as pm
from tests.lab.test_sweep import CRASH, SLEEP
from tests.lab.waiting import wait_crashing

HELLO = [{"name": "hello", "run": ["sleep", "1"]}]


class Onlooker:
    """A watch of its own: how many of podmedic's containers are unfinished in Ready pods, at every
    change of any pod."""

    def __init__(self, lab: Lab, namespace: str) -> None:
        kubectl = binaries.ensure(["kubectl"], lab.layout.cache)["kubectl"]
        self._process = subprocess.Popen(
            [kubectl, "get", "pods", "-n", namespace, "--watch", "-o", "json",
             "--output-watch-events"],
            env=lab.environment(), stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.most: Counter[str] = Counter()
        self._open: dict[str, str] = {}
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        decoder, text = json.JSONDecoder(), ""
        for line in self._process.stdout:
            text += line
            try:
                event, _ = decoder.raw_decode(text)
            except ValueError:
                continue
            text = ""
            self._see(msgspec.convert(event["object"], Pod, strict=False))

    def _see(self, pod: Pod) -> None:
        ended = {
            s.name
            for s in pod.status.ephemeral_container_statuses
            if s.state.terminated is not None
        }
        unfinished = [c for c in pod.spec.ephemeral_containers if c.name not in ended]
        app = pod.metadata.labels.get("app", "")
        self._open.pop(pod.metadata.name, None)
        if unfinished:
            self._open[pod.metadata.name] = app
        for name, count in Counter(self._open.values()).items():
            self.most[name] = max(self.most[name], count)
        self.most["all"] = max(self.most["all"], len(self._open))

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._thread.join(10)
        assert self._process.stdout is not None
        self._process.stdout.close()


def outcomes(report: dict[str, Any]) -> Counter[tuple[str, str]]:
    return Counter((pod["outcome"], pod["reason"]) for pod in report["pods"])


def test_a_quarter_of_a_workload_at_a_time_and_no_more_than_its_budget_allows(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """Eight Ready replicas: two at a time; with a PodDisruptionBudget that allows one: one, also
    where the limit of the workload is lifted."""
    lab.images("busybox")
    pm.apply(
        lab, namespace, pm.deployment("web", SLEEP, replicas=8), pm.deployment("db", SLEEP, replicas=8),
        {
            "apiVersion": "policy/v1", "kind": "PodDisruptionBudget",
            "metadata": {"name": "db"},
            "spec": {"minAvailable": 7, "selector": {"matchLabels": {"app": "db"}}},
        },
    )  # fmt: skip
    pm.wait_ready(lab, namespace, "web", "db")
    lab.kubectl(
        "wait", "pdb/db", "-n", namespace, "--for=jsonpath={.status.disruptionsAllowed}=1",
        "--timeout=180s",
    )  # fmt: skip
    onlooker = Onlooker(lab, namespace)
    try:
        run = pm.run(lab, namespace, pm.playbook(tmp_path, HELLO), directory=tmp_path / "out")
    finally:
        onlooker.stop()
    assert run.code == 0, run.stderr
    assert outcomes(run.report) == {("passed", ""): 16}
    assert {pod["harm"]["verdict"] for pod in run.report["pods"]} == {"unchanged"}
    assert (onlooker.most["web"], onlooker.most["db"]) == (2, 1)

    onlooker = Onlooker(lab, namespace)
    try:
        lifted = (pm.playbook(tmp_path, HELLO), "--max-per-workload=0")
        run = pm.run(lab, namespace, *lifted, directory=tmp_path / "lifted")
    finally:
        onlooker.stop()
    assert outcomes(run.report) == {("passed", ""): 16}
    assert onlooker.most["db"] == 1 and onlooker.most["web"] > 2, onlooker.most


def test_s07_a_wrong_image_reaches_one_pod_and_no_other(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """The canary does not start: the others are untouched, and what the API says of them is
    judged all the same."""
    lab.images("busybox")
    pm.apply(lab, namespace, pm.deployment("ledger", CRASH, replicas=6))
    wait_crashing(lab, namespace, "ledger", 6)
    run = pm.run(
        lab, namespace, "crashloop", "--debugger-image", "busybox:no-such-tag",
        directory=tmp_path / "out",
    )  # fmt: skip
    carried = pm.ephemeral_containers(lab, namespace)
    assert sorted(map(len, carried.values())) == [0, 0, 0, 0, 0, 1]
    reasons = Counter(pod["reason"] for pod in run.report["pods"])
    assert reasons == {"ErrImagePull": 1, "CanaryFailed": 5}
    tried = next(pod for pod in run.report["pods"] if pod["reason"] == "ErrImagePull")
    assert (tried["outcome"], {s["outcome"] for s in tried["steps"]}) == (
        "error", {"not-evaluated"},
    )  # fmt: skip
    assert "not found" in tried["message"]
    assert "Failed" in {event["reason"] for event in tried["harm"]["events"]}
    assert {event["container"] for event in tried["harm"]["events"]} == {tried["container"]}
    held = next(pod for pod in run.report["pods"] if pod["reason"] == "CanaryFailed")
    assert "busybox:no-such-tag" in held["message"]
    (finding,) = run.report["findings"]
    assert run.code == 1
    assert "LEDGER_URL" in finding["message"]
    assert len(finding["pods"]) == 6


def test_an_app_that_ends_meanwhile_opens_the_breaker_at_once(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """The steps end the app and go on for long: no further pod is touched meanwhile, exit code 3,
    the report says why. One that was under way comes to its end."""
    lab.images("busybox")
    api = "nc -l -p 8080 >/dev/null; exit 0"
    pm.apply(lab, namespace, pm.deployment("api", api), pm.deployment("web", SLEEP, replicas=6))
    pm.wait_ready(lab, namespace, "api", "web")
    deadly = "echo end | nc -w 2 127.0.0.1 8080; case $(hostname) in api*) sleep 20;; esac; sleep 3"
    path = pm.playbook(tmp_path, [{"name": "end", "script": deadly}])
    words = (path, "--max-in-flight=2", "--max-per-workload=0")
    run = pm.run(lab, namespace, *words, directory=tmp_path / "out")
    assert run.code == 3, run.stderr
    assert (
        "changed while it was examined: container app was running and ready, now ended with exit "
        "code 0" in run.report["run"]["aborted"]
    )
    touched = [pod for pod in run.report["pods"] if pod["injections"]]
    assert touched[0]["workload"]["name"] == "api"
    assert touched[0]["harm"]["verdict"] == "changed"
    # Five and more would have had their turn in the time that the first one took.
    assert len(touched) <= 3, [pod["injections"] for pod in touched]
    assert {pod["steps"][0]["outcome"] for pod in touched[1:]} <= {"passed"}
    others = [(pod["outcome"], pod["reason"]) for pod in run.report["pods"] if pod not in touched]
    assert others == [("skipped", "BreakerOpen")] * (7 - len(touched))
    carried = pm.ephemeral_containers(lab, namespace)
    assert sum(map(len, carried.values())) == len(touched)


def test_s37_twenty_four_sweeps_end_at_the_cap(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """Never 24 containers; the refusal names the way out, and the pod is not called examined."""
    lab.images("busybox")
    pm.apply(lab, namespace, pm.deployment("web", SLEEP))
    pm.wait_ready(lab, namespace, "web")
    path = pm.playbook(tmp_path, [{"name": "hello", "run": ["true"]}])
    for number in range(24):
        run = pm.run(lab, namespace, path, "--cap=3", directory=tmp_path / f"out{number}")
    (names,) = pm.ephemeral_containers(lab, namespace).values()
    assert len(names) == 3
    (pod,) = run.report["pods"]
    assert (pod["outcome"], pod["reason"]) == ("skipped", "EphemeralBudget")
    assert f"kubectl rollout restart deployment/web -n {namespace}" in pod["message"]
    assert run.report["summary"]["workloadsHealthy"] == 0


def test_s37_the_cap_holds_for_what_one_run_adds(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """Two playbooks whose debuggers do not agree would each have a container of its own; a shell
    afterwards is one too many as well."""
    lab.images("busybox")
    pm.apply(lab, namespace, pm.deployment("web", SLEEP))
    pm.wait_ready(lab, namespace, "web")
    paths = []
    for name, profile in (("first", "restricted"), ("second", "baseline")):
        (tmp_path / name).mkdir()
        debugger = {"image": "busybox:1.36", "profile": profile}
        path = pm.playbook(tmp_path / name, [{"name": "hello", "run": ["true"]}], debugger=debugger)
        path.write_text(path.read_text().replace('"name": "probe"', f'"name": "{name}"'))
        paths.append(path)
    run = pm.run(lab, namespace, *paths, "--cap=1", directory=tmp_path / "out")
    (pod,) = run.report["pods"]
    assert (run.code, pod["outcome"], pod["reason"]) == (1, "skipped", "EphemeralBudget")
    assert [(s["playbook"], s["outcome"], s["reason"]) for s in pod["steps"]] == [
        ("first", "passed", ""),
        ("second", "not-evaluated", "EphemeralBudget"),
    ]
    words = ("shell", pod["name"], "-n", namespace, "--cap=1", "--image=busybox:1.36")
    shell = pm.podmedic(lab, *words, "--command", "true", directory=tmp_path / "out")
    assert (shell.code, "EphemeralBudget" in shell.stderr) == (125, True), shell.stderr
    (names,) = pm.ephemeral_containers(lab, namespace).values()
    assert len(names) == 1
    # What is asked before a run counts as the run does.
    for command in ("plan", "preflight"):
        for cap, more in (("1", False), ("2", True)):
            asked = pm.podmedic(
                lab, command, paths[0], "-n", namespace, f"--cap={cap}", directory=tmp_path / "out"
            )
            row = asked.stdout.splitlines()[1].split()
            assert ("EphemeralBudget" in row) is not more, row


def test_a_container_that_hangs_has_begun(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """It is not taken for one that did not start, which is what the breaker counts."""
    lab.images("busybox")
    pm.apply(lab, namespace, pm.deployment("web", SLEEP))
    pm.wait_ready(lab, namespace, "web")
    hangs = ["sh", "-c", "trap 'exit 0' TERM; sleep 60 & wait", "sh"]
    debugger = {"image": "busybox:1.36", "command": hangs}
    steps = [{"name": "hello", "run": ["true"]}]
    path = pm.playbook(tmp_path, steps, debugger=debugger, deadlineSeconds=1)
    words = (path, "--max-failures=1")
    run = pm.run(lab, namespace, *words, directory=tmp_path / "out")
    (pod,) = run.report["pods"]
    assert (pod["outcome"], pod["reason"]) == ("timeout", "DeadlineExceeded")
    assert pod["injections"][0]["startedAt"] is not None
    assert [(a["strategy"], a["outcome"]) for a in pod["strategies"]][-1][1] == "used"
    assert run.report["run"]["aborted"] == ""


def test_a_cool_down_is_kept(lab: Lab, namespace: str, tmp_path: Path) -> None:
    lab.images("busybox")
    pm.apply(lab, namespace, pm.deployment("web", SLEEP))
    pm.wait_ready(lab, namespace, "web")
    path = pm.playbook(tmp_path, [{"name": "hello", "run": ["true"]}])
    first = pm.run(lab, namespace, path, "--cool-down=600", directory=tmp_path / "one")
    second = pm.run(lab, namespace, path, "--cool-down=600", directory=tmp_path / "two")
    assert outcomes(first.report) == {("passed", ""): 1}
    assert outcomes(second.report) == {("skipped", "CoolDown"): 1}
    assert (first.code, second.code) == (0, 5), second.stderr
    assert "no pod was examined, every selected one was skipped: CoolDown 1" in second.stderr
    words = (path, "--cool-down=600", "--allow-empty")
    assert pm.run(lab, namespace, *words, directory=tmp_path / "three").code == 0
    (names,) = pm.ephemeral_containers(lab, namespace).values()
    assert len(names) == 1
