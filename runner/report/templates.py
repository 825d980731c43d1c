"""Jinja for the templates of a page. Imported when a page is made: most commands make none."""

import sys
from contextlib import suppress

from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined
from jinja2.bccache import Bucket

from runner import resources
from runner.report.plain import one_line, plain


class _Compiled(FileSystemBytecodeCache):
    """Compiled templates stay beside their sources, as Python's own do, under the same rules: where
    nothing may be written they are made anew."""

    def dump_bytecode(self, bucket: Bucket) -> None:
        with suppress(OSError):
            super().dump_bytecode(bucket)


def page_environment() -> Environment:
    """Nothing that came from a pod is markup, and what is missing is an error."""
    folder = resources.directory("reports")
    compiled = folder / "__pycache__"
    if not sys.dont_write_bytecode:
        with suppress(OSError):
            compiled.mkdir(exist_ok=True)
    environment = Environment(
        loader=FileSystemLoader(folder),
        bytecode_cache=_Compiled(str(compiled)) if compiled.is_dir() else None,
        autoescape=True,
        undefined=StrictUndefined,
        # Each template is rendered once: to compute what is constant in it takes longer.
        optimized=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(plain=plain, line=one_line)
    return environment
