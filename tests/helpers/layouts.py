"""Write the parts of folders as users have them, prepare them, and read what came of them."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from monai_seunet.cli import main
from monai_seunet.data.datalist import PreparedDataset, load_dataset
from monai_seunet.reading.names import image_stem
from monai_seunet.reading.raster import read_raster


def write_image(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def write_medical(path: Path, pixels: np.ndarray, mm: float | None = None) -> None:
    """Pixels, rows first, with sides of so many millimetres: in NIfTI by nibabel, in other formats by ITK."""
    colours, side = pixels.shape[2:] == (3,), mm or 1.0
    if ".nii" in path.name:
        import nibabel

        values = pixels.T  # x comes first
        if colours:
            values = np.ascontiguousarray(pixels.swapaxes(0, 1)).view([("R", "u1"), ("G", "u1"), ("B", "u1")])
        image = nibabel.Nifti1Image(values, np.diag([side, side, 1, 1]))
        image.header.set_xyzt_units("unknown" if mm is None else "mm")
        nibabel.save(image, path)
    else:
        import itk

        image = itk.image_from_array(pixels, is_vector=colours)
        image.SetSpacing([side, side])
        itk.imwrite(image, str(path))


def link_images(source: Path, target: Path, stems: Iterable[str]) -> Path:
    """A few of the images of a folder, with their masks, as links."""
    chosen = set(stems)
    for folder in ("images", "masks"):
        (target / folder).mkdir(parents=True)
        for file in (source / folder).iterdir():
            if file.stem in chosen:
                (target / folder / file.name).symlink_to(file)
    return target


def prepare(kind: str, source: Path, *options: str) -> int:
    """The exit code of `prepare`, which writes the data set `set` beside its source."""
    return main(["prepare", kind, str(source), str(source.parent / "set"), *options])


def prepared_set(source: Path) -> tuple[PreparedDataset, dict[str, dict]]:
    """The data set `set` beside a source, and its items for training and validation by the names of their images."""
    dataset = load_dataset(source.parent / "set")
    return dataset, {image_stem(item["image"]): item for item in dataset.training + dataset.validation}


def label_of(item: dict) -> np.ndarray:
    return read_raster(item["label"]).pixels


def warnings_of(capsys) -> list[str]:
    """What a command warned of on standard error."""
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
