"""Images for a prediction, as a MONAI data list."""

from __future__ import annotations

import glob
import logging
from collections.abc import Sequence
from pathlib import Path

from monai_seunet.reading.names import image_stem, images_among, list_files
from monai_seunet.utils.errors import InputError

OUTPUT_POSTFIXES = ("label", "probability", "scale", "overlay", "scales_overlay")  # outputs of `inference.json`

logger = logging.getLogger(__name__)


def find_images(source: str | Path | Sequence[str | Path]) -> list[dict[str, str]]:
    """List images as items `{"image": absolute path}`, sorted and without repetition.

    Files whose name marks them as an output of another image in the list, such as `a_label.png` of `a.png`, are left
    out with a warning in the log.

    Args:
        source: file, folder (without its subfolders), pattern such as `scans/**/*.tif`, or a sequence of these.

    Raises:
        InputError: there is no image, or two images would have the same outputs.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, "a.png").touch()
    ...     [Path(item["image"]).name for item in find_images(folder)]
    ['a.png']
    """
    sources = [source] if isinstance(source, str | Path) else source
    paths = without_outputs(sorted({path for entry in sources for path in _expand(str(entry))}))
    if not paths:
        raise InputError("no image was named; give a file, a folder or a pattern as image")
    first: dict[str, Path] = {}
    for path in paths:
        other = first.setdefault(image_stem(path), path)
        if other != path:
            raise InputError(
                f"{other} and {path} have the same name, and their outputs would overwrite each other; rename one, or "
                "run each with its own output_dir"
            )
    return [{"image": str(path)} for path in paths]


def without_outputs(paths: Sequence[Path]) -> list[Path]:
    """Return the paths that are not outputs of `inference.json` for another of them; log a warning about the others."""
    stems = {(path.parent, image_stem(path)) for path in paths}

    def is_output(path: Path) -> bool:
        stem = image_stem(path)
        ends = [f"_{postfix}" for postfix in OUTPUT_POSTFIXES if stem.endswith(f"_{postfix}")]
        return any((path.parent, stem[: -len(end)]) in stems for end in ends)

    outputs = dict.fromkeys(path for path in paths if is_output(path))
    if outputs:
        text = "%d file(s) left out, because their names are those of outputs of other images; the first is %s"
        logger.warning(text, len(outputs), next(iter(outputs)))
    return [path for path in paths if path not in outputs]


def _expand(source: str) -> list[Path]:
    """Return the absolute paths of a file, of the images in a folder or of the matches of a pattern."""
    path = Path(source).expanduser()
    if path.is_dir():
        paths = list_files(path)
    elif path.is_file():
        paths = [path]
    else:
        paths = images_among(map(Path, glob.glob(str(path), recursive=True)))
    if not paths:
        problem = "holds no image that can be read" if path.is_dir() else "no such image"
        raise InputError(f"{source}: {problem}; give a file, a folder of images or a pattern such as 'scans/*.tif'")
    return [entry.absolute() for entry in paths]
