"""Data store of images and labels in one folder, which checks every new file."""

from __future__ import annotations

import functools
import json
import logging
import re
import shutil
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monailabel.datastore.local import LocalDatastore
from monailabel.interfaces.exception import ImageNotFoundException, LabelNotFoundException

from monai_seunet.data.prepare import write_png
from monai_seunet.label_app.labels.names import check_name, is_inside
from monai_seunet.label_app.labels.submitted import OUTLINES, is_label_name, read_submitted
from monai_seunet.reading.names import SUFFIXES, VENDOR_SUFFIXES, is_image_name
from monai_seunet.reading.opening import open_slide
from monai_seunet.reading.raster import read_image
from monai_seunet.slides.magnification.resolution import resolve
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import atomic_write, suffix_of, write_text

ENDINGS = (*SUFFIXES, ".ome.tif", ".ome.tiff", *OUTLINES)  # MONAI Label removes these from a file name
PATCH = re.compile(r"(.+)-patch-\d+_\d+_\d+_\d+")  # QuPath's name of a rectangle of a slide
TAGS = ("final", "original")
SERVER_KEYS = ("name", "ts", "strategy", "labelled_pixels")
REPLACED = "replaced"  # subfolder of the labels

logger = logging.getLogger(__name__)


class CheckedDatastore(LocalDatastore):
    """MONAI Label's data store with checked names and labels, which keeps a copy of each replaced label.

    Args:
        path: folder of the images.
        classes: names of the foreground classes.
        watch: whether the store notices files that people copy into the folder.
    """

    def __init__(self, path: str | Path, classes: Sequence[str], watch: bool = True) -> None:
        self.classes = tuple(classes)
        self._threads = threading.RLock()
        _set_aside_if_damaged(Path(path) / "datastore_v2.json")
        patterns = [f"*{ending}" for ending in (*ENDINGS, *(ending.upper() for ending in ENDINGS))]
        super().__init__(str(path), extensions=patterns, auto_reload=watch)

    def _list_files(self, path: str, patterns: Sequence[str]) -> dict[str, str]:
        files: dict[str, str] = super()._list_files(path, patterns)
        images = Path(path).resolve() == Path(self._datastore.image_path()).resolve()
        return {
            name: file
            for name, file in files.items()
            if not name.startswith(".")
            and (is_image_name(name) if images else is_label_name(name))
            and is_inside(Path(path, file), path)  # no answer may name a link out of the folder
        }

    def _update_datastore_file(self, lock: bool = True) -> None:
        """Write the list of images atomically, so a killed server leaves the former list."""
        self._ignore_event_config = True
        path = Path(self._datastore_config_path)
        write_text(path, json.dumps(self._datastore.model_dump(exclude={"base_path"}), indent=2, default=str))
        self._config_ts = path.stat().st_mtime

    def get_image_uri(self, image_id: str) -> str:
        """Return the file of an image, or '' if it is missing or a link out of the folder."""
        path: str = super().get_image_uri(image_id)
        return path if path and is_inside(path, self._datastore_path) else ""

    def get_image_info(self, image_id: str) -> dict[str, Any]:
        """Return the information on an image, with an empty path for a link out of the folder."""
        info = dict(super().get_image_info(image_id))
        return {**info, "path": self.get_image_uri(image_id)} if info else info

    def add_image(self, image_id: str, image_filename: str, image_info: dict[str, Any]) -> str:
        """Add an image.

        Raises:
            InputError: for a bad name, an unreadable file, or another image of the same name.
        """
        file = Path(image_filename)
        if not is_image_name(file):
            raise InputError(
                f"'{''.join(file.suffixes)}' is not a readable image format; give one of {', '.join(SUFFIXES)}"
            )
        image_id = check_name(image_id, "image")
        if any(ending in image_id.lower() for ending in ENDINGS):  # MONAI Label would remove it later
            raise InputError(f"image is '{image_id}'; give a name without a file suffix")
        with open_slide(file) as slide:
            slide.read(slide.levels.index(slide.levels[-1]), 0, 0, 1, 1)
        existing = self.get_image_uri(image_id)
        if existing and not _same_pixels(Path(existing), file):
            raise InputError(f"image '{image_id}' exists already with other pixels; give another name")
        if not existing:
            super().add_image(image_id, image_filename, _client_info(image_info))
            self._copy_mpp(image_id)
        return image_id

    def _copy_mpp(self, image_id: str) -> None:
        """Write the µm per pixel of a slide into its patch, because QuPath's files lack them."""
        path, patch = Path(self.get_image_uri(image_id)), PATCH.fullmatch(image_id)
        slide = self.get_image_uri(patch[1]) if patch else ""
        if not slide or path.suffix.lower() != ".png":
            return
        with open_slide(slide) as whole:
            mpp = resolve(whole).mpp
        part = read_image(path, keep_deep=True)
        if mpp is None or part.mpp is not None:
            return
        with atomic_write(path) as temporary:
            write_png(temporary, part.pixels, mpp)

    def save_label(self, image_id: str, label_filename: str, label_tag: str, label_info: dict[str, Any]) -> str:
        """Save a label; the folder `replaced` keeps the former label.

        Raises:
            InputError: for an unknown tag or a label that does not fit the image.
        """
        image = self.get_image_uri(image_id)
        if not image:
            raise ImageNotFoundException(f"image '{image_id}' does not exist")
        if label_tag not in TAGS:
            raise InputError(f"tag is '{label_tag}'; choose {' or '.join(TAGS)}")
        if not is_label_name(label_filename):
            raise InputError(
                f"'{Path(label_filename).suffix}' is not a readable label format; give PNG, TIFF, NIfTI, XML or GeoJSON"
            )
        try:
            label = read_submitted(label_filename, image, self.classes)
        except InputError as error:
            raise InputError(str(error).replace(Path(label_filename).name, f"label of '{image_id}'")) from error
        former = Path(self.get_label_uri(image_id, label_tag) or self._datastore_path)
        if former.is_file():
            self._keep(former)
        info = {**_client_info(label_info), "labelled_pixels": int((label.classes > 0).sum())}
        label_id = str(super().save_label(image_id, label_filename, label_tag, info))
        if former.is_file() and former != Path(self.get_label_uri(image_id, label_tag)):  # the format has changed
            former.unlink()
        return label_id

    def remove_label(self, label_id: str, label_tag: str) -> None:
        """Remove a label; the folder `replaced` keeps a copy."""
        label = Path(self.get_label_uri(label_id, label_tag) or self._datastore_path)
        if not label.is_file():
            raise LabelNotFoundException(f"label '{label_id}' does not exist")
        self._keep(label)
        super().remove_label(label_id, label_tag)

    def update_image_info(self, image_id: str, info: dict[str, Any]) -> None:
        """Add information from a client to an image."""
        strategy = info.get("strategy")
        # MONAI Label's record of the clients to whom it proposed the image
        by_server = isinstance(strategy, dict) and all(isinstance(value, dict) for value in strategy.values())
        super().update_image_info(image_id, _client_info(info) | ({"strategy": strategy} if by_server else {}))

    def update_label_info(self, label_id: str, label_tag: str, info: dict[str, Any]) -> None:
        """Add information from a client to a label."""
        super().update_label_info(label_id, label_tag, _client_info(info))

    def _keep(self, label: Path) -> None:
        folder = label.parent / REPLACED
        folder.mkdir(exist_ok=True)
        shutil.copyfile(label, folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() % 10**6:06d}-{label.name}")


