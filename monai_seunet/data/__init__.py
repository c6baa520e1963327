"""Data sets: from a download as users have it to a MONAI data list, and readers for the formats of the field."""

from monai_seunet.data.datalist import PreparedDataset, load_datalist, load_dataset
from monai_seunet.data.images import find_images
from monai_seunet.reading.raster import read_image, read_label, read_raster
from monai_seunet.reading.reader import HistologyReader
from monai_seunet.transforms.instances import CheckInstances, CheckInstancesd
from monai_seunet.transforms.labels import CheckLabels, CheckLabelsd, InstancesToClasses, InstancesToClassesd

__all__ = [
    "CheckInstances",
    "CheckInstancesd",
    "CheckLabels",
    "CheckLabelsd",
    "HistologyReader",
    "InstancesToClasses",
    "InstancesToClassesd",
    "PreparedDataset",
    "find_images",
    "load_datalist",
    "load_dataset",
    "read_image",
    "read_label",
    "read_raster",
]
