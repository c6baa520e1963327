"""Two nuclei, one with a hole, as outlines of every form, and what `prepare` makes of them."""

import numpy as np
from annotation_files import SIZE, Shape, circle, imagescope, layer, mask_of, region, shifted
from layouts import label_of, prepared_set

NUCLEI = [Shape(circle(15, 15, 6.3)), Shape(circle(40, 20, 9.2), [circle(40, 20, 3.1)])]
REGIONS = [*(region(shifted(shape.outer)) for shape in NUCLEI), region(shifted(NUCLEI[1].holes[0]), negative=1)]
RULERS = imagescope(layer(*(region([(1, 2), (30, 30)], kind=4) for _ in range(12))))


def expected(*values):
    label = np.zeros(SIZE, int)
    for value, shape in zip(values, NUCLEI, strict=True):
        label[mask_of(shape)] = value
    return label


def labels_of(source):
    """Labels and items of the data set that was prepared of a source, by the names of the images."""
    items = prepared_set(source)[1]
    return {name: label_of(item) for name, item in items.items()}, items


def put(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
