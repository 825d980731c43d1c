"""The playbooks about memory on pods that were killed, leak, or only fill the page cache."""

from pathlib import Path
from typing import Any

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab.test_library_runtimes import program
from tests.lab.test_sweep import SLEEP
from tests.lab.waiting import wait_enterable

# The pods that have something, and what is said of each.
EXPECTED = {
    "killed": {"killed-at-limit"},
    "workers": {"child-killed-at-limit"},
    "leaky": {"memory-leak"},
    "cache": {"only-cache-grows"},
    "heap": {"heap-too-large"},
    "hidden": set[str](),
    "quiet": set[str](),
}
# Whatever reads /dev/zero for a line takes memory until it is killed.
EAT = "tail -n 1 /dev/zero"
SCRIPTS = {
    # A runtime that hears of the end before it hears of the kill calls it an Error.
    "killed": f"[ -e /m/again ] || {{ >/m/again; {EAT}; code=$?; sleep 2; exit $code; }}; {SLEEP}",
    "workers": f"{EAT}; {SLEEP}",
    # Another 128 KiB each second and nothing else: what comes and goes would not be a leak.
    "leaky": "s=x; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17; do s=$s$s; done; "
    "while :; do i=$((i + 1)); eval x$i=\\$s; sleep 1; done",
    "cache": "i=0; while :; do head -c 1000000 /dev/zero >/tmp/$((i % 300)); i=$((i + 1)); sleep 1; done",
    "quiet": SLEEP,
}


def test_what_was_killed_what_leaks_and_what_does_neither(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    lab.images("busybox", "java", "redis", "tools")
    limit: dict[str, Any] = {"resources": {"limits": {"memory": "64Mi"}}}
    # What grew from the start is a leak only after a minute: ready then, which can be awaited.
    old = {"readinessProbe": {"exec": {"command": ["true"]}, "initialDelaySeconds": 65}}
    volume = {"volumes": [{"name": "m", "emptyDir": {}}]}
    for name, script in SCRIPTS.items():
        more = limit if name != "cache" else {}
        mount = {"volumeMounts": [{"name": "m", "mountPath": "/m"}]} if name == "killed" else {}
        ready = old if name == "leaky" else {}
        pm.apply(
            lab, namespace,
            pm.deployment(
                name, script, container={**more, **mount, **ready},
                spec=volume if name == "killed" else None,
            ),
        )  # fmt: skip
    java = {
        "command": [
            "java",
            "-XX:+UseSerialGC",
            "-XX:TieredStopAtLevel=1",
            "/app/Main.java",
            "quiet",
        ],
        "env": [{"name": "JAVA_TOOL_OPTIONS", "value": "-Xmx220m"}],
        "resources": {"limits": {"memory": "256Mi"}},
        "volumeMounts": [{"name": "app", "mountPath": "/app"}],
    }
    pm.apply(
        lab, namespace, program("main", "Main.java"),
        pm.deployment("heap", "", image="eclipse-temurin:17", container={**java, **old},
                      spec={"volumes": [{"name": "app", "configMap": {"name": "main"}}]}),
        # Its user is known to its image alone, so that we do not get the same.
        pm.deployment("hidden", SLEEP, image="redis:7"),
    )  # fmt: skip
    pm.wait_ready(lab, namespace, *EXPECTED)
    wait_enterable(lab, namespace, *EXPECTED)
    run = pm.run(lab, namespace, "oomkilled", "memory-leak", directory=tmp_path / "out")
    said: dict[str, set[str]] = {name: set() for name in EXPECTED}
    for finding in run.report["findings"]:
        said[finding["workload"]["name"]].add(finding["rule"])
    steps = {
        (s["name"], s["outcome"], s["message"]) for p in run.report["pods"] for s in p["steps"]
    }
    assert said == EXPECTED, steps
    assert {outcome for _, outcome, _ in steps} == {"passed"}, steps
    assert {len(names) for names in pm.ephemeral_containers(lab, namespace).values()} == {1}
    killed = next(f for f in run.report["findings"] if f["rule"] == "child-killed-at-limit")
    assert any("oom_kills=1" in each["excerpt"] for each in killed["evidence"])
    unseen = {
        each["subject"]: {pod["name"].split("-")[0] for pod in each["pods"]}
        for each in run.report["notEvaluated"]
    }
    assert unseen["rule memory-leak"] == unseen["rule child-killed-at-limit"] == {"hidden"}, unseen
