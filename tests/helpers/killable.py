"""A slide whose network and worker wait at a point of the work, to be killed there: killable.py SLIDE OUTPUT POINT."""

import sys
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from dark_slides import DarkNetwork, segmenter

from monai_seunet.slides import run
from monai_seunet.slides.blocks import Block, BlockTask
from monai_seunet.slides.segmenter import SlideSegmenter

NOWHERE = Path("/nowhere")


def wait_at(point: Path, release: Path = NOWHERE) -> None:
    """Wait while one file is there and another one is not."""
    while point.exists() and not release.exists():
        time.sleep(0.01)


class HeldNetwork(DarkNetwork):
    def __init__(self, point: Path, release: Path):
        super().__init__()
        self.point, self.release = point, release

    def outputs(self, x):
        wait_at(self.point, self.release)
        return super().outputs(x)


@dataclass(frozen=True)
class HeldTask(BlockTask):
    point: Path = NOWHERE

    def __call__(self, block: Block, file: Path, lines: int) -> tuple[int, float]:
        wait_at(self.point)
        return super().__call__(block, file, lines)


def held_segmenter(point: Path = NOWHERE, release: Path = NOWHERE) -> SlideSegmenter:
    return replace(segmenter(HeldNetwork(point, release)), workers=0)


if __name__ == "__main__":
    slide, output = map(Path, sys.argv[1:3])
    point = output / ".work" / sys.argv[3]
    run.BlockTask = partial(HeldTask, point=point)
    replace(held_segmenter(point), workers=1).run(slide, output)
