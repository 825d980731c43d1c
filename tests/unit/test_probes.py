"""Probes as steps get them: one line each, whatever the pod's author wrote into them."""

from typing import Any

import msgspec
import pytest

from runner.injection.probes import probes_of
from runner.model.pod import Container


def container(**fields: Any) -> Container:
    ports = [{"name": "web", "containerPort": 8080}, {"containerPort": 9000}]
    return msgspec.convert({"name": "app", "ports": ports, **fields}, Container, strict=False)


@pytest.mark.parametrize(
    ("probe", "line"),
    [
        ({"httpGet": {"port": 80}}, "http 80 1 http 0 - /"),
        ({"httpGet": {"port": "web", "path": "ready", "scheme": "HTTPS"}, "timeoutSeconds": 5},
         "http 8080 5 https 0 - /ready"),
        ({"httpGet": {"port": "gone", "path": "/a?b=c&d=%20", "host": "10.0.0.1"}},
         "http - 1 http 0 10.0.0.1 /a?b=c&d=%20"),
        ({"httpGet": {"port": 80, "httpHeaders": [{"name": "Authorization", "value": "Bearer x"}]}},
         "http 80 1 http 1 - /"),
        ({"httpGet": {"port": 80, "path": '/a b\n"readiness exec\u00fc`x`'}},
         "http 80 1 http 0 - /a%20b%0A%22readiness%20exec%C3%BC%60x%60"),
        ({"httpGet": {"port": 80, "path": "/" + "x" * 9000}}, "http 80 1 http 0 - /" + "x" * 511),
        ({"tcpSocket": {"port": 5432}, "timeoutSeconds": 2}, "tcp 5432 2 - 0 - -"),
        ({"grpc": {"port": 9000, "service": "shop.Cart"}}, "grpc 9000 1 - 0 - shop.Cart"),
        ({"grpc": {"port": 9000, "service": "a b"}}, "grpc 9000 1 - 0 - -"),
        ({"exec": {"command": ["cat", "/run/secret"]}}, "exec - 1 - 0 - -"),
    ],
)  # fmt: skip
def test_line(probe: dict[str, Any], line: str) -> None:
    (found,) = probes_of(container(readinessProbe=probe))
    assert found.line() == f"readiness {line}"


@pytest.mark.parametrize(
    "probe",
    [
        {}, {"httpGet": "x"}, {"httpGet": {"port": 80, "host": "a;reboot"}},
        {"tcpSocket": {"port": 80, "host": "-x"}},
    ],
)  # fmt: skip
def test_what_cannot_be_replayed_is_left_out(probe: dict[str, Any]) -> None:
    assert not list(probes_of(container(readinessProbe=probe)))


def test_all_three_the_readiness_probe_first() -> None:
    given = container(
        startupProbe={"tcpSocket": {"port": 1}},
        livenessProbe={"httpGet": {"port": "web", "path": "/live"}},
        readinessProbe={"exec": {"command": ["true"]}},
    )
    assert [probe.line() for probe in probes_of(given)] == [
        "readiness exec - 1 - 0 - -",
        "liveness http 8080 1 http 0 - /live",
        "startup tcp 1 1 - 0 - -",
    ]
