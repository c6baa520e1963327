"""Small prepared data sets."""

import json
from pathlib import Path
from typing import Any

from monai_seunet.data.sets.synthetic import prepare_synthetic
from monai_seunet.data.split import split_by_group


def synthetic_set(folder: Path, **sizes: int) -> Path:
    """Synthetic images of the given sizes, a third of them for validation."""
    prepare_synthetic(folder, lambda groups: (split_by_group(groups, validation=0.34), {}), **sizes)
    return folder


def change_set(folder: Path, **changes: Any) -> dict[str, Any]:
    """Change keys of the file of a data set, and return what it held."""
    content = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps({**content, **changes}))
    return content
