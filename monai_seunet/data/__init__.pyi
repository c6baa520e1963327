from .datalist import PreparedDataset, check_use, holds_instances, load_datalist, load_dataset
from .images import find_images
from .split import with_fold
from .tiles import TileDataset, check_crop

__all__ = [
    "PreparedDataset",
    "TileDataset",
    "check_crop",
    "check_use",
    "find_images",
    "holds_instances",
    "load_datalist",
    "load_dataset",
    "with_fold",
]
