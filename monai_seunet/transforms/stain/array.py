"""Stain transforms for one image."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import cast

import numpy as np
import torch
from monai.config import NdarrayOrTensor
from monai.data import get_track_meta
from monai.transforms import RandomizableTransform, Transform
from monai.utils import TransformBackends, convert_to_dst_type, convert_to_tensor

from monai_seunet.transforms.stain.extractors import StainExtractor, make_extractor
from monai_seunet.transforms.stain.fit import cached_profile, fit_profile
from monai_seunet.transforms.stain.functional import image_name, jitter_stains, require_rgb, transfer_stains
from monai_seunet.transforms.stain.profile import NoTissueError, StainProfile, as_profile, as_target, warn_if_weak
from monai_seunet.transforms.stain.reinhard import MIN_SPREAD, match_lab
from monai_seunet.utils.errors import InputError

ProfileLike = StainProfile | str | os.PathLike[str]


class _StainTransform(Transform):
    """Knows the stains of the images that it is given: by a profile, from a cache, or by looking at each."""

    backend = [TransformBackends.TORCH]  # noqa: RUF012 (declared so by MONAI)

    def __init__(
        self,
        method: str | StainExtractor,
        source: ProfileLike | None,
        cache_dir: str | os.PathLike[str] | None,
    ) -> None:
        self.extractor = make_extractor(method)
        self.source = None if source is None else as_profile(source)
        self.cache_dir = cache_dir

    def profile_of(self, image: torch.Tensor) -> StainProfile:
        """The stain profile of an image (3, H, W); raises NoTissueError where it shows no two stains."""
        if self.source is not None:
            return self.source
        if self.cache_dir is not None:
            return cached_profile(image, self.cache_dir, self.extractor, image_name(image))
        return fit_profile([image], self.extractor, origin=image_name(image))


class StainNormalize(_StainTransform):
    """Give an H&E image the stain colours and strengths of a target.

    Shapes: (3, H, W) to (3, H, W), uint8 or float in [0, 1]; an alpha channel is dropped with a warning.
    Invariant: a white pixel stays white; the result is never NaN, and black only where the image was nearly so.
    Limits: what the two stains do not explain (pigment, pen marks, blood) takes their nearest mixture. A profile a tile
    changes colours from tile to tile: for slides, fit one profile a slide and give it as `source`.

    Args:
        target: what images become, a `StainProfile` or its JSON file.
        method: how the stains of an image are found: `vahadane`, `macenko`, `staintools` or a `StainExtractor`.
        source: the stains of all images that come, a `StainProfile` or its JSON file; None looks at each image.
        cache_dir: folder in which the profiles of images are kept, so that each is fitted once; None keeps none.
        on_no_tissue: what becomes of an image without two stains (blank, black, one colour, nearly empty) where no
            source is given: `identity` leaves it, `target` takes it as stained like the target, `raise` raises.

    Raises:
        InputError: for an image that is not RGB, a profile that cannot be read, or a target with stains too close.
    """

    def __init__(
        self,
        target: ProfileLike,
        method: str | StainExtractor = "vahadane",
        source: ProfileLike | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        on_no_tissue: str = "identity",
    ) -> None:
        super().__init__(method, source, cache_dir)
        self.target = as_target(target)
        if on_no_tissue not in ("identity", "target", "raise"):
            raise InputError(f"on_no_tissue is '{on_no_tissue}'; choose identity, target or raise")
        self.on_no_tissue = on_no_tissue
        if self.source is not None:
            warn_if_weak(self.source)

    def __call__(self, img: NdarrayOrTensor, source: ProfileLike | None = None) -> torch.Tensor:
        """Normalise one image; `source` stands in for the transform's own."""
        image = _as_tensor(img)
        rgb = require_rgb(image)
        try:
            profile = self.profile_of(image) if source is None else as_profile(source)
        except NoTissueError:
            if self.on_no_tissue == "raise":
                raise
            if self.on_no_tissue == "identity":
                return _like(rgb, image)
            profile = self.target
        if profile is not self.source:
            warn_if_weak(profile)
        stains, most = profile.tensors()
        wanted, wanted_most = self.target.tensors()
        return _like(transfer_stains(rgb, stains, wanted, wanted_most / most, profile.penalty), image)


