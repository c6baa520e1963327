"""Stain transforms of one image."""

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
from monai_seunet.transforms.stain.profile import NoTissueError, StainProfile, as_profile, as_target, warn_of_stains
from monai_seunet.transforms.stain.reinhard import MIN_SPREAD, match_lab
from monai_seunet.utils.errors import InputError

ProfileLike = StainProfile | str | os.PathLike[str]


class _StainTransform(Transform):
    """Base class that gets the stains of an image from a fixed profile, a cache or a fit."""

    backend = [TransformBackends.TORCH]  # noqa: RUF012 (MONAI defines the name and type)

    def __init__(
        self, method: str | StainExtractor, source: ProfileLike | None, cache_dir: str | os.PathLike[str] | None
    ) -> None:
        self.extractor = make_extractor(method)
        self.source = None if source is None else as_profile(source)
        self.cache_dir = cache_dir

    def profile_of(self, image: torch.Tensor) -> StainProfile:
        """Return the stain profile of an image (3, H, W), or raise NoTissueError if it does not show two stains."""
        if self.source is not None:
            return self.source
        if self.cache_dir is not None:
            return cached_profile(image, self.cache_dir, self.extractor, image_name(image))
        return fit_profile([image], self.extractor, origin=image_name(image))


class StainNormalize(_StainTransform):
    """Normalise an H&E image to the stain colours and concentrations of a target.

    Shapes: (3, H, W) -> (3, H, W), uint8 or float in [0, 1]; an alpha channel is dropped with a warning.
    Invariant: white stays white; the result is never NaN, and is black only for nearly black pixels.
    Limits: pigment, pen marks and blood become the nearest mixture of the two stains. Profiles of single tiles change
    the colours from tile to tile: for slides, fit one profile and give it as `source`.

    Args:
        target: `StainProfile` of the result, or its JSON file.
        method: method that fits the stains of an image: `vahadane`, `macenko`, `staintools` or a `StainExtractor`.
        source: `StainProfile` of all images, or its JSON file; None fits each image.
        cache_dir: cache folder for the profiles of images, so each image is fitted once; None disables the cache.
        on_no_tissue: treatment of an image without two stains (blank, black, one colour, nearly empty) if `source` is
            None: `identity` returns it unchanged, `target` uses the target as its profile, `raise` raises an error.

    Raises:
        InputError: an image is not RGB, a profile cannot be read, or the stains of the target are too similar.

    >>> profile = StainProfile(matrix=((0.6, 0.8, 0.0), (0.28, 0.96, 0.0)), max_concentrations=(1.5, 1.0))
    >>> StainNormalize(target=profile, source=profile)(torch.ones(3, 4, 4)).unique()
    metatensor([1.])
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
            warn_of_stains(self.source)

    def __call__(self, img: NdarrayOrTensor, source: ProfileLike | None = None) -> torch.Tensor:
        """Normalise one image; `source` overrides the source of the constructor."""
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
            warn_of_stains(profile)
        stains, largest = profile.tensors()
        target_stains, target_largest = self.target.tensors()
        gain = target_largest / largest
        normalised = transfer_stains(rgb, source=stains, target=target_stains, gain=gain, penalty=profile.penalty)
        return _like(normalised, image)


class RandStainJitter(RandomizableTransform, _StainTransform):
    """Change the concentrations h of haematoxylin and eosin to max(0, factor·h + shift) at random.

    Shapes: (3, H, W) -> (3, H, W), uint8 or float in [0, 1].
    Invariant: alpha = beta = 0 is the identity. The residual of the separation into stains is kept.

    Args:
        prob: probability that an image is changed.
        alpha: half-width of the range [1 − alpha, 1 + alpha] of the factor of each stain.
        beta: half-width of the range [−beta, beta] of the shift, in optical density; a positive shift tints the glass.
        source: `StainProfile` of the images, or its JSON file; after `StainNormalize`, give its target. None fits each
            image, and returns an image without two stains unchanged.
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
        """Draw whether the image is changed, and the factors and shifts of both stains."""
        super().randomize(None)
        if self._do_transform:
            self.factor = self.R.uniform(1 - self.alpha, 1 + self.alpha, 2)
            self.shift = self.R.uniform(-self.beta, self.beta, 2)

    def __call__(self, img: NdarrayOrTensor, randomize: bool = True) -> torch.Tensor:
        """Change one image by new random numbers, or by the last ones if `randomize` is false."""
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
        stains, _ = profile.tensors()
        scale, shift = torch.from_numpy(self.factor), torch.from_numpy(self.shift)
        return _like(jitter_stains(rgb, stains, scale=scale, shift=shift, penalty=profile.penalty), image)


class ReinhardNormalize(Transform):
    """Match the mean and standard deviation of the CIELAB colours of an image to a target.

    Shapes: (3, H, W) -> (3, H, W), uint8 or float in [0, 1].

    Args:
        mean: means (3,) of L*, a* and b* of the target; see `lab_statistics`.
        std: standard deviations (3,) of L*, a* and b* of the target.
        on_no_tissue: treatment of an image of one colour: `identity` returns it unchanged, `raise` raises an error.
    """

    backend = [TransformBackends.NUMPY]  # noqa: RUF012 (MONAI defines the name and type)

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
    """Return the result with the meta data, type and device of the image."""
    return convert_to_dst_type(result, image)[0]
