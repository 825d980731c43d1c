"""The main job on a real cluster: many pods, one ephemeral container each, one report."""

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import jsonschema

from lab.handle import Lab
from runner.report import json_schema
from tests.lab import podmedic as pm
from tests.lab.waiting import wait_crashing

SLEEP = pm.SLEEP
CRASH = 'echo starting; echo "fatal: environment variable LEDGER_URL is not set" >&2; exit 1'
LIFTED = (
    "--max-in-flight=0",
    "--max-per-node=0",
    "--max-per-workload=0",
    "--no-canary",
    "--qps=0",
)


def restarts(lab: Lab, namespace: str, app: str) -> int:
    return sum(
        status.restart_count
        for pod in pm.pods(lab, namespace)
        if pod.metadata.labels.get("app") == app
        for status in pod.status.container_statuses
    )


def test_s01_s02_forty_crash_loops_and_five_healthy_pods(lab: Lab, tmp_path: Path) -> None:
    """One container each, 45 results, a finding that names the cause, few requests, and the
    apps restart no faster than those of an untouched twin."""
    lab.images("busybox", "tools")
    with lab.namespace() as touched, lab.namespace() as control:
        twins = {touched: 40, control: 20}
        for namespace, replicas in twins.items():
            pm.apply(lab, namespace, pm.deployment("ledger", CRASH, replicas=replicas))
        pm.apply(lab, touched, pm.deployment("web", SLEEP, replicas=5))
        pm.wait_ready(lab, touched, "web")
        for namespace, replicas in twins.items():
            wait_crashing(lab, namespace, "ledger", replicas)

        before = {name: restarts(lab, name, "ledger") for name in (touched, control)}
        offset = lab.audit_offset()
        # Forty containers at once start as soon as two cores can, which is no part of the promise.
        outcome = pm.run(
            lab, touched, "crashloop", "triage", *LIFTED, "--start-timeout=120",
            directory=tmp_path / "out",
        )  # fmt: skip
        after = {name: restarts(lab, name, "ledger") for name in (touched, control)}
        requests = [
            request
            for request in lab.requests(offset, user_agent="podmedic/")
            if request["objectRef"].get("namespace") in (None, touched, "kube-system")
        ]

        report = outcome.report
        assert outcome.code == 1, outcome.stderr
        assert len(report["pods"]) == 45
        containers = pm.ephemeral_containers(lab, touched)
        assert {name: len(found) for name, found in containers.items()} == dict.fromkeys(
            containers, 1
        )
        assert {p["name"]: p["container"] for p in report["pods"]} == {
            name: found[0] for name, found in containers.items()
        }
        used = [
            [way["container"] for way in p["strategies"] if way["outcome"] == "used"]
            for p in report["pods"]
        ]
        assert used == [[p["container"]] for p in report["pods"]]
        outcomes = {p["name"]: p["outcome"] for p in report["pods"]}
        assert {o for name, o in outcomes.items() if name.startswith("ledger")} == {"failed"}
        assert {o for name, o in outcomes.items() if name.startswith("web")} == {"passed"}

        top = report["findings"][0]
        assert (top["workload"]["kind"], top["workload"]["name"]) == ("Deployment", "ledger")
        assert len(top["pods"]) == 40
        assert "LEDGER_URL" in top["message"]
        assert "LEDGER_URL is not set" in top["evidence"][0]["excerpt"]

        recent = pm.podmedic(
            lab, "run", "incident-evidence", "-n", touched, "--since=1h", "--dry-run=client",
            "-o", "name", directory=tmp_path / "out",
        )  # fmt: skip
        assert {name[4:10] for name in recent.stdout.split()} == {"ledger"}
        assert len(recent.stdout.split()) == 40

        n = 45
        # Two for each pod, a log for each way of ending of a workload, and twelve: pods, who we
        # are and where, Services, events, Jobs, ReplicaSets, disruption budgets, two watches, and
        # the node before and after.
        asked = Counter(
            f"{r['verb']} {r['objectRef']['resource']}/{r['objectRef'].get('subresource', '')}"
            for r in requests
        )
        assert len(requests) <= 2.05 * n + 12 + n / 500, str(asked)
        assert not [r for r in requests if r["responseStatus"]["code"] >= 400]

        # The twin is younger by the time that forty pods take to start, and so restarts a little
        # more often; a quarter of a restart per pod is what two looks may differ by.
        grown = {name: (after[name] - before[name]) * 40 / twins[name] for name in twins}
        assert grown[touched] <= grown[control] * 1.25 + 10
        harms = {p["harm"]["verdict"] for p in report["pods"] if p["name"].startswith("ledger")}
        assert harms == {"unchanged"}


