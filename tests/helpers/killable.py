"""A slide that takes some seconds, in a process of its own, to be killed."""

from __future__ import annotations

import sys
import time
from dataclasses import replace

from dark_slides import DarkNetwork, segmenter, with_model

SECONDS = 0.1  # that a batch of windows takes at least


class SlowNetwork(DarkNetwork):
    """Leaves time to kill it."""

    def outputs(self, x):
        time.sleep(SECONDS)
        return super().outputs(x)


def slow_segmenter(workers: int):
    """With worker processes, as users have it."""
    return replace(with_model(segmenter(), network=SlowNetwork().eval()), workers=workers)


if __name__ == "__main__":
    slow_segmenter(1).run(*sys.argv[1:])
