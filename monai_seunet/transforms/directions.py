"""Where the centres of objects lie: what a network with directions is trained on."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence

import torch
from monai.config import KeysCollection, NdarrayOrTensor
from monai.transforms import MapTransform, Transform
from monai.utils import TransformBackends, convert_to_dst_type, convert_to_tensor, ensure_tuple_rep
from skimage.measure import label as connected_parts


class CentreDirections(Transform):
    """The direction from every pixel of an object to the centre of mass of the object, from an instance map.

    It is a unit vector, and shrinks in proportion to the distance near the centre: it then says where to stop, and has
    no jump there.

    Shapes: (1, H, W) of numbers, 0 is background -> (3, H, W), float32: y and x of the direction, and 1 for the pixels
    of whole objects. The others are 0.
    Invariant: blind to how the objects are numbered. Turns and mirrors with the image, as a vector. A zoom moves it and
    does not change it, but for what sampling does to the shape of an object.
    Limits: an object that the border cuts is not whole, since its centre may lie outside. Areas of one number that do
    not touch are objects of their own.

    Args:
        core: the direction shrinks within this share of the radius of a disk of the object's area.
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012

    def __init__(self, core: float = 0.3) -> None:
        self.core = core

    def __call__(self, instances: NdarrayOrTensor) -> NdarrayOrTensor:
        """Return direction and mask, (3, H, W)."""
        numbers = convert_to_tensor(instances, track_meta=False)[0].cpu().numpy()
        parts, count = connected_parts(numbers, background=0, return_num=True)
        height, width = parts.shape
        part = torch.from_numpy(parts).long()
        owner = part.flatten()
        rows, columns = (axis.flatten() for axis in torch.meshgrid(_axis(height), _axis(width), indexing="ij"))
        pixels = torch.bincount(owner, minlength=count + 1).double().clamp(min=1)
        centres = [torch.bincount(owner, place, minlength=count + 1) / pixels for place in (rows, columns)]
        whole = torch.ones(count + 1, dtype=torch.bool)
        for rim in (part[:1], part[-1:], part[:, :1], part[:, -1:]):
            whole[rim.flatten()] = False
        whole[0] = False
        offset = torch.stack([centres[0][owner] - rows, centres[1][owner] - columns])
        shrinking = self.core * (pixels / math.pi).sqrt()[owner]
        direction = offset / torch.maximum(torch.hypot(*offset), shrinking)  # ten times as fast as norm
        counts = whole[owner]
        target = torch.cat([direction * counts, counts[None]]).float().view(3, height, width)
        return convert_to_dst_type(target, dst=instances, dtype=torch.float32)[0]


class CentreDirectionsd(MapTransform):
    """Dictionary form of `CentreDirections`.

    Args:
        keys: instance maps; replaced.
        core: as there.
        allow_missing_keys: whether items may lack a key.
    """

    backend = CentreDirections.backend

    def __init__(self, keys: KeysCollection, core: float = 0.3, allow_missing_keys: bool = False) -> None:
        super().__init__(keys, allow_missing_keys)
        self.directions = CentreDirections(core)

    def __call__(self, data: Mapping[Hashable, NdarrayOrTensor]) -> dict[Hashable, NdarrayOrTensor]:
        """Return a copy of `data` with directions in place of instance maps."""
        result = dict(data)
        for key in self.key_iterator(result):
            result[key] = self.directions(result[key])
        return result


class SplitDirectionsd(MapTransform):
    """Take the directions out of what a network with directions predicts: the two last channels before the pixels.

    Args:
        keys: predictions (..., N + 2, H, W), replaced by the probabilities (..., N, H, W).
        names: where the directions (..., 2, H, W) go, one for each key; None for nowhere.
        allow_missing_keys: whether items may lack a key.
    """

    backend = [TransformBackends.TORCH]  # noqa: RUF012

    def __init__(
        self, keys: KeysCollection, names: Sequence[str] | str | None = None, allow_missing_keys: bool = False
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.names = ensure_tuple_rep(names, len(self.keys))

    def __call__(self, data: Mapping[Hashable, torch.Tensor]) -> dict[Hashable, torch.Tensor]:
        """Return a copy of `data` with the two apart."""
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
