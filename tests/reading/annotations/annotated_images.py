"""Two nuclei, one with a hole, as outlines of every form, and what `prepare` makes of them."""

import numpy as np
from annotation_files import Shape, circle, imagescope, layer, mask_of, region, shifted
from PIL import Image

from monai_seunet.data.datalist import load_dataset

SIZE = (40, 60)


NUCLEI = [Shape(circle(15, 15, 6.3)), Shape(circle(40, 20, 9.2), [circle(40, 20, 3.1)])]


REGIONS = [
    region(shifted(NUCLEI[0].outer)),
    region(shifted(NUCLEI[1].outer)),
    region(shifted(NUCLEI[1].holes[0]), negative=1),
]


RULERS = imagescope(layer(*(region([(1, 2), (30, 30)], kind=4) for _ in range(12))))


def expected(*values):
    label = np.zeros(SIZE, int)
    for value, shape in zip(values, NUCLEI, strict=True):
        label[mask_of(shape, SIZE)] = value
    return label


def labels_of(folder):
    dataset = load_dataset(folder)
    items = {item["image"].split("/")[-1][:-4]: item for item in dataset.training + dataset.validation}
    return {name: np.asarray(Image.open(item["label"])).astype(int) for name, item in items.items()}, items


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def warnings_of(capsys):
    return [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning:")]
