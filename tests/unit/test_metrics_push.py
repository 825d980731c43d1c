"""What a Pushgateway that misbehaves does to us: one line, in time, without the password."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from runner.metrics import MetricsError, build_registry, push
from tests.unit.report_samples import rich_report


@contextmanager
def _gateway(*replies: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """A listener on loopback that sends `replies` once it has heard something, then hangs until
    the end of the context."""
    heard: list[bytes] = []
    done = threading.Event()

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            heard.append(connection.recv(65_536))
            for reply in replies:
                connection.sendall(reply)
            done.wait(30)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1], heard
        finally:
            done.set()
            thread.join(30)


def _failure(url: str, timeout_seconds: float = 10) -> str:
    with pytest.raises(MetricsError) as caught:
        push(url, build_registry(rich_report(), api_requests={}), job="podmedic", timeout_seconds=timeout_seconds)  # fmt: skip
    return str(caught.value)


def test_what_is_sent_is_a_post_to_the_group_of_the_job() -> None:
    with _gateway(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n") as (port, heard):
        push(
            f"http://medic:secret%21@127.0.0.1:{port}",
            build_registry(rich_report(), api_requests={}),
            job="podmedic/a",
            timeout_seconds=10,
        )

    head = heard[0].partition(b"\r\n\r\n")[0]
    assert head.startswith(b"POST /metrics/job@base64/cG9kbWVkaWMvYQ== HTTP/1.1\r\n")
    assert b"Authorization: Basic bWVkaWM6c2VjcmV0IQ==" in head


@pytest.mark.parametrize(
    ("path", "posted"),
    [
        ("/", b"/metrics/job/podmedic"),
        ("/push", b"/push/metrics/job/podmedic"),
        ("/metrics/job/nightly", b"/metrics/job/nightly"),
        ("/push/metrics/job/a%2Fb/", b"/push/metrics/job@base64/YS9i"),
    ],
)
def test_sweeps_of_their_own_push_to_groups_of_their_own(path: str, posted: bytes) -> None:
    """Else the success of one would hide that another one fails."""
    with _gateway(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n") as (port, heard):
        registry = build_registry(rich_report(), api_requests={})
        push(f"http://127.0.0.1:{port}{path}", registry, job="podmedic", timeout_seconds=10)
    assert heard[0].split(b"\r\n")[0] == b"POST " + posted + b" HTTP/1.1"


def test_a_refusal_is_told_with_its_reason() -> None:
    body = b"pushed metrics are invalid\x1b[31m\n"
    reply = b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    with _gateway(reply) as (port, _):
        said = _failure(f"127.0.0.1:{port}")

    assert said == (
        f"Pushgateway http://127.0.0.1:{port}: HTTP 400 Bad Request: pushed metrics are invalid^[[31m"
    )


def test_a_gateway_that_hangs_costs_its_time_out_and_no_more() -> None:
    with _gateway(b"HTTP/1.1 200 OK\r\n") as (port, _):
        said = _failure(f"http://u:hunter2@127.0.0.1:{port}/x", timeout_seconds=0.3)

    assert said == f"Pushgateway http://127.0.0.1:{port}/x did not answer within 0.3 s"


def test_nobody_listening_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]

    assert _failure(f"http://127.0.0.1:{port}") == (
        f"Pushgateway http://127.0.0.1:{port}: Connection refused"
    )
