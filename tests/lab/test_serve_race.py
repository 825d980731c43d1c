"""Replicas of `podmedic serve` that hear of different parts of one group at the same instant."""

import asyncio
import json
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp

from lab.handle import Lab
from lab.proxy import Fault, FaultProxy, Match
from tests.lab import serving as sv
from tests.lab.test_serve import named, short_job
from tests.unit.alerts import body

# Two requests arrive in the same instant; what is on its way meanwhile is longer on its way.
TOGETHER_SECONDS = 1.0
# The API server's times are whole seconds: so much later is younger.
LATER_SECONDS = 2.2
MEANWHILE_SECONDS = 4.0


async def _post_together(*asked: tuple[str, bytes]) -> list[Any]:
    """The answers' runs; None where the replica died."""
    headers = {"Authorization": f"Bearer {sv.TOKEN}"}

    async def post(session: aiohttp.ClientSession, url: str, sent: bytes) -> Any:
        try:
            async with session.post(f"{url}/v1/alerts", data=sent) as answer:
                return [(run["run"], run["state"]) for run in (await answer.json())["runs"]]
        except aiohttp.ClientError:
            return None

    async with aiohttp.ClientSession(headers=headers) as session:
        return await asyncio.gather(*(post(session, url, sent) for url, sent in asked))


def test_an_alert_that_two_jobs_have_is_run_once_though_the_one_that_decides_is_killed(
    lab: Lab, namespace: str, tmp_path: Path
) -> None:
    """Each replica stores a Job before it hears of the other's; the leader is killed with -9
    between what keeps others from releasing and its own release; the other replica goes on."""
    lab.images("busybox")
    sv.account(lab, namespace, tmp_path)
    token = lab.client().token(namespace, "podmedic-serve")
    first, second, third = folders = [tmp_path / name for name in ("first", "second", "third")]
    for folder in folders:
        folder.mkdir()
    a, b, c = (named(n) for n in range(3))
    # No cool-down: it would hide that two replicas ran the same.
    options = ("--cool-down=0",)
    authority = lab.layout.pki / "ca.crt"
    with (
        FaultProxy(upstream=lab.api, ca=authority) as proxy,
        FaultProxy(upstream=lab.api, ca=authority) as late,
    ):
        slow = late.kubeconfig(tmp_path / "slow", token=token, namespace=namespace)
        config = proxy.kubeconfig(tmp_path / "proxied", token=token, namespace=namespace)
        with (
            sv.serve(first, config, namespace, *options, template=short_job(),
                     kill_at="run-releasing") as killed,
            sv.serve(second, config, namespace, *options, template=short_job()) as other,
            sv.serve(third, slow, namespace, *options, template=short_job()) as last,
        ):  # fmt: skip
            sv.until(lambda: killed.metric("podmedic_serve_leader") == 1)
            jobs = rf".*/namespaces/{namespace}/jobs"
            proxy.add(Fault.latency(TOGETHER_SECONDS, method="POST", path=jobs, times=None))
            late.add(Fault.latency(LATER_SECONDS, method="POST", path=jobs, times=None))
            # The leader looks at all Jobs as they are when all three are stored.
            proxy.add(
                Fault.latency(MEANWHILE_SECONDS, path=jobs, query={"limit": ".*"}, times=None)
            )
            told = asyncio.run(
                _post_together(
                    (killed.url, body(a, b)), (other.url, body(b, c)), (last.url, body(a))
                )
            )
            assert killed.process.wait(30) == -9
            fenced = proxy.requests(Match(method="PATCH", path=f"{jobs}/.*"))
            proxy.clear()
            names = [name for runs in told for name, _ in runs]
            states: dict[str, str] = {}

            def ended() -> bool:
                states.update({r["run"]: r["state"] for r in other.ask("/v1/runs")[1]["runs"]})
                return sorted(states.values()) == ["covered", "succeeded", "succeeded"]

            sv.until(ended, 120)
            logs = [
                json.loads(lab.kubectl("logs", "-n", namespace, f"job/{name}"))
                for name in names if states[name] == "succeeded"
            ]  # fmt: skip
            covered = next(name for name in names if states[name] == "covered")
            told_of_it = other.ask(f"/v1/runs/{covered}")[1]
            again = other.ask("/v1/alerts", body(a, b, c))
            made = sv.jobs(lab, namespace)
            # It goes with the run that has its alert.
            lab.kubectl("delete", "job", "-n", namespace, *told_of_it["coveredBy"])
            lab.kubectl("wait", "-n", namespace, "--for=delete", f"job/{covered}", "--timeout=60s")

    # The race took place: all were stored, and by both.
    assert [state for runs in told for _, state in runs] == ["stored"] * 3
    assert {job["metadata"]["name"] for job in made} == set(names)
    assert len(fenced) >= 1
    # What the pods were told of.
    ran = Counter(alert["labels"]["pod"] for log in logs for alert in log["alerts"])
    assert ran == {"app0-0": 1, "app1-0": 1, "app2-0": 1}
    assert set(told_of_it["coveredBy"]) <= set(names) - {covered}
    assert (again[0], {run["state"] for run in again[1]["runs"]}) == (202, {"known"})
