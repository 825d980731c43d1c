"""python -m lab.prepare: what `make test` needs on the machine beside the lab itself."""

import shutil
import sys

from lab import packages
from lab.layout import LabError

# busybox and dash: the two shells that the step program must run on.
# chromium: the report is opened in a real browser. prometheus, prometheus-pushgateway: promtool
# and a real Pushgateway. shellcheck: reads the step program.
TEST_PACKAGES = (
    "busybox",
    "chromium",
    "dash",
    "prometheus",
    "prometheus-pushgateway",
    "shellcheck",
)


# For the yaml-language-server, where the machine has no Node.js of its own.
NODE_PACKAGES = ("nodejs", "npm")


def main() -> int:
    try:
        packages.ensure(TEST_PACKAGES)
        if shutil.which("npm") is None or shutil.which("node") is None:
            packages.ensure(NODE_PACKAGES)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
