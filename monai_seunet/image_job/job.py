"""Which images are left to segment, and what became of each."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch
from monai.transforms import Compose
from monai.utils import CommonKeys

from monai_seunet.reading.names import image_stem
from monai_seunet.reading.raster import read_label
from monai_seunet.slides.work_folder import fingerprint
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import sha256_of, write_text
from monai_seunet.utils.progress import write_line
from monai_seunet.writers import SaveMapd, SaveOverlayd

if TYPE_CHECKING:
    from monai.engines import Workflow

EMPTY = (
    "the label map is empty: no pixel is foreground; where it should not be, check --mpp and --network_mpp, or "
    "take the --checkpoint and the overlay that were made for such images"
)


@dataclass
class ImageJob:
    """The segmentation of some images: leaves out those that are done, and says at the end what is wrong.

    Invariant: an image is done where all files that the savers write of it are there, made of this image with these
    settings, as a hidden file beside them says. One of which only some are there fails, since they may be somebody
    else's, and so does one of other settings; with `overwrite` all are made again.

    Args:
        images: `[{"image": path}, ...]`.
        savers: the transforms, with those that write, such as the `SaveMapd` of `label_key`.
        overwrite: make everything again.
        strict: an empty label map is an error, too.
        label_key: of the label map.
        settings: what the results depend on besides the image, by the names that the user knows.
        checkpoint: file of the weights.

    Attributes:
        items: what is left to do.
        problems: why an image is not done, by its file.
        empty: the images whose label map is empty.
        done: how many were there before.
    """

    images: Sequence[Mapping[str, str]]
    savers: Compose
    overwrite: bool = False
    strict: bool = False
    label_key: str = CommonKeys.PRED
    settings: Mapping[str, Any] = field(default_factory=dict)
    checkpoint: str | Path | None = None
    items: list[dict[str, str]] = field(init=False, default_factory=list)
    problems: dict[str, str] = field(init=False, default_factory=dict)
    empty: list[str] = field(init=False, default_factory=list)
    done: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        weights = self.checkpoint and Path(self.checkpoint).expanduser()
        self._weights = sha256_of(weights) if weights and weights.is_file() else None
        for item in self.images:
            if self.overwrite or self._is_open(item[CommonKeys.IMAGE]):
                self.items.append(dict(item))

    def fail(self, image: str, problem: str) -> None:
        """An image could not be segmented."""
        self.problems[image] = problem
        write_line(f"{Path(image).name}: failed: {problem}")

    def finish(self, image: str, label: torch.Tensor) -> None:
        """An image is segmented.

        Args:
            image: file.
            label: class indices of any shape.
        """
        foreground = 100 * float((label != 0).float().mean())
        if not foreground:
            self.empty.append(image)
        write_line(f"{Path(image).name}: {foreground:.1f} % foreground")
        write_text(self._record_of(image), json.dumps(self._plan(image)) + "\n")

    def run(self, evaluator: Workflow) -> None:
        """Segment what is left, and say at the end what is wrong.

        Raises:
            InputError: after all images, where one failed, or has an empty label map and `strict` is set.
        """
        if self.done:
            count = "1 image is" if self.done == 1 else f"{self.done} images are"
            again = "it" if self.done == 1 else "them"
            write_line(f"{count} done already; --overwrite true makes {again} again")
        if self.items:
            evaluator.run()
        self._say_at_the_end()
        wrong = list(self.problems.values())
        if self.strict:
            wrong += [f"{Path(image).name}: empty (strict)" for image in sorted(self.empty)]
        if wrong:
            raise InputError("; ".join(wrong))

    def _say_at_the_end(self) -> None:
        count = len(self.images)
        if count > 1:
            write_line(f"{count - len(self.problems)} of {count} images are done")
            for image, problem in sorted(self.problems.items()):
                write_line(f"  not done: {Path(image).name}: {problem}")
        if self.empty:
            write_line(f"warnings of {len(self.empty)} of {count} images:" if count > 1 else "warnings:")
            for image in sorted(self.empty):
                write_line(f"  {Path(image).name}: {EMPTY}")

    def _is_open(self, image: str) -> bool:
        """Whether nothing is there of an image; else it is done, or fails."""
        files = self._files_of(image)
        there = [path for path in files.values() if path.exists()]
        if not there:
            return True
        missing = [path.name for path in files.values() if not path.exists()]
        try:
            if missing:
                text = f"{there[0]}: exists; give another output_dir, or replace it with --overwrite true"
                raise InputError(f"{text} (of {Path(image).name} there is no {missing[0]})")
            self._require_same(image, there[0])
            if not read_label(files[self.label_key]).any():
                self.empty.append(image)
            self.done += 1
        except InputError as error:
            self.fail(image, str(error))
        return False

    def _require_same(self, image: str, file: Path) -> None:
        """Refuse results of another image of this name, of other weights or settings."""
        try:
            made = json.loads(self._record_of(image).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return  # made by an older version
        except (ValueError, OSError):
            made = {}
        for name, value in self._plan(image).items():
            if made.get(name) != value:
                raise InputError(
                    f"{file}: made with another {name} ({made.get(name)}, now {value}); give another output_dir, or "
                    "replace it with --overwrite true"
                )

    def _plan(self, image: str) -> dict[str, Any]:
        file = fingerprint(Path(image)) if Path(image).is_file() else {"path": image}
        return json.loads(json.dumps({**file, "checkpoint": self._weights, **self.settings}, default=str))

    def _record_of(self, image: str) -> Path:
        label = self._files_of(image)[self.label_key]
        return label.with_name(f".{image_stem(image)}.json")

    def _files_of(self, image: str) -> dict[str, Path]:
        files: dict[str, Path] = {}
        for saver in cast(Any, self.savers).flatten().transforms:
            if isinstance(saver, SaveMapd | SaveOverlayd):
                files |= saver.files_of(image)
        return files
