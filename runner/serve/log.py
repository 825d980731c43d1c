"""One JSON object a line on stderr, for whoever collects the logs of a cluster."""

import json
import sys
from datetime import UTC, datetime


def log(event: str, **fields: object) -> None:
    """Values are ours or short words of strangers; JSON keeps them on one line, in ASCII."""
    line = {"time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}", "event": event, **fields}
    print(json.dumps(line, default=str), file=sys.stderr, flush=True)
