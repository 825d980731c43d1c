"""What stays of the values of variables when they are taken away."""

from typing import Any

import pytest

from runner.injection.variables import heap_of, proxied_by, trusted_by
from runner.model.pod import Container, EnvVar, Heap, Proxied, Trusted

PROXY = "http://user:secret@proxy.corp:3128"


def container(env: dict[str, str], **more: Any) -> Container:
    return Container(name="app", env=tuple(EnvVar(name=n, value=v) for n, v in env.items()), **more)


@pytest.mark.parametrize(
    ("env", "command", "expected"),
    [
        ({"JAVA_OPTS": "-Xms64m -Xmx512m"}, [], ("env:JAVA_OPTS", "-Xmx512m", 512 << 10)),
        ({"NODE_OPTIONS": "--max-old-space-size=2048"}, [], ("env:NODE_OPTIONS", "--max-old-space-size=2048", 2 << 20)),
        ({"JAVA_OPTS": "-Xmx1g"}, ["java", "-Xmx2G", "-jar", "a.jar"], ("command", "-Xmx2G", 2 << 20)),
        ({"OPTS": "-XX:MaxHeapSize=1073741824"}, [], ("env:OPTS", "-XX:MaxHeapSize=1073741824", 1 << 20)),
        ({"JAVA_OPTS": "-XX:MaxRAMPercentage=75"}, ["java"], None),
    ],
)  # fmt: skip
def test_the_size_of_a_heap(
    env: dict[str, str], command: list[str], expected: tuple[str, str, int] | None
) -> None:
    found = heap_of(container(env, command=tuple(command)))
    wanted = expected and Heap(source=expected[0], flag=expected[1], kib=expected[2])
    assert found == wanted


def test_where_authorities_are_looked_for() -> None:
    env = {"SSL_CERT_FILE": "/ca/ca.crt", "NODE_EXTRA_CA_CERTS": "", "CA": "/other"}
    assert trusted_by(container(env)) == (Trusted(variable="SSL_CERT_FILE", path="/ca/ca.crt"),)


@pytest.mark.parametrize(
    ("url", "no_proxy", "asked"),
    [
        ("http://prices:8080/v1", "localhost,127.0.0.1", "prices"),
        ("http://prices.shop.svc:8080", ".corp.example.com", "prices.shop.svc"),
        ("http://prices.shop.svc.cluster.local", ".svc", "prices.shop.svc.cluster.local"),
        ("http://prices.shop.svc", "10.0.0.0/8, .svc", None),
        ("http://prices.shop.svc", "*.svc", None),
        ("http://prices", "prices:8080", None),
        ("http://prices", "*", None),
        # not a Service, or of another scheme than the proxy's
        ("http://api.example.com", "", None),
        ("https://prices", "", None),
        ("http://localhost:9000", "", None),
    ],
)
def test_services_that_are_asked_through_a_proxy(
    url: str, no_proxy: str, asked: str | None
) -> None:
    one = container({"HTTP_PROXY": PROXY, "NO_PROXY": no_proxy, "PRICES": url})
    wanted = (Proxied(host=asked, variable="HTTP_PROXY"),) if asked else ()
    assert proxied_by(one) == wanted


def test_nothing_is_said_of_a_no_proxy_that_is_not_known() -> None:
    env = {"HTTP_PROXY": PROXY, "PRICES": "http://prices"}
    reference = {"configMapKeyRef": {"name": "c", "key": "k"}}
    unknown = EnvVar(name="no_proxy", value_from=reference)
    assert proxied_by(container(env)) == (Proxied(host="prices", variable="HTTP_PROXY"),)
    assert proxied_by(container(env, env_from=({"configMapRef": {"name": "c"}},))) == ()
    assert proxied_by(Container(name="app", env=(*container(env).env, unknown))) == ()
