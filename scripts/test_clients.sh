#!/usr/bin/env bash
# Test that programs of others open what is written here, in their environment. Extra arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install.sh .venv-clients requirements-clients.txt
export PATH="$PWD/.venv-clients/bin:$PATH" OMP_NUM_THREADS=1 MPLBACKEND=Agg
exec pytest -o testpaths=tests/clients "$@"
