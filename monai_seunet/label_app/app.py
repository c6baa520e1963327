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
    """Nuclei of images in one folder: inference, labels, training, and what to label next.

    Args:
        app_dir: folder of the app.
        studies: folder of the images.
        conf: `workspace` is the folder of `Workspace.prepare`.
    """

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        if "workspace" not in conf:
            raise InputError("the app needs its workspace; start it by 'python -m monai_seunet.label_app FOLDER'")
        self.workspace = Workspace.open(conf["workspace"])
        tempfile.tempdir = str(self.workspace.scratch)  # uploads are told from other files by where they lie
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
        """The folder of images."""
        from monailabel.config import settings

        return CheckedDatastore(
            self.studies, self.model.segmenter.model.classes[1:], settings.MONAI_LABEL_DATASTORE_AUTO_RELOAD
        )

    def init_infers(self) -> dict[str, InferTask]:
        """The model."""
        return {NAME: NucleiInferTask(self.model)}

    def init_trainers(self) -> dict[str, TrainTask]:
        """Its training."""
        return {NAME: NucleiTrainTask(self.model)}

    def init_strategies(self) -> dict[str, Strategy]:
        """Ways to choose what is labelled next."""
        return {"disagreement": Disagreement(self.model), "random": AnyImage(), "first": First()}

    def infer(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """Answer an inference; a mask is saved as a label where that is asked for."""
        task = self._task(request)
        image_id = str(request.get("image") or "")
        path, uploaded = self._image(image_id)
        request = {**request, "image": path}
        tag = request.get("label_tag") or DefaultLabelTag.ORIGINAL.value
        if request.get("save_label") and tag != DefaultLabelTag.ORIGINAL.value:
            raise InputError(f"label_tag is '{tag}'; answers are kept as original, final labels are those of people")
        if request.get("save_label") and Path(path).suffix.lower() in VENDOR_SUFFIXES:
            request["result_extension"] = ".xml"  # a mask of a slide may be too large
        file, params = task(request)
        label = file
        if file and request.get("save_label") and not uploaded:
            said = {"model": request["model"], "params": {key: params[key] for key in ("nuclei", "resolution")}}
            try:
                label = self.datastore().save_label(image_id, file, DefaultLabelTag.ORIGINAL.value, said)
            except InputError:
                Path(file).unlink(missing_ok=True)
                raise
        return {"label": label, "tag": DefaultLabelTag.ORIGINAL.value, "file": file, "params": params}

    def infer_wsi(self, request: dict[str, Any], datastore: Datastore | None = None) -> dict[str, Any]:
        """Answer an inference on a region of a slide; outlines as JSON where no format is named."""
        wanted = {**request, "output": request.get("output") or request.get("result_extension") or "json"}
        tiles = request.get("wsi_tiles")
        if tiles:  # a client that has looked for tissue itself: the rectangle around its tiles
            wanted |= _around(tiles)
        return self.infer({**wanted, "save_label": False})

    def next_sample(self, request: dict[str, Any]) -> dict[str, Any]:
        """What to label next; empty where everything is labelled."""
        if not isinstance(request.get("strategy"), str) or request["strategy"] not in self._strategies:
            raise InputError(f"strategy is '{request.get('strategy')}'; choose one of {', '.join(self._strategies)}")
        return dict(super().next_sample(request))

    def train(self, request: dict[str, Any]) -> dict[str, Any]:
        """Train on what is labelled."""
        return dict(self._trainers[NAME]({**request}, self.datastore()))

    @property
    def trainers(self) -> dict[str, NucleiTrainTask]:
        """By model."""
        return dict(self._trainers)

    def init_batch_infer(self) -> BatchInfer:
        """For all images."""
        return BatchInfer()

    def bundle_path(self, model: str) -> None:
        """None: trainings bring their own paths."""

    def _task(self, request: dict[str, Any]) -> InferTask:
        model = request.get("model")
        if not isinstance(model, str) or model not in self._infers:
            raise InputError(f"model '{model}' is not here; there is {', '.join(self._infers)}")
        return self._infers[model]

    def _image(self, image: str) -> tuple[str, bool]:
        """File of an image that is here by its name, or that was uploaded; and which of both."""
        known = self.datastore().get_image_uri(image) if image else ""
        if known:
            return known, False
        if len(image) < 1000 and Path(image).is_file() and is_inside(image, self.workspace.scratch):
            return image, True
        raise ImageNotFoundException(f"image '{image[:200]}' is not here")


def _around(tiles: list[dict[str, Any]]) -> dict[str, Any]:
    try:
        boxes = [(*map(int, tile["location"]), *map(int, tile["size"])) for tile in tiles]
        left, top = min(box[0] for box in boxes), min(box[1] for box in boxes)
        right, bottom = max(box[0] + box[2] for box in boxes), max(box[1] + box[3] for box in boxes)
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise InputError("wsi_tiles are no list of location and size, two whole numbers each") from error
    return {"location": (left, top), "size": (right - left, bottom - top)}
