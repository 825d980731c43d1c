"""`lifetime: resident`: one ephemeral container for many sweeps, and nobody waits for it."""

import asyncio
import json
import signal
import time
from datetime import datetime
from pathlib import Path
from typing import Any

from lab.handle import Lab
from runner.journal import FILE_NAME
from tests.lab import podmedic as pm
from tests.lab.test_rbac import kubeconfig_of, used
from tests.lab.test_sweep import SLEEP
from tests.lab.waiting import until, wait_enterable

DEBUGGER = {"image": "busybox:1.36", "lifetime": "resident"}
HELLO: list[dict[str, Any]] = [
    {"name": "hello", "script": "echo hello; echo to-stderr >&2; exit 3"},
    {"name": "who", "run": ["cat", "/proc/self/comm"]},
    {"name": "much", "script": "head -c 300000 /dev/urandom | od -An -tx1"},
]


def resident(folder: Path, **debugger: Any) -> Path:
    return pm.playbook(folder, HELLO, debugger=DEBUGGER | debugger)


def steps(report: dict[str, Any]) -> set[tuple[str, str, int, str]]:
    return {
        (step["name"], step["outcome"], step["exitCode"], step["stdout"] + step["stderr"])
        for pod in report["pods"]
        for step in pod["steps"]
        if step["name"] != "much"
    }


