"""`podmedic shell POD --command TEXT`, as somebody uses it in scripts and by hand."""

import hashlib
import re
import signal
import subprocess
from pathlib import Path

import pytest

from lab.handle import Lab
from runner.model.pod import Pod
from tests.lab import podmedic as pm
from tests.lab import preloaded
from tests.lab.test_sweep import CRASH, SLEEP
from tests.lab.waiting import PATIENCE_SECONDS, until, wait_crashing, wait_enterable

IMAGE = ("--image", "busybox:1.36")
MARKED = "sleep 86400 & " + SLEEP


def shell(
    lab: Lab, namespace: str, pod: str, *arguments: str, stdin: bytes | None = None,
    itself: bool = False,
) -> subprocess.CompletedProcess[bytes]:  # fmt: skip
    """With `itself` it is the command and no preloaded process."""
    words = ("shell", pod, "-n", namespace, *IMAGE, *arguments)
    environment = pm.environment(lab)
    if itself:
        return subprocess.run(
            [pm.COMMAND, *words], env=environment, input=stdin, capture_output=True, check=False,
            timeout=120,
        )  # fmt: skip
    return preloaded.call(
        words, environment=environment, folder=Path.cwd(), timeout_seconds=120, stdin=stdin
    )


def start_shell(lab: Lab, namespace: str, pod: str, *arguments: str) -> subprocess.Popen[bytes]:
    return preloaded.Process(
        ["shell", pod, "-n", namespace, *IMAGE, *arguments],
        env=pm.environment(lab), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def the_pod(lab: Lab, namespace: str, app: str = "web") -> Pod:
    (found,) = [p for p in pm.pods(lab, namespace) if p.metadata.labels.get("app") == app]
    return found


def ended(lab: Lab, namespace: str, app: str = "web") -> bool:
    """All ephemeral containers of the pod."""
    statuses = the_pod(lab, namespace, app).status.ephemeral_container_statuses
    return bool(statuses) and all(s.state.terminated is not None for s in statuses)


def wait_ended(lab: Lab, namespace: str, seconds: float = PATIENCE_SECONDS) -> None:
    until(lambda: ended(lab, namespace), "our container does not end", seconds)


@pytest.fixture
def web(lab: Lab, namespace: str) -> str:
    """Name of a healthy pod that has run long enough to be entered."""
    lab.images("busybox")
    limited = {"resources": {"limits": {"memory": "256Mi"}}}
    pm.apply(lab, namespace, pm.deployment("web", MARKED, container=limited))
    pm.wait_ready(lab, namespace, "web")
    wait_enterable(lab, namespace)
    return the_pod(lab, namespace).metadata.name


def test_the_exit_code_and_the_bytes_are_those_of_the_command(
    lab: Lab, namespace: str, web: str
) -> None:
    """In the target's process namespace, stderr apart, nothing added; the container then ends."""
    script = (
        r"printf 'a\r\nb\000\377'; echo why >&2; ps | grep -q '[8]6400' && echo seen >&2; exit 7"
    )
    done = shell(lab, namespace, web, "--command", script, itself=True)
    assert (done.returncode, done.stdout) == (7, b"a\r\nb\0\xff")
    assert done.stderr == b"why\nseen\n"
    wait_ended(lab, namespace)
    pod = the_pod(lab, namespace)
    (container,) = pod.spec.ephemeral_containers
    assert (container.target_container_name, container.image) == ("app", "busybox:1.36")
    assert container.security_context["allowPrivilegeEscalation"] is False
    told = shell(lab, namespace, f"pod/{web}", "-v", "--command", "true")
    assert told.returncode == 0
    assert b"profile restricted, target app, strategy target" in told.stderr
    # Where memory is short the kernel takes the command, not the app.
    score = shell(lab, namespace, web, "--command", "cat /proc/self/oom_score_adj")
    assert score.stdout == b"1000\n"


def test_a_crash_looping_pod_has_a_shell_too(lab: Lab, namespace: str) -> None:
    """And the own image of a container that never stays up."""
    lab.images("busybox")
    pm.apply(lab, namespace, pm.deployment("ledger", CRASH))
    wait_crashing(lab, namespace, "ledger", 1)
    name = the_pod(lab, namespace, "ledger").metadata.name
    done = shell(lab, namespace, name, "-v", "--command", "cat /etc/hostname; exit 3")
    assert (done.returncode, done.stdout) == (3, f"{name}\n".encode())
    assert b"strategy shared: container app is" in done.stderr
    own = shell(lab, namespace, name, "--strategy", "own-image", "--command", "exit 4")
    assert (own.returncode, own.stderr) == (4, b"")


def test_a_workloads_name_finds_the_pod_that_is_ill(lab: Lab, namespace: str) -> None:
    """As `kubectl logs deploy/web` does, but not just any of them."""
    lab.images("busybox")
    probe = {"readinessProbe": {"exec": {"command": ["test", "!", "-e", "/tmp/ill"]},
                                "periodSeconds": 1, "failureThreshold": 1}}  # fmt: skip
    pm.apply(lab, namespace, pm.deployment("web", MARKED, replicas=3, container=probe))
    pm.wait_ready(lab, namespace, "web")
    ill = pm.pods(lab, namespace)[1].metadata.name
    lab.kubectl("exec", ill, "-n", namespace, "--", "touch", "/tmp/ill")
    lab.kubectl(
        "wait", f"pod/{ill}", "-n", namespace, "--for=condition=Ready=false", "--timeout=180s"
    )
    done = shell(lab, namespace, "deploy/web", "--command", "cat /etc/hostname")
    assert (done.returncode, done.stdout) == (0, f"{ill}\n".encode())
    assert done.stderr == f"podmedic: pod {ill}, not Ready, of 3 of Deployment web\n".encode()
    assert pm.ephemeral_containers(lab, namespace)[ill]
    assert sum(map(len, pm.ephemeral_containers(lab, namespace).values())) == 1

    none = shell(lab, namespace, "sts/web", "--command", "true")
    assert (none.returncode, none.stderr.decode()) == (
        125,
        (
            f"podmedic: there is no pod of StatefulSet web in namespace {namespace} "
            '(did you mean "deploy/web"?)\n'
        ),
    )  # fmt: skip
    bare = shell(lab, namespace, "web", "--command", "true")
    assert (bare.returncode, bare.stderr.decode()) == (
        125,
        f'podmedic: there is no pod web in namespace {namespace} (did you mean "deploy/web"?)\n',
    )
    odd = shell(lab, namespace, "svc/web", "--command", "true")
    assert (odd.returncode, odd.stderr.decode()) == (
        125,
        (
            "podmedic: svc/web: the name of a pod is expected, or pod/NAME, deploy/NAME, sts/NAME, "
            "ds/NAME, job/NAME, cronjob/NAME\n"
        ),
    )


def test_stdin_is_passed_on_whole(lab: Lab, namespace: str, web: str) -> None:
    """Binary, megabytes, and its end; without -i the command has none."""
    data = bytes(range(256)) * 40_000
    done = shell(lab, namespace, web, "-i", "--command", "sha256sum; cat", stdin=data)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()
    none = shell(lab, namespace, web, "--command", "cat; echo end", stdin=b"never read")
    assert (none.returncode, none.stdout) == (0, b"end\n")


def test_a_command_that_takes_too_long_is_ended(lab: Lab, namespace: str, web: str) -> None:
    """255, what it said by then, and nothing of it left running."""
    done = shell(lab, namespace, web, "--timeout", "3", "--command", "echo one; sleep 600")
    assert (done.returncode, done.stdout) == (255, b"one\n")
    assert done.stderr == (
        b"podmedic: the command's exit code is not known: the command did not end within 3 s and "
        b"was ended (Timeout)\n"
    )
    # With 0 it has the time of its container.
    done = shell(lab, namespace, web, "--timeout", "0", "--command", "sleep 2; exit 7")
    assert (done.returncode, done.stderr) == (7, b"")
    done = shell(
        lab, namespace, web, "--timeout", "0", "--ttl", "8", "--command", "echo one; sleep 600"
    )
    assert (done.returncode, done.stdout) == (255, b"one\n")
    assert re.fullmatch(
        rb"podmedic: the command's exit code is not known: the command did not end within [4-7] s, "
        rb"the rest of the container's --ttl, and was ended \(Timeout\)\n",
        done.stderr,
    ), done.stderr
    wait_ended(lab, namespace)
    assert not lingering(lab, namespace, web)


def lingering(lab: Lab, namespace: str, pod: str) -> bool:
    """Whether a `sleep 600` is left in the target's process namespace."""
    processes = lab.kubectl("exec", pod, "-n", namespace, "-c", "app", "--", "ps")
    return "sleep 600" in processes


def test_who_leaves_ends_the_command_in_the_pod(lab: Lab, namespace: str, web: str) -> None:
    """By a signal, or because nobody reads on. With kubectl exec it goes on."""
    for number in (signal.SIGINT, signal.SIGTERM):
        process = start_shell(lab, namespace, web, "--command", "echo up; sleep 600")
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        assert lingering(lab, namespace, web)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=30)
        assert (process.returncode, stderr) == (
            255, b"podmedic: interrupted; the command and its container were ended\n",
        )  # fmt: skip
        wait_ended(lab, namespace)
        assert not lingering(lab, namespace, web)
    process = start_shell(lab, namespace, web, "--command", "yes")
    assert process.stdout is not None
    assert process.stdout.readline() == b"y\n"
    process.stdout.close()
    assert process.stderr is not None
    assert (process.stderr.read(), process.wait(timeout=30)) == (b"", 255)
    process.stderr.close()
    wait_ended(lab, namespace)


