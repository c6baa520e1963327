"""Writers of the outputs of a prediction."""

from monai_seunet.writers.raster import write_raster
from monai_seunet.writers.save import SaveMap, SaveMapd, SaveOverlayd

__all__ = ["SaveMap", "SaveMapd", "SaveOverlayd", "write_raster"]
