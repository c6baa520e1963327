"""Inference on all images; one that cannot be used does not stop the others."""

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
    """MONAI Label's, one image after the other, on a machine with or without a GPU; failures are listed at the end."""

    def __call__(self, request: dict[str, Any], datastore: Datastore, infer: Infer) -> dict[str, Any]:
        """Return what was found, by image."""
        failed: dict[str, str] = {}

        def attempt(one: dict[str, Any], store: Datastore) -> dict[str, Any]:
            try:
                return infer(one, store)
            except Exception as error:
                known: InputError | None = find_input_error(error)
                if known is None:
                    logger.exception("image '%s' failed", one["image"])
                failed[one["image"]] = str(known or f"{type(error).__name__}: {error}")
                return {"error": failed[one["image"]]}

        result = super().__call__({**request, "multi_gpu": False, "max_workers": 1}, datastore, attempt)
        logger.info("%d of %d images are done", len(result) - len(failed), len(result))
        for image, problem in failed.items():
            logger.warning("not done: %s: %s", image, problem)
        return dict(result)
