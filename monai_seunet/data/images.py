"""The images that a prediction is asked for, as a MONAI data list."""

from __future__ import annotations

import glob
import logging
from collections.abc import Sequence
from pathlib import Path

from monai_seunet.reading.names import image_stem, images_among, list_files
from monai_seunet.utils.errors import InputError

OUTPUT_POSTFIXES = ("label", "probability", "scale", "overlay", "scales_overlay")  # of the files of `inference.json`

logger = logging.getLogger(__name__)


def find_images(source: str | Path | Sequence[str | Path]) -> list[dict[str, str]]:
    """List images as `[{"image": absolute path}, ...]`, sorted and without repetition.

    Files that are by their names outputs of other images of the list, as `a_label.png` beside `a.png`, are left out;
    the log says so.

    Args:
        source: a file, a folder (all images in it, not in its subfolders), a pattern such as `scans/**/*.tif`, or a
            sequence of these.

    Raises:
        InputError: where nothing is found, or two images would write to the same outputs.
    """
    sources = [source] if isinstance(source, str | Path) else source
    paths = without_outputs(sorted({path for one in sources for path in _expand(str(one))}))
    if not paths:
        raise InputError("no image was named; give a file, a folder or a pattern as image")
    first: dict[str, Path] = {}
    for path in paths:
        other = first.setdefault(image_stem(path), path)
        if other != path:
            raise InputError(
                f"{other} and {path} have the same name, so that one's outputs would overwrite the other's; "
                "rename one, or run them one by one with another output_dir"
            )
    return [{"image": str(path)} for path in paths]


def without_outputs(paths: Sequence[Path]) -> list[Path]:
    """Those that are no outputs of `inference.json` for others among them; the log says which are left out."""
    stems = {(path.parent, image_stem(path)) for path in paths}

    def is_output(path: Path) -> bool:
        stem = image_stem(path)
        ends = [f"_{postfix}" for postfix in OUTPUT_POSTFIXES if stem.endswith(f"_{postfix}")]
        return any((path.parent, stem[: -len(end)]) in stems for end in ends)

    outputs = dict.fromkeys(path for path in paths if is_output(path))
    if outputs:
        text = "%d file(s) left out, which are outputs of other images by their names, the first is %s"
        logger.warning(text, len(outputs), next(iter(outputs)))
    return [path for path in paths if path not in outputs]


def _expand(source: str) -> list[Path]:
    """Absolute paths of the files that one file, folder or pattern names."""
    path = Path(source).expanduser()
    if path.is_dir():
        found = list_files(path)
    elif path.is_file():
        found = [path]
    else:
        found = images_among(map(Path, glob.glob(str(path), recursive=True)))
    if not found:
        kind = "holds no image that can be read" if path.is_dir() else "no such image"
        raise InputError(f"{source}: {kind}; give a file, a folder of images or a pattern such as 'scans/*.tif'")
    return [entry.absolute() for entry in found]
