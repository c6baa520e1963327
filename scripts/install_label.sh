#!/usr/bin/env bash
# Make .venv-label beside the project, the environment of the annotation server (4 GB); does nothing where that is done.
# Usage: scripts/install_label.sh [package ...]
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))'; then
    echo "error: $("$python" --version) is not supported; set PYTHON to a Python 3.11 or 3.12" >&2
    exit 2
fi
stamp=.venv-label/installed-$( (cat requirements-label.txt pyproject.toml; echo "$@") | sha256sum | cut -c1-16)
[ -e "$stamp" ] && exit 0

[ -x .venv-label/bin/python ] || "$python" -m venv .venv-label
echo "installing into .venv-label (4 GB, some minutes the first time)"
.venv-label/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-label.txt "$@"
.venv-label/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
touch "$stamp"
