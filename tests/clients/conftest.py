"""A real image, segmented once with the default weights, for all clients."""

from pathlib import Path

import pytest
import torch
from skimage.data import immunohistochemistry

from monai_seunet.nuclei import Nuclei, segment
from monai_seunet.writers.raster import write_raster

# PyPI has no torchvision for a CPU build of torch. It imports if these operators are declared; no test calls them.
_OPERATORS = torch.library.Library("torchvision", "FRAGMENT")
for _name in ("nms", "qnms"):
    if not hasattr(torch.ops.torchvision, _name):
        _OPERATORS.define(f"{_name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stained tissue of 512 x 512 pixels."""
    return write_raster(tmp_path_factory.mktemp("image") / "ihc.png", immunohistochemistry())


@pytest.fixture(scope="session")
def nuclei(image: Path) -> Nuclei:
    """The nuclei of the image."""
    return segment(image)