def _client_info(info: dict[str, Any] | None) -> dict[str, Any]:
    """Return the information without the keys that only the server writes."""
    return {key: value for key, value in (info or {}).items() if key not in SERVER_KEYS}


def _same_pixels(first: Path, second: Path) -> bool:
    if first.stat().st_size == second.stat().st_size and first.read_bytes() == second.read_bytes():
        return True
    if any(suffix_of(path) in VENDOR_SUFFIXES for path in (first, second)):
        return False
    return np.array_equal(read_image(first, keep_deep=True).pixels, read_image(second, keep_deep=True).pixels)


def _set_aside_if_damaged(file: Path) -> None:
    """Rename a damaged list of images, which would stop the server; the server rebuilds the list from the folder."""
    try:
        if file.exists():
            json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        backup = file.with_suffix(f".damaged-{time.strftime('%Y%m%d-%H%M%S')}")
        file.rename(backup)
        logger.warning("%s was damaged; it is kept as %s, and a new list is made", file, backup.name)


def _one_at_a_time(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def locked(self: CheckedDatastore, *arguments: Any, **named: Any) -> Any:
        with self._threads:
            return method(self, *arguments, **named)

    return locked


# MONAI Label's data store is not thread-safe, but requests and the file watcher use several threads.
for _name in (
    *("add_image", "save_label", "remove_image", "remove_label", "update_image_info", "update_label_info", "refresh"),
    *("get_image_uri", "get_image_info", "get_label_uri", "get_label_info", "get_labels_by_image_id", "list_images"),
    *("get_labeled_images", "get_unlabeled_images", "datalist", "status", "json", "_on_any_event", "_on_modify_event"),
):
    setattr(CheckedDatastore, _name, _one_at_a_time(getattr(CheckedDatastore, _name)))
