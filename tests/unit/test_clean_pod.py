"""What of a pod's manifest is kept in the run directory."""

import msgspec

from runner.examine import clean_pod
from runner.model.pod import (
    Container,
    EnvVar,
    Heap,
    ObjectMeta,
    Pod,
    PodSpec,
    PodStatus,
    Proxied,
    Trusted,
)
from runner.redact import Redactor


def test_what_authors_wrote_passes_the_choke_point() -> None:
    """Queries, headers and commands of probes and hooks, and annotations."""
    secret = "Tr0ub4dor3xyz"
    request = {
        "path": f"/h?token={secret}", "port": 80,
        "httpHeaders": [{"name": "Authorization", "value": f"Bearer {secret}"}],
    }  # fmt: skip
    container = Container(
        name="app",
        liveness_probe={"httpGet": request},
        readiness_probe={"exec": {"command": ["curl", "-u", f"me:{secret}", "localhost"]}},
        lifecycle={"preStop": {"httpGet": {"path": f"/stop?password={secret}", "port": 80}}},
        args=(f"--password={secret}",),
    )
    pod = Pod(
        metadata=ObjectMeta(name="web", annotations={"kubectl": secret}),
        spec=PodSpec(containers=(container,)),
        status=PodStatus(message=f"password={secret}"),
    )
    kept = msgspec.json.encode(clean_pod(pod, Redactor(b"k" * 32)))
    assert secret.encode() not in kept
    assert b'"Authorization"' in kept
    assert b'"port":80' in kept


def test_hosts_and_ports_stay_when_values_go() -> None:
    container = Container(
        name="app",
        env=(
            EnvVar(name="DB", value="postgres://app:Tr0ub4dor3xyz@db:5432/x"),
            EnvVar(name="MODE", value="x"),
        ),
    )
    pod = Pod(metadata=ObjectMeta(name="web"), spec=PodSpec(containers=(container,)))
    (kept,) = clean_pod(pod, Redactor(b"k" * 32)).spec.containers
    assert kept.endpoints == (("db", 5432),)
    assert [variable.value for variable in kept.env] == ["", ""]


def test_what_causes_are_told_by_stays_when_values_go() -> None:
    container = Container(
        name="app",
        env=(
            EnvVar(name="JAVA_OPTS", value="-Dkey=Tr0ub4dor3xyz -Xmx1g"),
            EnvVar(name="SSL_CERT_FILE", value="/ca/ca.crt"),
            EnvVar(name="HTTP_PROXY", value="http://me:Tr0ub4dor3xyz@proxy:3128"),
            EnvVar(name="PRICES", value="http://me:Tr0ub4dor3xyz@prices:8080"),
        ),
    )
    limits = {"kubernetes.io/limit-ranger": "LimitRanger plugin set: memory limit for container a"}
    pod = Pod(
        metadata=ObjectMeta(name="web", annotations={"other": "x", **limits}),
        spec=PodSpec(containers=(container,)),
    )
    clean = clean_pod(pod, Redactor(b"k" * 32))
    (kept,) = clean.spec.containers
    assert clean.metadata.annotations == limits
    assert kept.heap == Heap(source="env:JAVA_OPTS", flag="-Xmx1g", kib=1 << 20)
    assert kept.trusted == (Trusted(variable="SSL_CERT_FILE", path="/ca/ca.crt"),)
    assert kept.proxied == (Proxied(host="prices", variable="HTTP_PROXY"),)
    assert b"Tr0ub4dor3xyz" not in msgspec.json.encode(clean)