class RandStainJitter(RandomizableTransform, _StainTransform):
    """Vary the amount of haematoxylin and eosin at random, h to max(0, factor·h + shift), as laboratories do.

    Shapes: (3, H, W) to (3, H, W), uint8 or float in [0, 1].
    Invariant: alpha = beta = 0 is the identity. Structure that the stains do not explain is kept.

    Args:
        prob: probability that an image is changed.
        alpha: each stain's factor is drawn from [1 − alpha, 1 + alpha].
        beta: each stain's shift is drawn from [−beta, beta], in optical density; a positive one tints the glass too.
        source: the stains of the images, a `StainProfile` or its JSON file; after `StainNormalize` that is its target.
            None looks at each image, and leaves one without two stains as it is.
        method: see `StainNormalize`.
        cache_dir: see `StainNormalize`.
    """

    def __init__(
        self,
        prob: float = 0.5,
        alpha: float = 0.2,
        beta: float = 0.1,
        source: ProfileLike | None = None,
        method: str | StainExtractor = "vahadane",
        cache_dir: str | os.PathLike[str] | None = None,
    ) -> None:
        RandomizableTransform.__init__(self, prob)
        _StainTransform.__init__(self, method, source, cache_dir)
        if not 0 <= alpha <= 1 or beta < 0:
            raise ValueError(f"alpha must be in [0, 1] and beta at least 0, got {alpha} and {beta}")
        self.alpha = alpha
        self.beta = beta
        self.factor = np.ones(2)
        self.shift = np.zeros(2)

    def randomize(self, data: object = None) -> None:
        """Draw whether to act, and the factor and the shift of both stains."""
        super().randomize(None)
        if self._do_transform:
            self.factor = self.R.uniform(1 - self.alpha, 1 + self.alpha, 2)
            self.shift = self.R.uniform(-self.beta, self.beta, 2)

    def __call__(self, img: NdarrayOrTensor, randomize: bool = True) -> torch.Tensor:
        """Change one image, by new random numbers or by the last ones."""
        image = _as_tensor(img)
        rgb = require_rgb(image)
        if randomize:
            self.randomize()
        if not self._do_transform:
            return _like(rgb, image)
        try:
            profile = self.profile_of(image)
        except NoTissueError:
            return _like(rgb, image)
        factor, shift = torch.from_numpy(self.factor), torch.from_numpy(self.shift)
        return _like(jitter_stains(rgb, profile.tensors()[0], factor, shift, profile.penalty), image)


class ReinhardNormalize(Transform):
    """Give an image the mean and spread of CIELAB colours of a target: simple, and blind to what is stained.

    Shapes: (3, H, W) to (3, H, W), uint8 or float in [0, 1].

    Args:
        mean: of L*, a* and b* of the target, as `lab_statistics` returns it.
        std: the standard deviations, likewise.
        on_no_tissue: what becomes of an image of a single colour: `identity` leaves it, `raise` raises.
    """

    backend = [TransformBackends.NUMPY]  # noqa: RUF012 (declared so by MONAI)

    def __init__(self, mean: Sequence[float], std: Sequence[float], on_no_tissue: str = "identity") -> None:
        self.mean, self.std = np.asarray(mean, dtype=np.float64), np.asarray(std, dtype=np.float64)
        if self.mean.shape != (3,) or self.std.shape != (3,) or not (self.std > MIN_SPREAD).all():
            raise InputError(f"mean and std must be three numbers each, std above {MIN_SPREAD}; got {mean} and {std}")
        if on_no_tissue not in ("identity", "raise"):
            raise InputError(f"on_no_tissue is '{on_no_tissue}'; choose identity or raise")
        self.on_no_tissue = on_no_tissue

    def __call__(self, img: NdarrayOrTensor) -> torch.Tensor:
        """Normalise one image."""
        image = _as_tensor(img)
        rgb = require_rgb(image)
        try:
            return _like(match_lab(rgb, self.mean, self.std), image)
        except ValueError as error:
            if self.on_no_tissue == "raise":
                raise NoTissueError(f"{image_name(image)}: {error}") from error
            return _like(rgb, image)


def _as_tensor(img: NdarrayOrTensor) -> torch.Tensor:
    return cast(torch.Tensor, convert_to_tensor(img, track_meta=get_track_meta()))


def _like(result: torch.Tensor, image: torch.Tensor) -> torch.Tensor:
    """The result with the metadata, type and device of the image."""
    return convert_to_dst_type(result, image)[0]
