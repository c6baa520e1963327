#!/usr/bin/env bash
# Show the runs of a store in MLflow, and serve the store to trainings on other machines (--tracking-uri http://...).
# Usage: scripts/mlflow.sh [FOLDER that holds mlruns.db] [options of `mlflow server`, as --port 5001]
set -euo pipefail
project=$(cd "$(dirname "$0")/.." && pwd)
folder=$project/runs/experiments
if [ $# -gt 0 ] && [ "${1#-}" = "$1" ]; then
    folder=$1
    shift
fi
if [ ! -d "$folder" ]; then
    echo "error: $folder: no such folder; give the folder that holds mlruns.db" >&2
    exit 2
fi
folder=$(cd "$folder" && pwd)
port=$(printf '%s\n' "$@" | sed -nE '/^(--port|-p)$/{n;p;};s/^--port=//p' | tail -n 1)
echo "The experiments: http://127.0.0.1:${port:-5000}/#/experiments?workflowType=machine_learning"
quoted=$("$project/.venv/bin/python" -c 'import sys, urllib.parse; print(urllib.parse.quote(sys.argv[1]))' "$folder")
stored=${folder//%/%25}
# Jobs judge answers of language models: ten processes, none of them of use here.
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION=${MLFLOW_SERVER_ENABLE_JOB_EXECUTION:-false}
exec "$project/.venv/bin/mlflow" server --backend-store-uri "sqlite:///${stored//\?/%3F}/mlruns.db" \
    --artifacts-destination "file://$quoted/mlartifacts" --host 127.0.0.1 --port 5000 "$@"
