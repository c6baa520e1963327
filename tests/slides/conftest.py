"""Nuclei of a small slide in blocks, and what is known about it."""

from dataclasses import replace

import pytest
from nuclei_fields import RULES, random_maps

from monai_seunet.slides.blocks import objects_of_block, plan_blocks
from monai_seunet.slides.nuclei.areas import Maps
from monai_seunet.slides.nuclei.objects import Objects
from monai_seunet.slides.outputs.geometry import SlideGeometry


@pytest.fixture(scope="session")
def geometry() -> SlideGeometry:
    """Twice as fine as the network sees it, of oblong pixels."""
    return SlideGeometry(
        name="Fall 7 <b>&",
        size=(150, 190),
        scale=(0.5, 0.4996),
        mpp=(0.25, 0.2502),
        classes=("nucleus", "mitosis, late"),
        sigmas=(0.5, 1.0, 2.0, 4.0),
    )


@pytest.fixture(scope="session")
def unknown_frame(geometry: SlideGeometry) -> SlideGeometry:
    """The same without µm per pixel and without scale groups."""
    return replace(geometry, mpp=None, sigmas=())


@pytest.fixture(scope="session")
def blocks(geometry: SlideGeometry) -> list[Objects]:
    """Nuclei that reach over the borders of blocks of 64, a block without any among them."""
    maps = random_maps(0, geometry.size)
    maps.probability[:, 60:, 128:] = 0

    def read(y0: int, x0: int, y1: int, x1: int) -> Maps:
        return Maps(maps.probability[:, y0:y1, x0:x1], maps.groups[y0:y1, x0:x1])

    found = [objects_of_block(read, block, geometry.size, RULES) for block in plan_blocks(*geometry.size, 64)]
    assert sum(map(len, found)) > 50 and min(map(len, found)) == 0
    return found
