"""Job that segments a list of images and records the result of each image."""

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
    "the label map is empty: no pixel is foreground; if this is wrong, check --mpp and --network_mpp, or choose the "
    "--checkpoint and the overlay for such images"
)


@dataclass
class ImageJob:
    """Job that segments images, skips finished images, and reports all problems at the end.

    Invariant: an image is finished if all its output files exist and a hidden file beside them records the same image
    and settings. An image with only some output files fails, because these may be other people's files, and so does an
    image with other settings. With `overwrite` all outputs are made again.

    Args:
        images: items `{"image": path}`.
        savers: transforms with the savers, such as the `SaveMapd` of `label_key`.
        overwrite: whether to make all outputs again.
        strict: whether an empty label map is an error.
        label_key: key of the label map.
        settings: options that change the results, by their ids.
        checkpoint: file of the weights.

    Attributes:
        items: images that are not finished yet.
        problems: problem of each failed image, by its file.
        empty: images whose label map is empty.
        done: number of images that were finished before.
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
            if self.overwrite or self._is_new(item[CommonKeys.IMAGE]):
                self.items.append(dict(item))

    def fail(self, image: str, problem: str) -> None:
        """Record that an image could not be segmented."""
        self.problems[image] = problem
        write_line(f"{Path(image).name}: failed: {problem}")

    def finish(self, image: str, label: torch.Tensor) -> None:
        """Record that an image is segmented.

        Args:
            image: file of the image.
            label: class indices of any shape.
        """
        foreground = 100 * float((label != 0).float().mean())
        if not foreground:
            self.empty.append(image)
        write_line(f"{Path(image).name}: {foreground:.1f} % foreground")
        write_text(self._record_of(image), json.dumps(self._inputs(image)) + "\n")

    def run(self, evaluator: Workflow) -> None:
        """Segment the images that are not finished, and report all problems.

        Raises:
            InputError: after all images, if one failed, or if a label map is empty and `strict` is set.
        """
        if self.done:
            count = "1 image is" if self.done == 1 else f"{self.done} images are"
            again = "it" if self.done == 1 else "them"
            write_line(f"{count} done already; --overwrite true makes {again} again")
        if self.items:
            evaluator.run()
        self._report()
        errors = list(self.problems.values())
        if self.strict:
            errors += [f"{Path(image).name}: empty (strict)" for image in sorted(self.empty)]
        if errors:
            raise InputError("; ".join(errors))

    def _report(self) -> None:
        count = len(self.images)
        if count > 1:
            write_line(f"{count - len(self.problems)} of {count} images are done")
            for image, problem in sorted(self.problems.items()):
                write_line(f"  not done: {Path(image).name}: {problem}")
        if self.empty:
            write_line(f"warnings of {len(self.empty)} of {count} images:" if count > 1 else "warnings:")
            for image in sorted(self.empty):
                write_line(f"  {Path(image).name}: {EMPTY}")

    def _is_new(self, image: str) -> bool:
        """Return whether an image has no output files; otherwise count it as finished or failed."""
        files = self._files_of(image)
        existing = [path for path in files.values() if path.exists()]
        if not existing:
            return True
        missing = [path.name for path in files.values() if not path.exists()]
        try:
            if missing:
                text = f"{existing[0]}: exists; give another output_dir, or replace it with --overwrite true"
                raise InputError(f"{text} ({Path(image).name} has no {missing[0]})")
            self._check_record(image, existing[0])
            if not read_label(files[self.label_key]).any():
                self.empty.append(image)
            self.done += 1
        except InputError as error:
            self.fail(image, str(error))
        return False

    def _check_record(self, image: str, file: Path) -> None:
        """Refuse results of another image with this name, or of other weights or settings."""
        try:
            recorded = json.loads(self._record_of(image).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return  # older versions wrote no record
        except (ValueError, OSError):
            recorded = {}
        for name, value in self._inputs(image).items():
            if recorded.get(name) != value:
                raise InputError(
                    f"{file}: made with another {name} ({recorded.get(name)}, now {value}); give another output_dir, "
                    "or replace it with --overwrite true"
                )

    def _inputs(self, image: str) -> dict[str, Any]:
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
