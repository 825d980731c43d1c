"""The playbooks about runtimes on processes that hang, spin or leak, and on ones that do not."""

from pathlib import Path
from typing import Any

from lab.handle import Lab
from tests.lab import podmedic as pm
from tests.lab.test_library_disk import said_of, steps_of
from tests.lab.waiting import wait_enterable

_APPS = Path(__file__).parent / "apps"
JAVA = {
    "deadlock": {"threads-deadlocked"},
    "contended": {"threads-blocked"},
    "busy": {"thread-spins"},
    "full": {"heap-nearly-full"},
    "quiet": set[str](),
}


def program(name: str, file: str) -> dict[str, Any]:
    """A ConfigMap with the program, to be mounted at /app."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {file: (_APPS / file).read_text()},
    }


def app(name: str, image: str, command: list[str], config: str, **more: Any) -> dict[str, Any]:
    container = {"command": command, "volumeMounts": [{"name": "app", "mountPath": "/app"}], **more}
    volumes = [{"name": "app", "configMap": {"name": config}}]
    return pm.deployment(name, "", image=image, container=container, spec={"volumes": volumes})


def wait_entered(lab: Lab, namespace: str, *names: str) -> None:
    pm.wait_ready(lab, namespace, *names)
    wait_enterable(lab, namespace, *names)


def test_threads_of_a_jvm(lab: Lab, namespace: str, tmp_path: Path) -> None:
    lab.images("java", "tools")
    image = "eclipse-temurin:17"
    words = ["java", "-Xmx64m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "/app/Main.java"]
    # It compiles itself: ready when it has had time to become what it shall be.
    ready = {"readinessProbe": {"exec": {"command": ["true"]}, "initialDelaySeconds": 25}}
    user = {"securityContext": {"runAsUser": 1000, "runAsGroup": 1000}}
    pm.apply(
        lab, namespace, program("main", "Main.java"),
        *(app(name, image, [*words, name], "main", **ready, **user) for name in JAVA),
    )  # fmt: skip
    wait_entered(lab, namespace, *JAVA)
    run = pm.run(lab, namespace, "jvm", directory=tmp_path / "out")
    steps = steps_of(run.report)
    assert said_of(run.report, set(JAVA)) == JAVA, steps
    assert {outcome for _, outcome, _ in steps} == {"passed"}, steps
    titles = {f["rule"]: f["title"] for f in run.report["findings"]}
    assert "orders-1, orders-2" in titles["threads-deadlocked"]
    assert "8 threads wait for one lock, which holder holds" in titles["threads-blocked"]
    # Nothing of it was written into the application's log.
    assert lab.kubectl("logs", "deploy/deadlock", "-c", "app", "-n", namespace) == ""


PYTHON = {
    "locked": {"threads-wait-at-one-line"},
    "busy": {"interpreter-held"},
    "blocked": {"event-loop-blocked"},
    "quiet": set[str](),
}


def test_threads_of_python(lab: Lab, namespace: str, tmp_path: Path) -> None:
    lab.images("python", "tools")
    pm.apply(
        lab, namespace, program("main", "main.py"),
        *(app(name, "python:3.12", ["python", "/app/main.py", name], "main") for name in PYTHON),
    )  # fmt: skip
    wait_entered(lab, namespace, *PYTHON)
    run = pm.run(lab, namespace, "python-pyspy", directory=tmp_path / "out")
    steps = steps_of(run.report)
    assert said_of(run.report, set(PYTHON)) == PYTHON, steps
    assert {outcome for _, outcome, _ in steps} == {"passed"}, steps
    messages = {f["rule"]: f["message"] for f in run.report["findings"]}
    assert "was in slow (main.py:" in messages["event-loop-blocked"]
    assert "in spin (main.py:" in messages["interpreter-held"]
    assert "wait_for_lock (main.py:" in messages["threads-wait-at-one-line"]


GO = {
    "leak": {"goroutines-leak"},
    "open": {"profiles-exposed"},
    "quiet": set[str](),
}


def test_goroutines_that_pile_up(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """The healthy one has profiles, too."""
    lab.images("pprof", "tools")
    words = {
        "leak": ["127.0.0.1:6060", "leak"],
        "open": [":6060", ""],
        "quiet": ["127.0.0.1:6060", ""],
    }
    pm.apply(
        lab, namespace,
        *(
            pm.deployment(name, "", image="pprof:1",
                          container={"command": ["/pprof", *words[name]], "ports": [{"containerPort": 6060}],
                                     "securityContext": {"runAsUser": 1000, "runAsGroup": 1000}})
            for name in GO
        ),
    )  # fmt: skip
    wait_entered(lab, namespace, *GO)
    run = pm.run(lab, namespace, "profile", directory=tmp_path / "out")
    steps = steps_of(run.report)
    assert said_of(run.report, set(GO)) == GO, steps
    assert {outcome for _, outcome, _ in steps} == {"passed"}, steps
    leak = next(f for f in run.report["findings"] if f["rule"] == "goroutines-leak")
    assert "pile up in main.waitForAnswer" in leak["message"]
