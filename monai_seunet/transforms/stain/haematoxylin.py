"""Extraction of the haematoxylin channel, which stains nuclei independently of the counterstain."""

from __future__ import annotations

import torch
from monai.config import KeysCollection, NdarrayOrTensor
from monai.data import get_track_meta
from monai.transforms import Transform
from monai.utils import TransformBackends, convert_to_dst_type, convert_to_tensor
from skimage.color import rgb_from_hed

from monai_seunet.transforms.dictionary import DictionaryForm
from monai_seunet.transforms.stain.functional import haematoxylin_density, require_rgb

# unit vectors of haematoxylin and eosin
STAINS = torch.nn.functional.normalize(torch.from_numpy(rgb_from_hed[:2]).float(), dim=1)


class HaematoxylinDensity(Transform):
    """Convert an RGB image to the optical density of its haematoxylin by fixed stain colours.

    Shapes: (3, H, W), uint8 or float in [0, 1] -> (1, H, W), float, at least 0.
    Invariant: each pixel is converted independently, so rotations, reflections and crops commute; white gives 0.
    Limits: glass that is not white adds a constant offset; standardise images after this transform.

    Raises:
        InputError: the image is not RGB.

    References:
        Ruifrok & Johnston, Quantification of histochemical staining by color deconvolution, 2001, for the colours.

    >>> HaematoxylinDensity()(torch.ones(3, 1, 2))
    metatensor([[[0., 0.]]])
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012 (MONAI defines the name and type)

    def __call__(self, img: NdarrayOrTensor) -> torch.Tensor:
        """Convert one image."""
        image: torch.Tensor = convert_to_tensor(img, track_meta=get_track_meta())
        density = haematoxylin_density(require_rgb(image), STAINS)
        return convert_to_dst_type(density, image, dtype=density.dtype)[0]


class HaematoxylinDensityd(DictionaryForm):
    """Dictionary form of `HaematoxylinDensity`."""

    backend = HaematoxylinDensity.backend

    def __init__(self, keys: KeysCollection, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, HaematoxylinDensity(), allow_missing_keys)


HaematoxylinDensityD = HaematoxylinDensityDict = HaematoxylinDensityd
