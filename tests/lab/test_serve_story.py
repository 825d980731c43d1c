"""What `podmedic serve` says of runs that never began: whoever waits for one is told where to look."""

from pathlib import Path
from typing import Any

from lab.handle import Lab
from tests.lab import serving as sv
from tests.lab.test_serve import named, short_job
from tests.unit.alerts import body

QUOTA = """
apiVersion: v1
kind: ResourceQuota
metadata: {name: one-pod}
spec: {hard: {pods: "1"}}
"""


def test_runs_that_never_began_say_why(lab: Lab, namespace: str, tmp_path: Path) -> None:
    """The first one's image is nowhere; the second one's pod is one more than a quota allows."""
    account = sv.account(lab, namespace, tmp_path)
    lab.kubectl("apply", "-n", namespace, "-f", "-", input=QUOTA)
    lab.kubectl("wait", "-n", namespace, "--for=jsonpath={.status.hard.pods}=1",
                "resourcequota/one-pod")  # fmt: skip
    template = short_job()
    template["spec"] |= {"activeDeadlineSeconds": 6, "backoffLimit": 0}
    template["spec"]["template"]["spec"]["containers"][0]["image"] = "nowhere.invalid/none:1"
    with sv.serve(tmp_path, account, namespace, "--max-runs=1", template=template) as served:
        first = served.ask("/v1/alerts", body(named(1)))[1]["runs"][0]["run"]

        def told(run: str) -> dict[str, Any]:
            found: dict[str, Any] = served.ask(f"/v1/runs/{run}")[1]
            return found

        sv.until(lambda: any(j["status"].get("active") for j in sv.jobs(lab, namespace)))
        waits = told(first)["state"]
        sv.until(lambda: told(first)["state"] == "failed", 60)
        # The pod of a failed Job stays where it is as long as something holds it: so does this one.
        lab.kubectl(
            "run", "-n", namespace, "holder", "--image=nowhere.invalid/none:1", "--wait=false"
        )
        second = served.ask("/v1/alerts", body(named(2)))[1]["runs"][0]["run"]
        sv.until(lambda: told(second)["state"] == "failed", 60)
        pulled, refused = told(first), told(second)

    assert waits == "starting"
    assert (pulled["reason"], refused["reason"]) == ("DeadlineExceeded",) * 2
    assert "its pod waited for its image, a volume or a node" in pulled["message"]
    assert "no pod of it was ever made: a quota, a policy" in refused["message"]
    assert f"kubectl describe job {second} -n {namespace}" in refused["message"]
