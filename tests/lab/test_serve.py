"""`podmedic serve` with a real API server as its queue: what was accepted has its run, once."""

import asyncio
import gzip
import hashlib
import json
import signal
import socket
import ssl
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from lab import pki
from lab.handle import Lab
from lab.proxy import Fault, FaultProxy, service_account_token
from runner.triggers.request import SIGNATURE, TIMESTAMP, signature
from tests.lab import podmedic as pm
from tests.lab import serving as sv
from tests.unit.alerts import HOSTILE, LABELS, alert, body
from tests.unit.test_serve_config import Mount, routes

# A few kilobytes that are 64 MiB.
BOMB = gzip.compress(bytes(64 << 20))
KEY = "a-key-for-signatures-0123"


def short_job() -> dict[str, Any]:
    """A Job that shows what it was started for, and ends."""
    template = sv.job_template()
    container = {"name": "podmedic", "image": "busybox:1.36",
                 "command": ["sh", "-c", "cat /var/run/podmedic/trigger.json"]}  # fmt: skip
    template["spec"]["template"]["spec"] = {
        "restartPolicy": "Never", "containers": [container], "terminationGracePeriodSeconds": 1,
    }  # fmt: skip
    return template


def named(number: int, **labels: str) -> dict[str, Any]:
    """An alert of a workload of its own."""
    return alert({**LABELS, "pod": f"app{number}-0", **labels}, fingerprint=f"{number:016x}")


@pytest.fixture
def account(lab: Lab, namespace: str, tmp_path: Path) -> Path:
    return sv.account(lab, namespace, tmp_path)


def test_strangers_and_hostile_bodies_start_nothing(
    lab: Lab, namespace: str, account: Path, tmp_path: Path
) -> None:
    (tmp_path / "basic").write_text("grafana:a-password-of-the-tests\n")
    options = (f"--basic-auth-file={tmp_path / 'basic'}",)
    with sv.serve(tmp_path, account, namespace, *options, template=sv.never_scheduled()) as served:
        strangers = [
            served.ask("/v1/alerts", body(), token=None),
            served.ask("/v1/alerts", body(), token="a-token-of-the-tests-012345678"),
            served.ask("/v1/alerts", body(), token=None, Authorization="Basic Z3JhZmFuYTp4"),
            served.ask("/v1/runs", body(), token=None),
            served.ask("/v1/runs", token=None),
            served.ask("/v1/runs/x", token=None),
        ]  # fmt: skip
        hostile = {
            name: served.ask("/v1/alerts", body(alert(labels)))
            for name, (labels, _) in HOSTILE.items()
        }
        system = served.ask("/v1/alerts", body(alert({**LABELS, "namespace": "kube-system"})))
        bad = {
            "no JSON": served.ask("/v1/alerts", b"alert!"),
            "version": served.ask("/v1/alerts", body(version="3")),
            "deep": served.ask("/v1/alerts", b"[" * 500_000),
            "huge": served.ask("/v1/alerts", b" " * (1024 * 1024 + 1)),
            "method": served.ask("/v1/alerts"),
            "path": served.ask("/v1/alert", body()),
            "request": served.ask("/v1/runs", b'{"playbook":"triage","namespace":"*","pod":"a"}'),
            "protected": served.ask(
                "/v1/runs", b'{"playbook":"triage","namespace":"kube-system","pod":"a"}'
            ),
        }
        packed = {
            "no gzip": served.ask("/v1/alerts", body(), **{"Content-Encoding": "gzip"}),
            "bomb": served.ask("/v1/alerts", BOMB, **{"Content-Encoding": "gzip"}),
            "header": served.ask("/v1/alerts", body(), X="a" * 20_000),
        }
        with socket.create_connection(("127.0.0.1", served.port)) as half:
            half.sendall(b"\x16\x03\x01\r\n\r\n")
            assert half.recv(100).startswith(b"HTTP/1.0 400")
        chunked = asyncio.run(_endless(served.url))
        password = served.ask("/v1/alerts", body(alert({})), token=None,
                              Authorization="Basic Z3JhZmFuYTphLXBhc3N3b3JkLW9mLXRoZS10ZXN0cw==")  # fmt: skip
        unauthorized = served.metric('podmedic_serve_refused_total{reason="unauthorized"}')

        assert [code for code, _ in strangers] == [401] * 6
        for name, (code, answer) in hostile.items():
            assert (code, answer["runs"]) == (200, []), name
            assert HOSTILE[name][1].replace('"', "") in str(answer["ignored"]).replace('"', "")
        assert system[1]["ignored"][0]["reason"].startswith("namespace kube-system is not allowed")
        assert {name: code for name, (code, _) in bad.items()} == {
            "no JSON": 400, "version": 400, "deep": 400, "huge": 413, "method": 405, "path": 404,
            "request": 400, "protected": 403,
        }  # fmt: skip
        assert {name: code for name, (code, _) in packed.items()} == {
            "no gzip": 400, "bomb": 413, "header": 400,
        }  # fmt: skip
        # Every line is JSON, also of what the HTTP server itself refuses.
        events = {line["event"] for line in served.lines}
        assert ("text" in events, "library" in events) == (False, True)
        assert chunked == 413
        assert password[0] == 200
        assert unauthorized == 6
        assert sv.jobs(lab, namespace) == []
        assert served.stop() == 0


