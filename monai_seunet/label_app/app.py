"""The app that MONAI Label starts."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

from monailabel.interfaces.app import MONAILabelApp
from monailabel.interfaces.datastore import Datastore, DefaultLabelTag
from monailabel.interfaces.exception import ImageNotFoundException
from monailabel.interfaces.tasks.infer_v2 import InferTask
from monailabel.interfaces.tasks.strategy import Strategy
from monailabel.interfaces.tasks.train import TrainTask
from monailabel.tasks.activelearning.first import First

from monai_seunet.label_app.batch import BatchInfer
from monai_seunet.label_app.inference.infer import NucleiInferTask
from monai_seunet.label_app.inference.model import Model
from monai_seunet.label_app.labels.datastore import CheckedDatastore
from monai_seunet.label_app.labels.names import is_inside
from monai_seunet.label_app.training.strategies import AnyImage, Disagreement
from monai_seunet.label_app.training.train import NucleiTrainTask
from monai_seunet.label_app.workspace import Workspace
from monai_seunet.reading.names import VENDOR_SUFFIXES
from monai_seunet.utils.errors import InputError

NAME = "nuclei"

logger = logging.getLogger(__name__)


class SEUNetLabelApp(MONAILabelApp):
    """MONAI Label app for one folder of images: inference, labels, training and the choice of the next image.

    Args:
        app_dir: folder of the app.
        studies: folder of the images.
        conf: options; `workspace` is the folder that `Workspace.prepare` made.
    """

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        if "workspace" not in conf:
            raise InputError("the app has no workspace; start it with 'python -m monai_seunet.label_app FOLDER'")
        self.workspace = Workspace.open(conf["workspace"])
        tempfile.tempdir = str(self.workspace.scratch)  # only files in this folder count as uploads
        self.model = Model(self.workspace)
        super().__init__(
            app_dir=app_dir,
            studies=studies,
            conf=conf,
            name="SEUNet",
            description="Nuclei at any magnification and in any orientation",
            labels=list(self.model.segmenter.model.classes[1:]),
        )

    def init_datastore(self) -> Datastore:
        """Open the folder of images."""
        from monailabel.config import settings

        return CheckedDatastore(
            self.studies, self.model.segmenter.model.classes[1:], settings.MONAI_LABEL_DATASTORE_AUTO_RELOAD
        )

    def init_infers(self) -> dict[str, InferTask]:
        """Return the inference tasks by name."""
        return {NAME: NucleiInferTask(self.model)}

    def init_trainers(self) -> dict[str, TrainTask]:
        """Return the training tasks by name."""
        return {NAME: NucleiTrainTask(self.model)}

    def init_strategies(self) -> dict[str, Strategy]:
        """Return the strategies that choose the next image."""
        return {"disagreement": Disagreement(self.model), "random": AnyImage(), "first": First()}

    def infer(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """Answer an inference, and save the mask as a label if the client asks for it."""
        task = self._task(request)
        image_id = str(request.get("image") or "")
        path, uploaded = self._image(image_id)
        request = {**request, "image": path}
        tag = request.get("label_tag") or DefaultLabelTag.ORIGINAL.value
        if request.get("save_label") and tag != DefaultLabelTag.ORIGINAL.value:
            raise InputError(f"label_tag is '{tag}'; use 'original': only people save final labels")
        if request.get("save_label") and Path(path).suffix.lower() in VENDOR_SUFFIXES:
            request["result_extension"] = ".xml"  # the mask of a whole slide may be too large
        file, params = task(request)
        label = file
        if file and request.get("save_label") and not uploaded:
            info = {"model": request["model"], "params": {key: params[key] for key in ("nuclei", "resolution")}}
            try:
                label = self.datastore().save_label(image_id, file, DefaultLabelTag.ORIGINAL.value, info)
            except InputError:
                Path(file).unlink(missing_ok=True)
                raise
        return {"label": label, "tag": DefaultLabelTag.ORIGINAL.value, "file": file, "params": params}

    def infer_wsi(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """Answer an inference on a region of a slide, by default with outlines as JSON."""
        wanted = {**request, "output": request.get("output") or request.get("result_extension") or "json"}
        tiles = request.get("wsi_tiles")
        if tiles:  # a client that found the tissue itself sends tiles: use the rectangle around them
            wanted |= _around(tiles)
        return self.infer({**wanted, "save_label": False})

    def next_sample(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the next image to label; the answer is empty if all images are labelled."""
        if not isinstance(request.get("strategy"), str) or request["strategy"] not in self._strategies:
            raise InputError(f"strategy is '{request.get('strategy')}'; choose one of {', '.join(self._strategies)}")
        return dict(super().next_sample(request))

    def train(self, request: dict[str, Any]) -> dict[str, Any]:
        """Train on the labelled images."""
        return dict(self._trainers[NAME]({**request}, self.datastore()))

    @property
    def trainers(self) -> dict[str, NucleiTrainTask]:
        """Training tasks by name."""
        return dict(self._trainers)

    def init_batch_infer(self) -> BatchInfer:
        """Return the task that runs inference on all images."""
        return BatchInfer()

    def bundle_path(self, model: str) -> None:
        """Return None, because a training sets its own paths."""

    def _task(self, request: dict[str, Any]) -> InferTask:
        model = request.get("model")
        if not isinstance(model, str) or model not in self._infers:
            raise InputError(f"model '{model}' does not exist; choose {', '.join(self._infers)}")
        return self._infers[model]

    def _image(self, image: str) -> tuple[str, bool]:
        """Return the file of an image or of an upload, and whether it is an upload."""
        path = self.datastore().get_image_uri(image) if image else ""
        if path:
            return path, False
        if len(image) < 1000 and Path(image).is_file() and is_inside(image, self.workspace.scratch):
            return image, True
        raise ImageNotFoundException(f"image '{image[:200]}' does not exist")


def _around(tiles: list[dict[str, Any]]) -> dict[str, Any]:
    try:
        boxes = [(*map(int, tile["location"]), *map(int, tile["size"])) for tile in tiles]
        left, top = min(box[0] for box in boxes), min(box[1] for box in boxes)
        right, bottom = max(box[0] + box[2] for box in boxes), max(box[1] + box[3] for box in boxes)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise InputError("wsi_tiles is not a list of location and size; give two whole numbers for each") from error
    return {"location": (left, top), "size": (right - left, bottom - top)}
