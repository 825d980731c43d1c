"""A span of time as people write it: 90s, 30m, 2h, 1d."""

import re

import click

_FORM = re.compile(r"(?P<count>[0-9]{1,6})(?P<unit>[smhd])")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Duration(click.ParamType[float]):
    """In seconds."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        found = _FORM.fullmatch(str(value))
        if found is None or not int(found["count"]):
            self.fail(f"{value!r} is no time: 90s, 30m, 2h, 1d", param, ctx)
        return float(int(found["count"]) * _SECONDS[found["unit"]])


def seconds_meant(text: str) -> str:
    """A hint for an option that takes seconds as a plain number."""
    found = _FORM.fullmatch(text)
    if found is None:
        return ""
    return f" (did you mean {int(found['count']) * _SECONDS[found['unit']]}?)"