def test_s15_report_is_what_its_schema_says(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """Every promised key is there, and steps carry each attempt; -o json prints all of it."""
    pm.apply(lab, namespace, pm.deployment("web", SLEEP))
    pm.wait_ready(lab, namespace, "web")
    path = pm.playbook(
        tmp_path,
        [
            {"name": "ok", "run": ["echo", "a b", "$HOME"]},
            {
                "name": "flaky",
                "script": "n=$(cat /tmp/n 2>/dev/null || echo 0); n=$((n+1)); echo $n >/tmp/n; "
                'echo "try $n"; echo oops >&2; [ $n -ge 3 ]',
                "retry": {"attempts": 4, "backoffSeconds": 0},
            },
            {"name": "wrong", "run": ["sh", "-c", "exit 7"]},
            {"name": "slow", "run": ["sleep", "60"], "timeoutSeconds": 1},
            {"name": "absent", "run": ["nosuchtool"], "needs": {"tools": ["nosuchtool"]}},
        ],
    )
    outcome = pm.run(lab, namespace, path, "-o", "json", directory=tmp_path / "out")
    report = outcome.report

    assert json.loads(outcome.stdout) == report
    jsonschema.validate(report, json_schema())
    assert outcome.code == 1
    assert {"id", "startedAt", "finishedAt", "playbooks"} <= report["run"].keys()
    (pod,) = report["pods"]
    assert {
        "namespace", "name", "uid", "node", "workload", "outcome", "reason", "container",
        "strategy", "steps",
    } <= pod.keys()  # fmt: skip
    assert pod["workload"] == {"kind": "Deployment", "namespace": namespace, "name": "web"}
    assert (pod["outcome"], pod["reason"]) == ("failed", "StepFailed")
    steps = {step["name"]: step for step in pod["steps"]}
    assert [
        (s["name"], s["outcome"], s["exitCode"], len(s["attempts"])) for s in steps.values()
    ] == [
        ("ok", "passed", 0, 1),
        ("flaky", "passed", 0, 3),
        ("wrong", "failed", 7, 1),
        ("slow", "timeout", None, 1),
        ("absent", "not-evaluated", None, 0),
    ]
    assert steps["ok"]["stdout"] == "a b $HOME\n"
    attempts = steps["flaky"]["attempts"]
    assert [(a["number"], a["exitCode"], a["stdout"], a["stderr"]) for a in attempts] == [
        (1, 1, "try 1\n", "oops\n"),
        (2, 1, "try 2\n", "oops\n"),
        (3, 0, "try 3\n", "oops\n"),
    ]
    assert steps["absent"]["reason"] == "ToolMissing"
    assert (tmp_path / "out" / "report.html").read_text().startswith("<!doctype html>")


def test_s14_hostile_output_arrives_byte_for_byte(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """Raw container logs keep neither all bytes nor the order of two streams; we do."""
    pm.apply(lab, namespace, pm.deployment("web", SLEEP))
    pm.wait_ready(lab, namespace, "web")
    nasty = b"<script>alert(1)</script>\r\n\x1b[31mred\x1b[0m\x00\xff\xfe[bold]x[/bold]"
    octal = "".join(f"\\{byte:03o}" for byte in nasty)
    path = pm.playbook(
        tmp_path,
        [
            {"name": "nasty", "script": f"printf '{octal}'; printf '{octal}' >&2"},
            {
                "name": "line",
                "script": "head -c 5242880 /dev/zero | tr '\\0' x",
                "timeoutSeconds": 30,
                "outputLimitBytes": 6 * 1024 * 1024,
            },
        ],
    )
    outcome = pm.run(lab, namespace, path, directory=tmp_path / "out")
    steps = {step["name"]: step for step in outcome.report["pods"][0]["steps"]}

    for stream in ("stdoutInfo", "stderrInfo"):
        info = steps["nasty"]["attempts"][0][stream]
        assert info["sha256"] == hashlib.sha256(nasty).hexdigest()
        assert (tmp_path / "out" / info["blob"]).read_bytes() == nasty
    info = steps["line"]["attempts"][0]["stdoutInfo"]
    assert info["bytes"] == info["keptBytes"] == 5242880
    assert info["sha256"] == hashlib.sha256(b"x" * 5242880).hexdigest()
    html = (tmp_path / "out" / "report.html").read_text()
    assert "<script>alert" not in html
    assert "\x1b" not in html + outcome.stdout + outcome.stderr


def test_s13_much_output_of_many_pods_arrives_whole(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """The end of a log is lost when its container ends right after writing much of it; the
    program does not end so soon."""
    pm.apply(lab, namespace, pm.deployment("web", SLEEP, replicas=12))
    pm.wait_ready(lab, namespace, "web")
    path = pm.playbook(
        tmp_path,
        [{"name": "noise", "script": "head -c 200000 /dev/urandom", "timeoutSeconds": 30}],
    )
    outcome = pm.run(lab, namespace, path, *LIFTED, directory=tmp_path / "out")
    assert [p["outcome"] for p in outcome.report["pods"]] == ["passed"] * 12
    kept = [p["steps"][0]["attempts"][0]["stdoutInfo"]["keptBytes"] for p in outcome.report["pods"]]
    assert kept == [200000] * 12

    # More than a log may hold: the kubelet would turn it over and lose the beginning.
    (tmp_path / "flood").mkdir()
    script = "yes 0123456789abcde | head -c 50000000"
    steps = [
        {"name": "flood", "script": script, "timeoutSeconds": 120, "outputLimitBytes": 4194304}
    ]
    path = pm.playbook(tmp_path / "flood", steps, deadlineSeconds=150)
    name = outcome.report["pods"][0]["name"]
    words = (path, f"--field-selector=metadata.name={name}")
    outcome = pm.run(lab, namespace, *words, directory=tmp_path / "flood" / "out")
    (pod,) = outcome.report["pods"]
    info = pod["steps"][0]["attempts"][0]["stdoutInfo"]
    told = (info["bytes"], info["keptBytes"], info["truncated"])
    assert told == (50_000_000, 4_194_304, True), pod
    first = (b"0123456789abcde\n" * 262_144)[:4_194_304]
    assert info["sha256"] == hashlib.sha256(first).hexdigest()


def test_s24_skipped_pods_have_a_reason(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """Finished pods are left alone, and said; one that finishes in mid-run is no error."""

    def once(name: str, script: str) -> dict[str, Any]:
        container = {"name": "app", "image": "busybox:1.36", "command": ["sh", "-c", script]}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {"restartPolicy": "Never", "containers": [container]},
        }

    asked = once("asked", "nc -l -p 8080 >/dev/null; exit 0")
    pm.apply(lab, namespace, once("once", "true"), asked, pm.deployment("web", SLEEP))
    pm.wait_ready(lab, namespace, "web")
    pm.wait_pod(lab, namespace, "asked")
    lab.kubectl(
        "wait", "-n", namespace, "--for=jsonpath={.status.phase}=Succeeded", "pod/once",
        "--timeout=180s",
    )  # fmt: skip
    outcome = pm.run(
        lab, namespace, "triage", "--debugger-image=busybox:1.36", directory=tmp_path / "out"
    )
    over = next(p for p in outcome.report["pods"] if p["name"] == "once")
    assert (over["outcome"], over["reason"]) == ("skipped", "Finished")
    assert pm.ephemeral_containers(lab, namespace)["once"] == []

    work = "echo go | nc -w 2 127.0.0.1 8080; echo seen; sleep 50"
    debugger = {"image": "busybox:1.36", "strategy": ["shared"]}
    path = pm.playbook(tmp_path, [{"name": "work", "script": work}], debugger=debugger)
    outcome = pm.run(lab, namespace, path, "-l", "app=asked", directory=tmp_path / "asked")
    (pod,) = outcome.report["pods"]
    why = "the pod had finished before all steps had ended"
    assert (pod["outcome"], pod["reason"], pod["message"]) == ("unknown", "Finished", why)
    assert (pod["steps"][0]["reason"], pod["steps"][0]["stdout"]) == ("Finished", "seen\n")
    assert (pod["harm"]["verdict"], outcome.code) == ("unchanged", 1)
