"""The folder in which a server works: its copy of the bundle, its weights, its memory."""

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
    """The network of the weights that a workspace has already; None where it has none, or nobody can say."""
    try:
        return Workspace.open(path).network
    except InputError:
        return None


@dataclass(frozen=True)
class Workspace:
    """Where everything of a server lies, beside the images and the labels.

    Attributes:
        path: the folder.
        network: name of a file in the bundle's `configs/networks`.
        width: channels of the finest level; None for that of the config.
        overlays: names of further files in `configs`.
        settings: values of further ids of `inference_wsi.json`.
    """

    path: Path
    network: str
    width: int | None = None
    overlays: list[str] = field(default_factory=list)
    settings: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def open(cls, path: str | Path) -> Workspace:
        """Read what `prepare` wrote.

        Raises:
            InputError: where it is not there.
        """
        path = Path(path)
        try:
            content: dict[str, Any] = json.loads((path / SETTINGS).read_text(encoding="utf-8"))
            return cls(path, **content)
        except (OSError, ValueError, TypeError) as error:
            raise InputError(f"{path / SETTINGS}: cannot be read ({error}); start the server again") from error

    def prepare(self, bundle: Path, checkpoint: Path | None) -> None:
        """Make the folder; a bundle and weights that are there already stay: they may have been trained here.

        Args:
            bundle: folder to copy from.
            checkpoint: first weights; None for those of the bundle.

        Raises:
            InputError: where there are no weights, or those of another network, or the folder cannot be written.
        """
        if not (bundle / "configs").is_dir():
            raise InputError(f"{bundle}: holds no configs/; give the folder of a bundle")
        for folder in (self.path, self.app, self.scratch, self.cache, self.versions, self.runs):
            make_folder(folder)
        shutil.rmtree(self.scratch)  # left by requests that were killed
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
        """Make a copy of a file the weights in use, at once."""
        self.weights.parent.mkdir(parents=True, exist_ok=True)
        temporary = self.weights.with_suffix(".tmp")
        shutil.copyfile(source, temporary)
        os.replace(temporary, self.weights)

    @property
    def app(self) -> Path:
        """What MONAI Label starts."""
        return self.path / "app"

    @property
    def bundle(self) -> Path:
        """Copy of the bundle; the shipped one is never written to."""
        return self.path / "bundle"

    @property
    def weights(self) -> Path:
        """In use."""
        return self.bundle / "models" / "model.pt"

    @property
    def versions(self) -> Path:
        """Weights that were in use before."""
        return self.path / "versions"

    @property
    def runs(self) -> Path:
        """Trainings, and what MLflow knows of them."""
        return self.path / "runs"

    @property
    def cache(self) -> Path:
        """Tissue and stain of slides, and how much the scale groups disagree about images."""
        return self.path / "cache"

    @property
    def scratch(self) -> Path:
        """Uploads and answers on their way."""
        return self.path / "tmp"
