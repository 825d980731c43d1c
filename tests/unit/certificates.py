"""Certificates with the dates that a test wants; openssl's own commands make only future ones."""

import subprocess
from datetime import datetime
from pathlib import Path

_CONFIG = """
[ca]
default_ca = here
[here]
dir = {folder}
database = {folder}/index.txt
new_certs_dir = {folder}
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
"""


def self_signed(folder: Path, name: str, since: datetime, until: datetime) -> tuple[Path, Path]:
    """Certificate and key for a common name, as PEM files in `folder`."""
    folder.mkdir(exist_ok=True)
    config, certificate, key = folder / "ca.cnf", folder / f"{name}.crt", folder / f"{name}.key"
    config.write_text(_CONFIG.format(folder=folder))
    (folder / "index.txt").touch()
    request = folder / f"{name}.csr"
    subject = ["-subj", f"/CN={name}"]
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    _openssl("req", "-new", *new_key, "-keyout", key, "-out", request, *subject)
    dates = ["-startdate", f"{since:%Y%m%d%H%M%SZ}", "-enddate", f"{until:%Y%m%d%H%M%SZ}"]
    files: list[str | Path] = [
        "-config",
        config,
        "-keyfile",
        key,
        "-in",
        request,
        "-out",
        certificate,
    ]
    _openssl("ca", "-batch", "-selfsign", "-notext", *files, *dates)
    return certificate, key


def _openssl(*words: str | Path) -> None:
    subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=30)
