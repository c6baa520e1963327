#!/usr/bin/env bash
# Check networks, training and slides on a GPU, in one call of at most ten minutes; on the CPU where there is none.
# Arguments go to scripts/check_gpu/run.py, see --help. The report is runs/check_gpu/report.md.
# PYTHON is the Python that runs it; by default .venv, which is installed if it is not there. WHEELS is a folder of
# packages that are installed into a folder of their own first, for a machine without a network.
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-}
if [ -z "$python" ]; then
    python=.venv/bin/python
    if ! scripts/install.sh .venv requirements.txt requirements-dev.txt; then
        echo "scripts/install.sh failed: this runs with what $python or python3 has" >&2
        "$python" -c 'import torch' 2>/dev/null || python=python3
    fi
fi
if [ -n "${WHEELS:-}" ]; then
    site=$(mktemp -d)
    trap 'rm -rf "$site"' EXIT
    "$python" -m pip install --quiet --disable-pip-version-check --no-index --no-deps --target "$site" "$WHEELS"/*.whl ||
        echo "the packages of $WHEELS could not be installed" >&2
    export PYTHONPATH="$site${PYTHONPATH:+:$PYTHONPATH}"
fi
"$python" scripts/check_gpu/run.py "$@"
