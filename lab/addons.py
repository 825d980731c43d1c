"""Objects that every lab has: applied from lab/manifests when it comes up."""

import re
from collections.abc import Iterator
from pathlib import Path

from lab.api import Api
from lab.layout import LabError

_MANIFESTS = Path(__file__).parent / "manifests"
_PATH = re.compile(r"^# path: (\S+)$", re.MULTILINE)


def apply(api: Api, file: str) -> None:
    """Applies every document of a manifest; raises `LabError`."""
    for path, manifest in documents((_MANIFESTS / file).read_text()):
        api.apply(path, manifest)


def documents(text: str) -> Iterator[tuple[str, str]]:
    """API path and manifest of each document; its `# path:` line spares us a YAML reader."""
    for part in re.split(r"^---$", text, flags=re.MULTILINE):
        match = _PATH.search(part)
        if match is None:
            raise LabError(f"a manifest without a '# path:' line: {part.strip()[:80]!r}")
        yield match[1], part