def test_s48_a_killed_podmedic_leaves_a_container_that_ends_by_itself(
    lab: Lab, namespace: str, web: str
) -> None:
    process = start_shell(lab, namespace, web, "--ttl", "8", "--command", "echo up; sleep 600")
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    process.kill()
    process.communicate(timeout=10)
    assert not ended(lab, namespace)
    wait_ended(lab, namespace)
    (status,) = the_pod(lab, namespace).status.ephemeral_container_statuses
    assert status.state.terminated is not None
    lived = status.state.terminated.finished_at - status.state.terminated.started_at  # type: ignore[operator]
    assert 7 <= lived.total_seconds() <= 11
    assert not lingering(lab, namespace, web)


def test_125_says_that_nothing_was_run(lab: Lab, namespace: str, web: str, tmp_path: Path) -> None:
    """One line with the reason, and no pod changed."""
    before = pm.generations(lab, namespace)
    policy = tmp_path / "policy.yaml"
    policy.write_text(
        "apiVersion: podmedic.io/v1alpha1\nkind: Policy\nmetadata: {name: strict}\n"
        "spec: {images: {allow: ['ghcr.io/*']}, security: {profiles: [restricted]}}\n"
    )
    shut = tmp_path / "shut.yaml"
    shut.write_text(
        "apiVersion: podmedic.io/v1alpha1\nkind: Policy\nmetadata: {name: shut}\n"
        f"spec: {{namespaces: {{deny: [{namespace}]}}}}\n"
    )
    cases: list[tuple[list[str], str]] = [
        (["gone", "--command", "true"], f"there is no pod gone in namespace {namespace}"),
        ([web, "-c", "db", "--command", "true"],
         f"pod {web} in namespace {namespace} has no container db: it has app"),
        ([web, "--comand", "true"], "No such option '--comand'"),
        ([web, "--profile", "root", "--command", "true"], "Invalid value for '--profile'"),
        ([web, "--run-as-user", "0", "--command", "true"],
         "--run-as-user 0: profile restricted runs as no root; --profile baseline would"),
        (["svc/web", "--command", "true"], "svc/web: the name of a pod is expected"),
        ([web, "--command", " "], "--command: there is nothing to run; without it, a terminal"),
        ([web, "--policy", str(policy), "--command", "true"],
         "image busybox:1.36 is not allowed: ghcr.io/* (policy/image)"),
        ([web, "--kubeconfig", "/no/such", "--command", "true"], "/no/such"),
        ([web, "--policy", str(shut), "--command", "true"],
         f"namespace {namespace} is not allowed by policy shut"),
        ([web, "--start-timeout", "0", "--command", "true"],
         "'0' is no time in which anything could begin"),
        (["coredns", "-n", "kube-system", "--command", "true"], "there is no pod coredns"),
    ]  # fmt: skip
    for arguments, words in cases:
        done = shell(lab, namespace, *arguments)
        assert (done.returncode, done.stdout) == (125, b""), (arguments, done.stderr)
        (line,) = done.stderr.decode().splitlines()
        assert line.startswith("podmedic: ") and words in line, (arguments, line)
    assert pm.generations(lab, namespace) == before