def test_s37_twenty_four_sweeps_leave_one_container_in_each_pod(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """Each of them says all that it said the first time, the whole output included."""
    lab.images("busybox")
    pm.apply(lab, namespace, pm.deployment("web", SLEEP, replicas=2))
    pm.wait_ready(lab, namespace, "web")
    path = resident(tmp_path)
    wait_enterable(lab, namespace, "web")
    carried: dict[str, list[str]] = {}
    for number in range(24):
        run = pm.run(lab, namespace, path, directory=tmp_path / f"out{number}")
        assert run.code == 1, run.stderr
        assert steps(run.report) == {
            ("hello", "failed", 3, "hello\nto-stderr\n"),
            ("who", "passed", 0, "cat\n"),
        }
        for pod in run.report["pods"]:
            (injection,) = pod["injections"]
            assert (injection["transport"], injection["reused"]) == ("exec", number > 0)
            much = next(step for step in pod["steps"] if step["name"] == "much")
            assert (much["outcome"], much["attempts"][0]["stdoutInfo"]["bytes"]) == (
                "passed", 918750,
            )  # fmt: skip
            # The container began long before most of these sweeps did; it may tell whole seconds.
            began, ran = (
                datetime.fromisoformat(each["startedAt"])
                for each in (run.report["run"], much["attempts"][0])
            )
            assert began.replace(microsecond=0) <= ran
            assert pod["harm"]["verdict"] == "unchanged"
        carried = carried or pm.ephemeral_containers(lab, namespace)
    assert pm.ephemeral_containers(lab, namespace) == carried
    assert [len(names) for names in carried.values()] == [1, 1]

    listed = pm.podmedic(lab, "containers", "-n", namespace, directory=tmp_path / "out0").stdout
    assert listed.count("running (resident)") == 2
    listed = pm.podmedic(
        lab, "containers", "-n", namespace, "-o", "json", directory=tmp_path / "out0"
    ).stdout
    assert [c["resident"] for c in json.loads(listed)["containers"]] == [True, True]


def test_other_rights_need_another_container(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """As another user, or by another profile: never in the one that is there."""
    lab.images("busybox")
    pm.apply(lab, namespace, pm.deployment("web", SLEEP))
    pm.wait_ready(lab, namespace, "web")
    other, baseline = {"securityContext": {"runAsUser": 1234}}, {"profile": "baseline"}
    tried: list[dict[str, Any]] = [{}, other, baseline, other, {}]
    seen = []
    for number, debugger in enumerate(tried):
        run = pm.run(
            lab, namespace, resident(tmp_path, strategy=["shared"], **debugger),
            directory=tmp_path / f"out{number}",
        )  # fmt: skip
        (pod,) = run.report["pods"]
        seen += [(i["container"], i["reused"]) for i in pod["injections"]]
    names = [name for name, _ in seen]
    assert [reused for _, reused in seen] == [False, False, False, True, True]
    assert (names[3], names[4]) == (names[1], names[0])
    (carried,) = pm.ephemeral_containers(lab, namespace).values()
    assert len(carried) == 3


async def _seconds_to_delete(lab: Lab, namespace: str, pod: str) -> float:
    started = time.monotonic()
    words = ("delete", "pod", pod, "-n", namespace, "--timeout=60s")
    await asyncio.to_thread(lab.kubectl, *words)
    return time.monotonic() - started


async def test_s27_deleting_the_pod_is_not_delayed(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """Although its grace period is half a minute: two seconds at most, beside a twin that is
    deleted in the same moment; of three, for a busy machine delays either of them."""
    lab.images("busybox")
    spec = {"terminationGracePeriodSeconds": 30}
    twins = [pm.deployment(app, SLEEP, replicas=3, spec=spec) for app in ("web", "bare")]
    pm.apply(lab, namespace, *twins)
    pm.wait_ready(lab, namespace, "web", "bare")
    words = (resident(tmp_path), "-l", "app=web", "--max-per-workload=0", "--no-canary")
    run = await asyncio.to_thread(pm.run, lab, namespace, *words, directory=tmp_path / "out")
    assert [len(pod["injections"]) for pod in run.report["pods"]] == [1, 1, 1]
    names = [pod.metadata.name for pod in pm.pods(lab, namespace)]
    pairs = zip(*([n for n in names if n.startswith(app)] for app in ("web", "bare")), strict=True)
    more = []
    for pair in pairs:
        ours, bare = await asyncio.gather(
            *(_seconds_to_delete(lab, namespace, name) for name in pair)
        )
        more.append(ours - bare)
    assert min(more) <= 2.0, more
    assert max(more) < 20.0, more


def test_an_interrupted_sweep_says_which_container_it_was_in(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """And not that the pod's turn had not come: its steps go on until their own deadline."""
    lab.images("busybox")
    pm.apply(lab, namespace, pm.deployment("web", SLEEP))
    pm.wait_ready(lab, namespace, "web")
    debugger = DEBUGGER | {"strategy": ["shared"]}
    first = pm.run(lab, namespace, resident(tmp_path, **debugger), directory=tmp_path / "one")
    (before,) = first.report["pods"]
    slow = pm.playbook(
        tmp_path, [{"name": "slow", "run": ["sleep", "60"], "timeoutSeconds": 90}],
        debugger=debugger,
    )  # fmt: skip
    running = pm.start_run(lab, namespace, slow, directory=tmp_path / "two")
    journal = tmp_path / "two" / FILE_NAME
    deadline = time.monotonic() + 60
    while not (journal.exists() and '"entering"' in journal.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    pm.kill(running, signal.SIGINT)
    report = json.loads((tmp_path / "two" / "report.json").read_bytes())
    (pod,) = report["pods"]
    assert (pod["outcome"], pod["reason"]) == ("unknown", "Interrupted")
    assert pod["container"] == before["container"]


def test_only_a_playbook_that_needs_it_may_exec(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """The compiled role is enough for it, all of it is used, and without the verb nothing is
    changed."""
    lab.images("busybox")
    pm.apply(lab, namespace, pm.deployment("web", SLEEP, replicas=2))
    pm.wait_ready(lab, namespace, "web")
    out, path = tmp_path / "out", resident(tmp_path)
    printed = pm.podmedic(lab, "rbac", path, "--namespaced", "-n", namespace, directory=out).stdout
    lab.kubectl("apply", "-f", "-", input=printed)
    kubeconfig = kubeconfig_of(lab, namespace, "podmedic", tmp_path / "kubeconfig")
    command = ("run", path, "-n", namespace, "-o", out, "--kubeconfig", kubeconfig)
    offset = lab.audit_offset()
    run = pm.podmedic(lab, *command, directory=out)
    events = lab.requests(offset, user_agent="podmedic/")
    assert run.code == 1, run.stderr
    assert [e for e in events if e["responseStatus"]["code"] == 403] == []
    assert {resource for _, resource in used(events)} >= {"pods/exec", "pods/ephemeralcontainers"}
    assert all("hello" not in event["requestURI"] for event in events)

    less = pm.podmedic(lab, "rbac", "triage", "--namespaced", "-n", namespace, directory=out).stdout
    assert "pods/exec" not in less
    lab.kubectl("apply", "-f", "-", input=less)
    before = pm.generations(lab, namespace)
    run = pm.podmedic(lab, *command, directory=out)
    assert (run.code, "create pods/exec" in run.stderr) == (3, True)
    assert pm.generations(lab, namespace) == before


def _shell(lab: Lab, namespace: str, pod: str, *words: str, directory: Path) -> pm.Outcome:
    image = ("--image", "busybox:1.36")
    return pm.podmedic(lab, "shell", pod, "-n", namespace, *image, *words, directory=directory)


def test_a_command_goes_into_the_container_that_is_there(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """Also at the cap. It is the command that ends, with all that it started, and the container
    that stays for the next sweep."""
    lab.images("busybox")
    pm.apply(lab, namespace, pm.deployment("web", SLEEP))
    pm.wait_ready(lab, namespace, "web")
    path, out = resident(tmp_path), tmp_path / "out"
    wait_enterable(lab, namespace, "web")
    pm.run(lab, namespace, path, directory=tmp_path / "first")
    carried = pm.ephemeral_containers(lab, namespace)
    ((web, (name,)),) = carried.items()

    said = _shell(
        lab, namespace, web, "-v", "--cap", "1", "--command", "sleep 601 & echo one; exit 7",
        directory=out,
    )  # fmt: skip
    assert (said.code, said.stdout) == (7, "one\n"), said.stderr
    assert f"container {name} (it was there and is used again) in pod" in said.stderr
    late = _shell(
        lab, namespace, web, "--timeout", "2", "--command", "sleep 602; exit 7", directory=out
    )
    assert late.code == 255
    assert "did not end within 2 s and was ended (Timeout)" in late.stderr
    killed = pm.start_shell(
        lab, namespace, web, "--image=busybox:1.36", "--ttl=5", "--command=echo up; sleep 603"
    )
    assert killed.stdout is not None
    assert killed.stdout.readline() == "up\n"
    pm.kill(killed, signal.SIGKILL)

    def processes() -> set[str]:
        words = ("exec", web, "-n", namespace, "-c", "app", "--", "ps", "-o", "args")
        return {line.strip() for line in lab.kubectl(*words).splitlines()}

    assert "sleep 603" in processes()
    until(
        lambda: "sleep 603" not in processes(), "what the command started goes on", every_seconds=1
    )
    assert not {"sleep 601", "sleep 602"} & processes()
    assert any("podmedic resident" in line for line in processes())
    assert pm.ephemeral_containers(lab, namespace) == carried
    again = pm.run(lab, namespace, path, directory=tmp_path / "again")
    assert again.report["pods"][0]["injections"][0]["reused"] is True


def test_a_command_has_a_container_of_its_own_where_the_one_that_is_there_is_another(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """By another profile or user; where less of its time is left than the command may take; and
    where it is asked for."""
    lab.images("busybox")
    pm.apply(lab, namespace, pm.deployment("web", SLEEP))
    pm.wait_ready(lab, namespace, "web")
    path, out = resident(tmp_path, ttlSeconds=600), tmp_path / "out"
    wait_enterable(lab, namespace, "web")
    pm.run(lab, namespace, path, directory=tmp_path / "first")
    ((web, _),) = pm.ephemeral_containers(lab, namespace).items()
    counts = []
    for words in ([], ["--profile=general"], ["--run-as-user=1234"], ["--timeout=900"], ["--new"]):
        done = _shell(lab, namespace, web, *words, "--command", "exit 7", directory=out)
        assert (done.code, done.stderr) == (7, "")
        counts.append(len(pm.ephemeral_containers(lab, namespace)[web]))
    assert counts == [1, 2, 3, 4, 5]