async def _endless(url: str) -> int:
    """A body that does not say how long it is, and does not end by itself."""

    async def chunks() -> Any:
        for _ in range(64):
            yield b" " * 65536

    headers = {"Authorization": f"Bearer {sv.TOKEN}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        try:
            async with session.post(f"{url}/v1/alerts", data=chunks()) as answer:
                return answer.status
        except aiohttp.ClientConnectionError:
            return 413  # it did not even listen to the end


async def _post_all(url: str, bodies: list[bytes]) -> Counter[int]:
    return Counter((await sv.post_all(url, dict(enumerate(bodies)))).values())


def test_a_thousand_duplicates_are_one_run_whose_story_is_closed(
    lab: Lab, namespace: str, account: Path, tmp_path: Path
) -> None:
    (tmp_path / "key").write_text(KEY)
    options = (f"--hmac-key-file={tmp_path / 'key'}", "--cool-down=60")
    secret = "ghp_" + "a1B2" * 9
    told = alert(annotations={"summary": f"log in with {secret}"})
    with sv.serve(tmp_path, account, namespace, *options, template=sv.never_scheduled()) as served:
        codes = asyncio.run(_post_all(served.url, [body(told)] * 1000))
        gone = alert(status="resolved", endsAt="2026-11-23T03:10:00Z")
        resolved = served.ask("/v1/alerts", body(gone, status="resolved"))
        # The same workload, another alert: it cools down.
        cooling = served.ask("/v1/alerts", body(alert({**LABELS, "pod": "web-1"}, fingerprint="1")))
        (run,) = served.ask("/v1/runs")[1]["runs"]
        one = served.ask(f"/v1/runs/{run['run']}")[1]
        wanted = b'{"playbook":"triage","namespace":"shop","pod":"web-0","reason":"a hunch"}'
        stamp = str(int(time.time()))
        signed = {TIMESTAMP: stamp, SIGNATURE: signature(KEY.encode(), stamp, wanted)}
        asked = [served.ask("/v1/runs", wanted, token=None, **signed) for _ in range(3)]
        forged = served.ask("/v1/runs", wanted + b" ", token=None, **signed)
        old = str(int(time.time()) - 301)
        replayed = served.ask("/v1/runs", wanted, token=None, **{
            TIMESTAMP: old, SIGNATURE: signature(KEY.encode(), old, wanted)})  # fmt: skip
        made = sv.jobs(lab, namespace)
        # The run, as its Job would begin it now: it hears of the end before it writes its report.
        (tmp_path / "trigger.json").write_text(json.dumps(one["trigger"]))
        config = tmp_path / "admin"
        config.write_text(lab.kubeconfig.read_text())
        lab.kubectl("config", "set-context", "--current", f"--kubeconfig={config}",
                    f"--namespace={namespace}")  # fmt: skip
        words = ("run", "--trigger", tmp_path / "trigger.json", "--allow-empty", "-q", "-o",
                 tmp_path / "out", "--kubeconfig", config)  # fmt: skip
        ran = pm.podmedic(lab, *words, directory=tmp_path / "out")

    assert codes == {202: 1000}
    (ended,) = ran.report["run"]["trigger"]["alerts"]
    assert (ended["firing"], ended["resolvedAt"]) == (True, "2026-11-23T03:10:00Z")
    assert (resolved[0], resolved[1]["runs"]) == (200, [])
    assert (cooling[0], cooling[1]["runs"]) == (202, [{"run": run["run"], "state": "cool-down"}])
    assert one["resolved"] == {"c5d0e1a2b3f40516": "2026-11-23T03:10:00+00:00"}
    assert one["trigger"]["alerts"][0]["aim"]["target"]["pod"] == "web-0"
    assert [code for code, _ in asked] == [202] * 3
    assert len({answer["runs"][0]["run"] for _, answer in asked}) == 1
    assert (forged[0], replayed[0]) == (401, 401)
    assert {job["metadata"]["name"] for job in made} == {
        run["run"], asked[0][1]["runs"][0]["run"],
    }  # fmt: skip
    assert secret not in json.dumps(made)


@pytest.mark.parametrize("point", ["run-stored", "run-releasing"])
def test_what_was_stored_runs_though_its_replica_is_killed(
    lab: Lab, namespace: str, account: Path, tmp_path: Path, point: str
) -> None:
    """Killed with -9 after the Job was stored and before the answer, or after the other one has
    answered and before it is started; the other replica starts it, knows it, and the alert is not
    run twice."""
    lab.images("busybox")
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    template = short_job()
    with (
        sv.serve(first, account, namespace, template=template, kill_at=point) as killed,
        sv.serve(second, account, namespace, template=template) as other,
    ):
        sv.until(lambda: killed.metric("podmedic_serve_leader") == 1)
        if point == "run-stored":
            with pytest.raises((OSError, ConnectionError)):
                killed.ask("/v1/alerts", body())
        else:
            assert other.ask("/v1/alerts", body())[0] == 202
        assert killed.process.wait(10) == -9
        sv.until(lambda: len(other.ask("/v1/runs")[1]["runs"]) == 1)
        again = other.ask("/v1/alerts", body())
        name = again[1]["runs"][0]["run"]
        lab.kubectl("wait", "-n", namespace, "--for=condition=Complete", f"job/{name}",
                    "--timeout=180s")  # fmt: skip
        log = lab.kubectl("logs", "-n", namespace, f"job/{name}")
        sv.until(lambda: other.ask(f"/v1/runs/{name}")[1]["state"] == "succeeded")
        made = sv.jobs(lab, namespace)

    assert again == (202, {"runs": [{"run": name, "state": "known"}], "ignored": []})
    assert json.loads(log)["alerts"][0]["labels"]["pod"] == "web-0"
    assert len(made) == 1


def test_two_replicas_and_the_same_alert_are_one_run(
    lab: Lab, namespace: str, account: Path, tmp_path: Path
) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.mkdir()
    second.mkdir()
    template = sv.never_scheduled()
    bodies = [body(named(n)) for n in range(10)]
    with (
        sv.serve(first, account, namespace, "--runs-per-minute=4", template=template) as one,
        sv.serve(second, account, namespace, "--runs-per-minute=4", template=template) as two,
    ):

        async def both() -> tuple[Counter[int], Counter[int]]:
            return await asyncio.gather(_post_all(one.url, bodies), _post_all(two.url, bodies))

        codes = asyncio.run(both())
        sv.until(lambda: sum(not j["spec"]["suspend"] for j in sv.jobs(lab, namespace)) == 4)
        leaders = [one.metric("podmedic_serve_leader"), two.metric("podmedic_serve_leader")]
        stored = [
            each.metric('podmedic_serve_runs_stored_total{source="alertmanager"}')
            for each in (one, two)
        ]
        made = sv.jobs(lab, namespace)

    assert list(codes) == [{202: 10}, {202: 10}]
    assert sorted(leaders) == [0, 1]
    assert sum(stored) == 10
    assert len(made) == 10
    assert sum(not job["spec"]["suspend"] for job in made) == 4


OUTAGE_SECONDS = 20


def test_an_api_server_that_is_down_for_20_s_is_503s_and_then_a_run_for_each(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """Its connections die, and none is taken: what was stored before is there afterwards, what
    could not be stored is sent again, and the budget holds over the gap."""
    with FaultProxy(upstream=lab.api, ca=lab.layout.pki / "ca.crt") as proxy:
        token = service_account_token(lab, namespace, role="edit")
        lab.kubectl("create", "rolebinding", "-n", namespace, "leases", "--clusterrole=cluster-admin",
                    f"--serviceaccount={namespace}:proxied")  # fmt: skip
        kubeconfig = proxy.kubeconfig(tmp_path / "kubeconfig", token=token, namespace=namespace)
        with sv.serve(tmp_path, kubeconfig, namespace, "--runs-per-minute=3", "--max-runs=9",
                      template=sv.never_scheduled()) as served:  # fmt: skip
            before = [served.ask("/v1/alerts", body(named(n)))[0] for n in range(2)]
            sv.until(lambda: served.metric("podmedic_serve_runs_in_flight") == 2)
            memory = served.memory_kib()
            proxy.add(Fault.drop_request(times=None))
            proxy.hang_up()
            later = [body(named(n)) for n in range(2, 6)]
            began, longest, refused = time.monotonic(), 0.0, Counter[int]()
            while time.monotonic() < began + OUTAGE_SECONDS:
                asked = time.monotonic()
                refused += asyncio.run(_post_all(served.url, later))
                longest = max(longest, time.monotonic() - asked)
            healthy = served.ask("/healthz", token=None)[0]
            proxy.clear()
            after = [served.ask("/v1/alerts", each)[0] for each in later]
            # As Alertmanager does, which does not know which of its tries arrived.
            again = asyncio.run(_post_all(served.url, later * 2))
            sv.until(lambda: served.metric("podmedic_serve_runs_in_flight") == 3)
            leads = served.metric("podmedic_serve_leader")
            grown = served.memory_kib() - memory
            # Its answer is lost, and the Job is there: the retry finds it.
            proxy.add(Fault.drop_response(method="POST", path=r".*/jobs", times=1))
            accepted = served.ask("/v1/alerts", body())
            proxy.clear()
            # Kubernetes' own quota is a reason to try again, too.
            quota = Fault.status(403, "Forbidden", 'jobs.batch "x" is forbidden: exceeded quota: q',
                                 method="POST", path=r".*/jobs")  # fmt: skip
            proxy.add(quota)
            full = served.ask("/v1/alerts", body(named(7)))
            proxy.clear()
            made = sv.jobs(lab, namespace)
            counted = [
                served.metric(f'podmedic_serve_refused_total{{reason="{reason}"}}')
                for reason in ("api-unavailable", "api-refused")
            ]

    released = [job for job in made if not job["spec"]["suspend"]]
    assert (before, after, again) == ([202] * 2, [202] * 4, {202: 8})
    assert (list(refused), healthy, leads) == ([503], 200, 1)
    assert longest < 8
    assert grown < 30 * 1024
    assert accepted[0] == 202
    assert full[0] == 503
    assert "exceeded quota" in full[1]["error"]
    assert (len(made), len(released)) == (7, 3)
    assert counted == [refused[503], 1]


@pytest.fixture
def authorities(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "pki"
    folder.mkdir()
    pki.create(
        folder,
        (
            pki.Identity("server", "127.0.0.1", "", ("IP:127.0.0.1",)),
            pki.Identity("alertmanager", "alertmanager", "", ()),
        ),
    )
    yield folder


def test_certificates_of_clients_and_their_rotation(
    namespace: str, account: Path, authorities: Path, tmp_path: Path
) -> None:
    options = (
        f"--tls-cert-file={authorities / 'server.crt'}",
        f"--tls-key-file={authorities / 'server.key'}",
        f"--client-ca-file={authorities / 'ca.crt'}",
    )
    (tmp_path / "job.yaml").write_text(json.dumps(sv.never_scheduled()))
    with sv.serve(tmp_path, account, namespace, *options, template=sv.never_scheduled(),
                  ca=authorities / "ca.crt") as served:  # fmt: skip
        known = ssl.create_default_context(cafile=str(authorities / "ca.crt"))
        known.load_cert_chain(authorities / "alertmanager.crt", authorities / "alertmanager.key")
        request = urllib.request.Request(f"{served.url}/v1/alerts", data=body())
        with urllib.request.urlopen(request, timeout=30, context=known) as answer:
            admitted = answer.status
        stranger = served.ask("/v1/alerts", body(), token=None)[0]
        first = _fingerprint(served.port)
        pki.create(authorities, (pki.Identity("server", "127.0.0.1", "", ("IP:127.0.0.1",)),))
        sv.until(lambda: _fingerprint(served.port) != first)

    assert (admitted, stranger) == (202, 401)


def _fingerprint(port: int) -> str:
    shown = ssl.get_server_certificate(("127.0.0.1", port))
    return hashlib.sha256(shown.encode()).hexdigest()


def test_routes_are_read_anew_and_broken_ones_change_nothing(
    namespace: str, account: Path, tmp_path: Path
) -> None:
    """As a ConfigMap's volume changes: a link is swapped. And at once on SIGHUP."""
    mount = Mount(tmp_path / "config")
    mount.swap(routes=routes("triage"))
    option = f"--routes={tmp_path / 'config' / 'routes.yaml'}"
    with sv.serve(tmp_path, account, namespace, option, template=sv.never_scheduled()) as served:

        def started(number: int) -> str:
            """The route that took a new alert."""
            run = served.ask("/v1/alerts", body(named(number)))[1]["runs"][0]["run"]
            return str(served.ask(f"/v1/runs/{run}")[1]["trigger"]["alerts"][0]["route"])

        def said(event: str) -> bool:
            return any(line["event"] == event for line in served.lines)

        first = started(1)
        mount.swap(routes=routes("crashloop"))
        sv.until(lambda: said("config-reloaded"))
        second = started(2)
        (tmp_path / "config" / "routes.yaml").unlink()
        served.process.send_signal(signal.SIGHUP)
        sv.until(lambda: said("config-not-reloaded"))
        third, ok = started(3), served.metric("podmedic_serve_config_ok")

    assert (first, second, third, ok) == ("triage", "crashloop", "crashloop", 0)
