"""Prepared data sets of empty images."""

import itertools
import json

import numpy as np
import pytest
from layouts import write_image

from monai_seunet.data.datalist import SECTIONS


@pytest.fixture
def several(tmp_path):
    """Writes data sets beside each other, each in a folder of its name; the changes replace or, given ..., remove keys.

    Each has two items in each section.
    """

    def write(name="one", **changes):
        folder = tmp_path / name
        content = {
            "name": name,
            "classes": ["background", "nucleus"],
            "label_kind": "instances",
            "mpp": 0.25,
            "description": f"About {name}.",
            "licence": f"licence of {name}",
            "sources": {"all.zip": f"digest of {name}"},
            "split": {"seed": len(name)},
        }
        for section in SECTIONS:
            files = [f"{section}{n}.png" for n in range(2)]
            content[section] = [{"image": f"images/{f}", "label": f"labels/{f}", "group": f[:-4]} for f in files]
            for kind, file in itertools.product(("images", "labels"), files):
                write_image(folder / kind / file, np.zeros((4, 5), dtype=np.uint8))
        kept = {key: value for key, value in (content | changes).items() if value is not ...}
        (folder / "dataset.json").write_text(json.dumps(kept))
        return folder

    return write
