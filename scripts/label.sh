#!/usr/bin/env bash
# Serve a folder of images to annotators with MONAI Label; the options are those of `python -m monai_seunet.label_app`.
# Usage: scripts/label.sh FOLDER [--checkpoint FILE] [--width N] [--port N] ...
set -euo pipefail
project=$(cd "$(dirname "$0")/.." && pwd)
"$project/scripts/install.sh" .venv-label requirements-label.txt
export PATH="$project/.venv-label/bin:$PATH"
exec python -m monai_seunet.label_app "$@"
