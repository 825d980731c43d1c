"""python -m lab.prepare [programs]: what `make test`, or `make test-programs`, needs installed."""

import shutil
import sys
from collections.abc import Sequence

from lab import packages
from lab.layout import LabError

# busybox, dash and bash: shells that the step program must run on; shellcheck reads it;
# util-linux gives a test a root file system of its own; curl is what a playbook calls.
PROGRAM_PACKAGES = ("bash", "busybox", "curl", "dash", "gzip", "shellcheck", "util-linux")
# chromium: the report is opened in a real browser. prometheus, prometheus-alertmanager,
# prometheus-pushgateway: promtool, and the real ones. jq: what the documentation shows is run.
ALL_PACKAGES = (
    *PROGRAM_PACKAGES,
    "chromium",
    "jq",
    "prometheus",
    "prometheus-alertmanager",
    "prometheus-pushgateway",
)
# For the yaml-language-server, where the machine has no Node.js of its own.
NODE_PACKAGES = ("nodejs", "npm")


def main(arguments: Sequence[str]) -> int:
    try:
        if list(arguments) == ["programs"]:
            packages.ensure(PROGRAM_PACKAGES)
            return 0
        packages.ensure(ALL_PACKAGES)
        if shutil.which("npm") is None or shutil.which("node") is None:
            packages.ensure(NODE_PACKAGES)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
