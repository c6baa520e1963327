"""The network of the server, reloaded after a training has replaced its weights."""

from __future__ import annotations

import threading
from dataclasses import replace

from monai_seunet.label_app.workspace import Workspace
from monai_seunet.slides.configure import configure_segmenter
from monai_seunet.slides.segmenter import SlideSegmenter


class Model:
    """Holder of the segmenter with the weights in use."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.busy = threading.Lock()  # one inference at a time uses the machine
        self._loading = threading.Lock()
        self._loaded: tuple[tuple[int, int], SlideSegmenter] | None = None

    @property
    def segmenter(self) -> SlideSegmenter:
        """Segmenter that the bundle's config describes, with the weights in use.

        Raises:
            InputError: for weights that are missing or damaged.
        """
        with self._loading:
            status = self.workspace.weights.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if self._loaded is None or self._loaded[0] != stamp:
                space = self.workspace
                # Starting a process takes longer than segmenting a region; annotators judge unsure nuclei themselves.
                settings = {"workers": 0, "min_confidence": 0, **space.settings}
                segmenter, _ = configure_segmenter(
                    space.bundle, space.network, space.width, space.weights, space.overlays, settings
                )
                self._loaded = (stamp, replace(segmenter, cache=space.cache))
            return self._loaded[1]
