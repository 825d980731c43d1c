"""One JSON object a line on stderr, for whoever collects the logs of a cluster."""

import json
import logging
import sys
from datetime import UTC, datetime

_MAX_MESSAGE = 300


def log(event: str, **fields: object) -> None:
    """Values are ours or short words of strangers; JSON keeps them on one line, in ASCII."""
    line = {"time": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ}", "event": event, **fields}
    print(json.dumps(line, default=str), file=sys.stderr, flush=True)


class Libraries(logging.Handler):
    """What libraries have to say, in the same form: what a stranger sent may be in it, and a
    traceback is no line."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        why = f": {type(error).__name__}: {error}" if error is not None else ""
        message = " ".join(f"{record.getMessage()}{why}".split())
        log("library", logger=record.name, message=message[:_MAX_MESSAGE])