def test_the_debt_cap_and_an_image_that_does_not_come(lab: Lab, namespace: str, web: str) -> None:
    done = shell(
        lab, namespace, web, "--image", "registry.invalid/none:1", "--start-timeout", "5",
        "--command", "true",
    )  # fmt: skip
    assert done.returncode == 125
    (line,) = done.stderr.decode().splitlines()
    assert "does not run: " in line and "stays in the pod's spec" in line
    capped = shell(lab, namespace, web, "--cap", "1", "--command", "true")
    assert capped.returncode == 125
    assert b"the cap is 1" in capped.stderr
    assert len(the_pod(lab, namespace).spec.ephemeral_containers) == 1


def test_the_group_of_the_target_can_be_named(lab: Lab, namespace: str) -> None:
    """The pod names the user alone, the image does not know it, and this runtime tells nothing.
    Another profile than the namespace allows is refused with the one that would do."""
    lab.images("busybox")
    lab.kubectl("label", "ns", namespace, "pod-security.kubernetes.io/enforce=restricted")
    context = {"runAsUser": 1000, "runAsNonRoot": True,
               "seccompProfile": {"type": "RuntimeDefault"}}  # fmt: skip
    own = {
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    }
    tight = pm.deployment("tight", SLEEP, container=own, spec={"securityContext": context})
    pm.apply(lab, namespace, tight)
    pm.wait_ready(lab, namespace, "tight")
    pod = the_pod(lab, namespace, "tight").metadata.name

    def files() -> bytes:
        words = ("--run-as-user", "1000:0", "--command", "id -u; id -g; ls -d /proc/1/root/bin")
        return shell(lab, namespace, pod, "--strategy", "auto", *words).stdout

    until(lambda: files() == b"1000\n0\n/proc/1/root/bin\n", "the shell says another thing")
    refused = shell(lab, namespace, pod, "--profile", "general", "--command", "true")
    assert refused.returncode == 125
    assert b"(PodSecurity); `--profile auto` takes the least that the namespace" in refused.stderr
    odd = shell(lab, namespace, pod, "--run-as-user", "app", "--command", "true")
    assert (odd.returncode, b"'app' is not UID or UID:GID" in odd.stderr) == (125, True)
