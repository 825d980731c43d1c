#!/bin/sh
# Makes .venv with the project and its development tools; does nothing when that is up to date.
# On a bare Debian machine (as root) it installs Python first.
set -eu
cd "$(dirname "$0")/.."

stamp=.venv/.made-from
wanted=$(sha256sum pyproject.toml | cut -d' ' -f1)
if [ -x .venv/bin/podmedic ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then
    exit 0
fi

# A Python of at least 3.11 that can make a virtual environment with pip in it: Debian's own, which
# is also that of the image and is compiled with optimizations, or the newest. PODMEDIC_PYTHON names
# another one.
find_python() {
    for python in ${PODMEDIC_PYTHON:+"$PODMEDIC_PYTHON"} /usr/bin/python3 python3.14 python3.13 python3.12 python3.11 python3; do
        if command -v "$python" >/dev/null &&
            "$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$python"
            return
        fi
    done
    return 1
}

if ! python=$(find_python); then
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        echo "podmedic: needs Python 3.11 or newer with venv and pip; install it and try again" >&2
        exit 1
    fi
    echo "installing Debian packages: python3 python3-venv" >&2
    apt-get -qq update
    DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
        python3 python3-venv ca-certificates >/dev/null
    python=$(find_python)
fi

echo "making .venv (about a minute the first time)" >&2
[ -x .venv/bin/python ] || "$python" -m venv .venv
# uv does in two seconds of CPU what takes pip twenty-five; where it cannot (an index that only pip
# is told of, a platform that it is not built for), pip does it, and says what is wrong.
project='.[notify,otel,cloud,sigstore]'
with_uv() {
    .venv/bin/python -m pip install --quiet 'uv>=0.13' &&
        timeout 180 .venv/bin/uv pip install --quiet --system-certs --python .venv/bin/python \
            --editable "$project" --group dev
}
if ! with_uv 2>/dev/null; then
    .venv/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
    .venv/bin/python -m pip install --quiet --editable "$project" --group dev
fi
echo "$wanted" >"$stamp"
