#!/bin/sh
# Install torch from TORCH_INDEX, the other packages of a requirements file, and the wheel of /wheels, in a container.
# Usage: install.sh FILE.txt
set -eu
pip="python -m pip install --no-cache-dir --disable-pip-version-check --root-user-action ignore"
torch=$(grep -E '^torch(vision)?==' "$1")
$pip --index-url "$TORCH_INDEX" $torch
$pip -r "$1"
$pip --no-deps /wheels/*.whl
