#!/usr/bin/env bash
# Make .venv beside the project and install what the project needs; does nothing where that is done already.
# Usage: scripts/install.sh [requirements-dev.txt ...]
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))'; then
    echo "error: $("$python" --version) is not supported; set PYTHON to a Python 3.11 or 3.12" >&2
    exit 2
fi
files=(requirements.txt "$@")
stamp=.venv/installed-$(cat "${files[@]}" pyproject.toml | sha256sum | cut -c1-16)
[ -e "$stamp" ] && exit 0

[ -x .venv/bin/python ] || "$python" -m venv .venv
echo "installing into .venv (some minutes the first time)"
for file in "${files[@]}"; do
    .venv/bin/python -m pip install --quiet --disable-pip-version-check -r "$file"
done
.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
touch "$stamp"
