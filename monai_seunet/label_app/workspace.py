"""Folder of the server's files: copy of the bundle, weights and cache."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from monai_seunet.slides.configure import configure_segmenter
from monai_seunet.utils.errors import InputError, make_folder
from monai_seunet.utils.files import write_text

SETTINGS = "label.json"


def network_of(path: Path) -> str | None:
    """Return the network overlay of an existing workspace, or None if it cannot be read."""
    try:
        return Workspace.open(path).network
    except InputError:
        return None


@dataclass(frozen=True)
class Workspace:
    """Folder of all files of a server except images and labels.

    Attributes:
        path: path of the folder.
        network: name of a file in the bundle's `configs/networks`.
        width: number of channels of the finest level, or None for the default of the config.
        overlays: names of further files in `configs`.
        settings: values of further options of `inference_wsi.json` by id.
    """

    path: Path
    network: str
    width: int | None = None
    overlays: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def open(cls, path: str | Path) -> Workspace:
        """Read the workspace that `prepare` wrote.

        Raises:
            InputError: if its settings cannot be read.
        """
        path = Path(path)
        try:
            content: dict[str, Any] = json.loads((path / SETTINGS).read_text(encoding="utf-8"))
            return cls(path, **content)
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{path / SETTINGS}: cannot be read ({error}); start the server again") from error

    def prepare(self, bundle: Path, checkpoint: Path | None) -> None:
        """Make or update the folder; existing weights stay, because they may have been trained here.

        Args:
            bundle: bundle folder whose configs are copied.
            checkpoint: file of the first weights, or None for the weights of the bundle.

        Raises:
            InputError: for missing weights, weights of another network, or a folder that cannot be written.
        """
        if not (bundle / "configs").is_dir():
            raise InputError(f"{bundle}: contains no configs/; give the folder of a bundle")
        for folder in (self.path, self.app, self.scratch, self.cache, self.versions, self.runs):
            make_folder(folder)
        shutil.rmtree(self.scratch)  # killed requests leave files in it
        self.scratch.mkdir()
        shutil.copytree(bundle / "configs", self.bundle / "configs", dirs_exist_ok=True)
        source = self.weights if self.weights.exists() else checkpoint or bundle / "models" / "model.pt"
        configure_segmenter(bundle, self.network, self.width, source, self.overlays, self.settings)
        if source != self.weights:
            self.replace_weights(source)
        main = "from monai_seunet.label_app.app import SEUNetLabelApp\n\n__all__ = ['SEUNetLabelApp']\n"
        write_text(self.app / "main.py", main)
        content = {key: value for key, value in asdict(self).items() if key != "path"}
        write_text(self.path / SETTINGS, json.dumps(content, indent=1) + "\n")

    def replace_weights(self, source: Path) -> None:
        """Replace the weights in use by a copy of a file, atomically."""
        self.weights.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.weights.with_suffix(".tmp")
        shutil.copyfile(source, temporary)
        os.replace(temporary, self.weights)

    @property
    def app(self) -> Path:
        """Folder of the app that MONAI Label starts."""
        return self.path / "app"

    @property
    def bundle(self) -> Path:
        """Copy of the bundle's configs, with the weights in use; the installed bundle is never changed."""
        return self.path / "bundle"

    @property
    def weights(self) -> Path:
        """File of the weights in use."""
        return self.bundle / "models" / "model.pt"

    @property
    def versions(self) -> Path:
        """Folder of former weights."""
        return self.path / "versions"

    @property
    def runs(self) -> Path:
        """Folder of trainings and of the MLflow database."""
        return self.path / "runs"

    @property
    def cache(self) -> Path:
        """Cache folder: tissue masks and stains of slides, and the disagreement of scale groups about images."""
        return self.path / "cache"

    @property
    def scratch(self) -> Path:
        """Folder of uploads and of answers that are being sent."""
        return self.path / "tmp"
