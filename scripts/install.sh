#!/usr/bin/env bash
# Create a Python environment in the project, and install requirements files and the package, unless this is done.
# Usage: scripts/install.sh ENVIRONMENT FILE.txt ...
set -euo pipefail
cd "$(dirname "$0")/.."
environment=$1
shift

python=${PYTHON:-python3}
if ! "$python" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))'; then
    echo "error: $("$python" --version) is not supported; set PYTHON to a Python 3.11 or 3.12" >&2
    exit 2
fi
kernels=$(find monai_seunet/native/src -type f | sort)
stamp=$environment/installed-$(cat "$@" pyproject.toml $kernels | sha256sum | cut -c1-16)
[ -e "$stamp" ] && exit 0

[ -x "$environment/bin/python" ] || "$python" -m venv "$environment"
echo "installing into $environment (some minutes the first time)"
for file in "$@"; do
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check -r "$file"
done
"$environment/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --editable .
touch "$stamp"
