"""Where the files that are not code live: `playbooks` and `reports`.

They stand at the top of the repository, where people look for them; an installed wheel carries
them beside the code.
"""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def directory(name: str) -> Path:
    """The folder of that name, whether podmedic runs installed or from its repository."""
    installed = _PACKAGE / "_data" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name
