#!/usr/bin/env bash
# Install what the checks need, then run lint, types and tests. Extra arguments go to pytest.
# Tests on real images take them from the folder SEUNET_DATA, and are skipped and counted where there is none.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install.sh .venv requirements.txt requirements-dev.txt requirements-docs.txt
export PATH="$PWD/.venv/bin:$PATH" OMP_NUM_THREADS=1 MPLBACKEND=Agg
ruff check .
ruff format --check .
mypy
pytest -n "${TEST_WORKERS:-2}" "$@"
