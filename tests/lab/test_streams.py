"""Exec and attach on real containers, and through a proxy that cuts them."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from lab.handle import Lab
from lab.proxy import Fault, FaultProxy, service_account_token
from runner.cluster import ClusterError, ErrorReason, Place, Streamed, StreamOutcome
from runner.kube import KubeCluster, connect
from runner.kube.exec import V4, V5, StreamPolicy
from runner.kube.retry import RetryPolicy
from tests.lab import podmedic as pm
from tests.lab.test_sweep import SLEEP

EXECS = r".*/exec"
QUICK = RetryPolicy(attempts=2, base_seconds=0.05, cap_seconds=0.1)


@pytest.fixture(scope="module")
def place(lab: Lab) -> Iterator[Place]:
    lab.images("busybox")
    with lab.namespace("streams") as namespace:
        pod = {
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"},
            "spec": {
                "terminationGracePeriodSeconds": 1,
                "containers": [
                    {"name": "app", "image": "busybox:1.36", "command": ["sh", "-c", SLEEP]},
                    {"name": "cat", "image": "busybox:1.36", "stdin": True,
                     "command": ["sh", "-c", "while read -r line; do echo got $line; done; exit 3"]},
                ],
            },
        }  # fmt: skip
        pm.apply(lab, namespace, pod)
        pm.wait_pod(lab, namespace, "web")
        yield Place(namespace=namespace, pod="web", container="app")


@pytest_asyncio.fixture(params=[V5, V4], ids=["v5", "v4"])
async def kube(lab: Lab, request: pytest.FixtureRequest) -> AsyncIterator[KubeCluster]:
    policy = StreamPolicy(protocols=(request.param,))
    async with await connect(kubeconfig=str(lab.kubeconfig), streams=policy) as cluster:
        yield cluster


async def sh(
    kube: KubeCluster, place: Place, script: str, *, stdin: bytes | None = None,
    limit_bytes: int = 64 << 20, timeout_seconds: float = 60.0,
) -> Streamed:  # fmt: skip
    return await kube.streams.run(
        place, ["sh", "-c", script], stdin=stdin, limit_bytes=limit_bytes,
        timeout_seconds=timeout_seconds,
    )  # fmt: skip


async def test_exit_codes_and_separate_streams(kube: KubeCluster, place: Place) -> None:
    for code in (0, 1, 7, 255):
        done = await sh(kube, place, f"echo out; echo err >&2; exit {code}")
        assert done.ended.outcome is StreamOutcome.EXITED
        assert (done.ended.exit_code, done.stdout, done.stderr) == (code, b"out\n", b"err\n")
    killed = await sh(kube, place, "kill -9 $$")
    assert killed.ended.exit_code == 137


async def test_bytes_are_exact(kube: KubeCluster, place: Place) -> None:
    """CRLF, NUL and invalid UTF-8, and megabytes of them."""
    done = await sh(kube, place, r"printf 'a\r\nb\000\377\376'")
    assert done.stdout == b"a\r\nb\0\xff\xfe"
    many = await sh(
        kube, place, "head -c 8000000 /dev/urandom > /tmp/x; cat /tmp/x; sha256sum </tmp/x >&2"
    )
    assert many.ended.exit_code == 0
    assert hashlib.sha256(many.stdout).hexdigest() == many.stderr.split()[0].decode()


async def test_a_command_that_is_not_there_failed(kube: KubeCluster, place: Place) -> None:
    """It is no exit code of the command."""
    done = await kube.streams.run(
        place, ["/no/such"], limit_bytes=1000, timeout_seconds=30
    )  # fmt: skip
    assert done.ended.outcome in (StreamOutcome.FAILED, StreamOutcome.EXITED)
    if done.ended.outcome is StreamOutcome.FAILED:
        assert "/no/such" in done.ended.message
    else:
        assert done.ended.exit_code in (126, 127)


async def test_input_ends(kube: KubeCluster, place: Place) -> None:
    """v5 can end it; v4 says that it cannot. Large input does not block."""
    data = bytes(range(256)) * 20_000
    if kube.streams._policy.protocols == (V4,):
        with pytest.raises(ClusterError, match="stdin"):
            await sh(kube, place, "sleep 1; echo", stdin=data)
        return
    done = await sh(kube, place, "sha256sum; cat", stdin=data)
    assert done.stdout.split()[0].decode() == hashlib.sha256(data).hexdigest()
    assert done.ended.exit_code == 0


async def test_too_much_output_and_too_much_time_are_unknown(
    kube: KubeCluster, place: Place
) -> None:
    much = await sh(kube, place, "yes", limit_bytes=100_000)
    assert (much.ended.outcome, much.ended.reason) == (StreamOutcome.UNKNOWN, "OutputLimit")
    assert len(much.stdout) == 100_000
    late = await sh(kube, place, "echo early; sleep 20", timeout_seconds=2)
    assert (late.ended.outcome, late.ended.reason) == (StreamOutcome.UNKNOWN, "Timeout")
    assert late.stdout == b"early\n"


async def test_attach_speaks_to_the_first_process(kube: KubeCluster, place: Place) -> None:
    """And leaves it running when the stream is closed."""
    cat = Place(namespace=place.namespace, pod=place.pod, container="cat")
    for word in (b"one", b"two"):
        async with kube.streams.attach(cat, tty=False) as stream:
            await stream.send(word + b"\n")
            async with asyncio.timeout(10):
                async for chunk in stream.chunks():
                    assert chunk.data == b"got " + word + b"\n"
                    break
        assert stream.ended.outcome is StreamOutcome.UNKNOWN


async def test_a_container_that_is_not_there(lab: Lab, place: Place) -> None:
    """NotReady after some attempts: it may be about to start."""
    absent = Place(namespace=place.namespace, pod="web", container="nothing")
    async with await connect(kubeconfig=str(lab.kubeconfig), retries=QUICK) as kube:
        with pytest.raises(ClusterError) as caught:
            await sh(kube, absent, "true")
    assert caught.value.reason in (ErrorReason.NOT_READY, ErrorReason.INVALID)
    assert "nothing" in caught.value.message


@pytest.fixture
def proxy(lab: Lab) -> Iterator[FaultProxy]:
    with FaultProxy(upstream=lab.api, ca=lab.layout.pki / "ca.crt") as proxy:
        yield proxy


@pytest_asyncio.fixture
async def proxied(
    lab: Lab, proxy: FaultProxy, place: Place, tmp_path: Path
) -> AsyncIterator[KubeCluster]:
    token = service_account_token(lab, place.namespace)
    config = str(proxy.kubeconfig(tmp_path / "kubeconfig", token=token))
    policy = StreamPolicy(heartbeat_seconds=2.0)
    async with await connect(kubeconfig=config, retries=QUICK, streams=policy) as cluster:
        yield cluster


async def test_s34_a_stream_that_is_cut_is_unknown(
    proxied: KubeCluster, proxy: FaultProxy, place: Place
) -> None:
    """Never success, though everything that the command wrote had arrived."""
    whole = await sh(proxied, place, "echo all; exit 0")
    assert (whole.ended.exit_code, whole.stdout) == (0, b"all\n")
    proxy.add(Fault.cut(path=EXECS, after_seconds=1.0))
    cut = await sh(proxied, place, "echo all; sleep 3; exit 0")
    assert (cut.ended.outcome, cut.ended.exit_code) == (StreamOutcome.UNKNOWN, None)
    assert (cut.ended.reason, cut.stdout) == ("NoStatus", b"all\n")


async def test_a_peer_that_is_gone_is_noticed(
    proxied: KubeCluster, proxy: FaultProxy, place: Place
) -> None:
    """By the heartbeat, though the command was given a minute."""
    fault = Fault.half_open(path=EXECS, after_seconds=1.0)
    proxy.add(fault)
    began = asyncio.get_running_loop().time()
    lost = await sh(proxied, place, "echo all; sleep 30")
    assert lost.ended.outcome is StreamOutcome.UNKNOWN
    assert asyncio.get_running_loop().time() - began < 15
    assert proxy.struck(fault)


async def test_what_may_have_been_run_is_not_run_again(
    proxied: KubeCluster, proxy: FaultProxy, place: Place
) -> None:
    """The answer to the handshake is lost: an error, and one request."""
    fault = Fault.drop_response(path=EXECS, times=None)
    proxy.add(fault)
    with pytest.raises(ClusterError) as caught:
        await sh(proxied, place, "true")
    assert caught.value.reason is ErrorReason.UNREACHABLE
    assert len(proxy.struck(fault)) == 1


async def test_a_slow_reader_is_not_taken_for_a_lost_peer(lab: Lab, place: Place) -> None:
    """As under `| less`: more than fits into the buffers waits, longer than a heartbeat."""
    policy = StreamPolicy(heartbeat_seconds=0.5)
    async with (
        await connect(kubeconfig=str(lab.kubeconfig), streams=policy) as kube,
        kube.streams.exec(place, ["sh", "-c", "head -c 30000000 /dev/zero; exit 3"]) as stream,
    ):
        length = 0
        async for chunk in stream.chunks():
            if not length:
                await asyncio.sleep(3)
            length += len(chunk.data)
        assert (length, stream.ended.exit_code) == (30_000_000, 3)


@pytest.mark.parametrize("kube", [V5], indirect=True)
async def test_s35_two_million_lines_twenty_times_at_once(kube: KubeCluster, place: Place) -> None:
    """All of it arrives, or the stream says that it did not (kubernetes#124571)."""
    lines = 2_000_000
    expected = hashlib.sha256(b"".join(b"%d\n" % n for n in range(1, lines + 1))).hexdigest()

    async def once() -> tuple[StreamOutcome, bool]:
        done = await sh(kube, place, f"seq {lines}", timeout_seconds=240)
        whole = hashlib.sha256(done.stdout).hexdigest() == expected
        return done.ended.outcome, whole

    seen = await asyncio.gather(*(once() for _ in range(20)))
    flagged = [one for one in seen if one[0] is not StreamOutcome.EXITED]
    assert [one for one in seen if one not in flagged] == [
        (StreamOutcome.EXITED, True) for _ in range(20 - len(flagged))
    ]
    assert len(flagged) < 20
