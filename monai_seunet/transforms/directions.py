"""Directions to the centres of objects: the training target and the prediction of a network with directions."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence

import torch
from monai.config import KeysCollection, NdarrayOrTensor
from monai.transforms import MapTransform, Transform
from monai.utils import TransformBackends, convert_to_dst_type, convert_to_tensor, ensure_tuple_rep
from skimage.measure import label as connected_parts

from monai_seunet.transforms.dictionary import DictionaryForm


class CentreDirections(Transform):
    """Compute the direction from every pixel of an object to its centre of mass, from an instance map.

    The direction is a unit vector. Near the centre it shrinks in proportion to the distance, so it is continuous
    and marks the centre.

    Shapes: (1, H, W) with 0 for background -> (3, H, W), float32: y and x of the direction, and the mask of whole
    objects. All three channels are 0 outside of whole objects.
    Invariant: the numbering of objects has no influence. Rotations and reflections transform the direction as a vector.
    A zoom does not change it, except for the sampling of the object's shape.
    Limits: an object at the border does not count as whole, because its centre may lie outside of the image. Separate
    areas of one number are separate objects.

    Args:
        core: share of the radius of a disk with the object's area, within which the direction shrinks.

    >>> CentreDirections()(torch.nn.functional.pad(torch.ones(1, 3, 3), (1, 1, 1, 1)))[:, 2, 1]
    tensor([0., 1., 1.])
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012

    def __init__(self, core: float = 0.3) -> None:
        self.core = core

    def __call__(self, instances: NdarrayOrTensor) -> NdarrayOrTensor:
        """Return directions and mask (3, H, W)."""
        numbers = convert_to_tensor(instances, track_meta=False)[0].cpu().numpy()
        parts, count = connected_parts(numbers, background=0, return_num=True)
        height, width = parts.shape
        objects = torch.from_numpy(parts).long()
        labels = objects.flatten()
        rows, columns = (axis.flatten() for axis in torch.meshgrid(_axis(height), _axis(width), indexing="ij"))
        pixels = torch.bincount(labels, minlength=count + 1).double().clamp(min=1)
        centres = [torch.bincount(labels, axis, minlength=count + 1) / pixels for axis in (rows, columns)]
        is_whole = torch.ones(count + 1, dtype=torch.bool)
        for border in (objects[:1], objects[-1:], objects[:, :1], objects[:, -1:]):
            is_whole[border.flatten()] = False
        is_whole[0] = False
        offset = torch.stack([centres[0][labels] - rows, centres[1][labels] - columns])
        core_radius = self.core * (pixels / math.pi).sqrt()[labels]
        direction = offset / torch.maximum(torch.hypot(*offset), core_radius)  # hypot is ten times as fast as norm
        mask = is_whole[labels]
        target = torch.cat([direction * mask, mask[None]]).float().view(3, height, width)
        return convert_to_dst_type(target, dst=instances, dtype=torch.float32)[0]


class CentreDirectionsd(DictionaryForm):
    """Dictionary form of `CentreDirections`, which replaces instance maps."""

    backend = CentreDirections.backend

    def __init__(self, keys: KeysCollection, core: float = 0.3, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, CentreDirections(core), allow_missing_keys)


class SplitDirectionsd(MapTransform):
    """Separate the directions from the probabilities in the prediction of a network with directions.

    Args:
        keys: keys of predictions (..., N + 2, H, W), which are replaced by the probabilities (..., N, H, W).
        names: new keys for the directions (..., 2, H, W), one for each prediction; None drops the directions.
        allow_missing_keys: whether items may lack a key.
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012

    def __init__(
        self, keys: KeysCollection, names: Sequence[str] | str | None = None, allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.names = ensure_tuple_rep(names, len(self.keys))

    def __call__(self, data: Mapping[Hashable, torch.Tensor]) -> dict[Hashable, torch.Tensor]:
        """Split the prediction of every key."""
        result = dict(data)
        for key, name in self.key_iterator(result, self.names):
            outputs = result[key]
            result[key] = outputs[..., :-2, :, :]
            if name is not None:
                result[name] = outputs[..., -2:, :, :]
        return result


def _axis(length: int) -> torch.Tensor:
    return torch.arange(length, dtype=torch.float64)


CentreDirectionsD = CentreDirectionsDict = CentreDirectionsd
SplitDirectionsD = SplitDirectionsDict = SplitDirectionsd
