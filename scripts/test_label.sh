#!/usr/bin/env bash
# Test the annotation server with real clients in its environment. Extra arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install.sh .venv-label requirements-label.txt requirements-label-dev.txt
export PATH="$PWD/.venv-label/bin:$PATH" OMP_NUM_THREADS=1 MPLBACKEND=Agg
exec pytest -o testpaths=tests/label_server "$@"
