"""The baseline of bench.selection: `python -m bench.typed_list NAMESPACE` prints the names of the
running pods with a container in a crash loop, as one writes that with the typed client."""

import sys
from typing import Any

from kubernetes import client, config


def main() -> None:
    (namespace,) = sys.argv[1:]
    config.load_kube_config()  # type: ignore[no-untyped-call]
    api = client.CoreV1Api()
    pods: Any = api.list_namespaced_pod(namespace, field_selector="status.phase=Running").items
    for pod in pods:
        statuses = pod.status.container_statuses or []
        if any(s.state.waiting and s.state.waiting.reason == "CrashLoopBackOff" for s in statuses):
            print(f"pod/{pod.metadata.name}")


if __name__ == "__main__":
    main()
