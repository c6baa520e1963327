"""The network that answers: loaded anew when training has given it other weights."""

from __future__ import annotations

import threading
from dataclasses import replace

from monai_seunet.label_app.workspace import Workspace
from monai_seunet.slides.configure import configure_segmenter
from monai_seunet.slides.segmenter import SlideSegmenter


class Model:
    """The segmenter with the weights in use.

    Args:
        workspace: of the server.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.busy = threading.Lock()  # one network at a time uses the machine; others wait
        self._loading = threading.Lock()
        self._loaded: tuple[tuple[int, int], SlideSegmenter] | None = None

    @property
    def segmenter(self) -> SlideSegmenter:
        """Made by the bundle's config.

        Raises:
            InputError: for weights that are missing or damaged.
        """
        with self._loading:
            status = self.workspace.weights.stat()
            stamp = (status.st_mtime_ns, status.st_size)
            if self._loaded is None or self._loaded[0] != stamp:
                place = self.workspace
                # a process starts slower than it finds nuclei of a region; annotators judge unsure nuclei themselves
                settings = {"workers": 0, "min_confidence": 0, **place.settings}
                made, _ = configure_segmenter(
                    place.bundle, place.network, place.width, place.weights, place.overlays, settings
                )
                self._loaded = (stamp, replace(made, cache=place.cache))
            return self._loaded[1]
