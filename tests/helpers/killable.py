"""A slide whose network waits at a point of the work, to be killed there: killable.py SLIDE OUTPUT POINT WORKERS."""

import sys
import time
from dataclasses import replace
from pathlib import Path

from dark_slides import DarkNetwork, segmenter

from monai_seunet.slides.segmenter import SlideSegmenter

NOWHERE = Path("/nowhere")


class HeldNetwork(DarkNetwork):
    """Waits while one file is there and another one is not."""

    def __init__(self, point: Path, release: Path):
        super().__init__()
        self.point, self.release = point, release

    def outputs(self, x):
        while self.point.exists() and not self.release.exists():
            time.sleep(0.01)
        return super().outputs(x)


def held_segmenter(point: Path = NOWHERE, release: Path = NOWHERE, workers: int = 0) -> SlideSegmenter:
    return replace(segmenter(HeldNetwork(point, release)), workers=workers)


if __name__ == "__main__":
    slide, output, point, workers = sys.argv[1:]
    held_segmenter(Path(output, ".work", point), workers=int(workers)).run(slide, output)
