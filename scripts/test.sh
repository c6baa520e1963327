#!/usr/bin/env bash
# Install the requirements, then check lint and types and run the tests. Extra arguments go to pytest.
# Tests on real images need the folder SEUNET_DATA; without it, they are skipped and counted.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/install.sh .venv requirements.txt requirements-dev.txt requirements-docs.txt
export PATH="$PWD/.venv/bin:$PATH" OMP_NUM_THREADS=1 MPLBACKEND=Agg
ruff check .
ruff format --check .
mypy
pytest -n "${TEST_WORKERS:-2}" --dist loadgroup --no-loadscope-reorder "$@"
