"""Inference on all images, which continues after an image that cannot be used."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.batch_infer import BatchInferTask

from monai_seunet.utils.errors import InputError, find_input_error

logger = logging.getLogger(__name__)

Infer = Callable[[dict[str, Any], Datastore], dict[str, Any]]


class BatchInfer(BatchInferTask):
    """MONAI Label's batch inference, one image at a time, with or without a GPU; the log lists failures at the end."""

    def __call__(self, request: dict[str, Any], datastore: Datastore, infer: Infer) -> dict[str, Any]:
        """Return the answers by image."""
        failed: dict[str, str] = {}

        def attempt(image_request: dict[str, Any], store: Datastore) -> dict[str, Any]:
            try:
                return infer(image_request, store)
            except Exception as error:
                image = image_request["image"]
                input_error: InputError | None = find_input_error(error)
                if input_error is None:
                    logger.exception("image '%s' failed", image)
                failed[image] = str(input_error or f"{type(error).__name__}: {error}")
                return {"error": failed[image]}

        result = super().__call__({**request, "multi_gpu": False, "max_workers": 1}, datastore, attempt)
        logger.info("%d of %d images are done", len(result) - len(failed), len(result))
        for image, problem in failed.items():
            logger.warning("not done: %s: %s", image, problem)
        return dict(result)
