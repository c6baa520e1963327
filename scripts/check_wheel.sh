#!/usr/bin/env bash
# Build the wheel, install it in a new environment, and segment an image from an empty folder, by the command and by
# Python. Prints seconds and the size of the wheel. Usage: scripts/check_wheel.sh [EMPTY FOLDER]
set -euo pipefail
project=$(cd "$(dirname "$0")/.." && pwd)
folder=${1:-$(mktemp -d)}
mkdir -p "$folder/empty"
step() {
    local start=$SECONDS
    "${@:2}"
    echo "$1: $((SECONDS - start)) s"
}

"${PYTHON:-python3}" -m venv "$folder/environment"
pip="$folder/environment/bin/pip --quiet --disable-pip-version-check"
step "build" $pip wheel --no-deps --wheel-dir "$folder" "$project"
wheel=$(ls "$folder"/*.whl)
bytes=$(stat -c %s "$wheel")
echo "$wheel: $((bytes / 1000)) kB"
[ "$bytes" -lt 15000000 ]
# the build of torch that the project is tested with; the wheel alone takes the newest
step "install" $pip install "$(grep ^torch== "$project/requirements.txt")" "$wheel"

cd "$folder/empty"  # not the repository, whose package would be imported
export PATH="$folder/environment/bin:$PATH"
python - <<'END'
from skimage.data import immunohistochemistry
from skimage.io import imsave

imsave("image.png", immunohistochemistry())
END
step "monai-seunet segment image.png" monai-seunet segment image.png
cat >program.py <<'END'
from monai_seunet import segment

nuclei = segment("image.png")
nuclei.to_geojson("nuclei.geojson")
print(nuclei.table)
END
step "three lines of Python" python program.py
ls segmented/image
