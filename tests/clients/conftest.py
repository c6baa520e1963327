"""A real image, segmented once with the default weights, for all clients."""

import runpy
from pathlib import Path

import pytest
from repository import ROOT
from skimage.data import immunohistochemistry

from monai_seunet.nuclei import Nuclei, segment
from monai_seunet.writers.raster import write_raster

STUBS = runpy.run_path(str(ROOT / "scripts" / "measurements" / "torchvision_operators.py"))  # kept, with its operators


@pytest.fixture(scope="session")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Stained tissue of 512 x 512 pixels."""
    return write_raster(tmp_path_factory.mktemp("image") / "ihc.png", immunohistochemistry())


@pytest.fixture(scope="session")
def nuclei(image: Path) -> Nuclei:
    """The nuclei of the image."""
    return segment(image)
