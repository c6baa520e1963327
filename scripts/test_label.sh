#!/usr/bin/env bash
# Test the annotation server with real clients, in its own environment. Extra arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install_label.sh pytest==9.2.0 pytest-timeout==2.4.0
export PATH="$PWD/.venv-label/bin:$PATH" OMP_NUM_THREADS=1 MPLBACKEND=Agg
exec pytest -o testpaths=tests/label_server "$@"
