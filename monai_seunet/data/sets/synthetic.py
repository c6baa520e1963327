"""Synthetic H&E: a scene in µm that can be rendered at any magnification with its true instances."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from monai_seunet.data.options import add_destination, add_split, show, split_of
from monai_seunet.data.prepare import Facts, PrepareResult, Sample, Split, prepare_dataset
from monai_seunet.utils.errors import InputError

# Unit vectors of optical density in red, green and blue (Ruifrok & Johnston 2001).
HAEMATOXYLIN = np.array([0.650, 0.704, 0.286]) / np.linalg.norm([0.650, 0.704, 0.286])
EOSIN = np.array([0.072, 0.990, 0.105]) / np.linalg.norm([0.072, 0.990, 0.105])
NUM_WAVES = 24


@dataclass(frozen=True)
class Scene:
    """A piece of tissue in µm, independent of pixels.

    Attributes:
        size: height and width in µm.
        nuclei: ellipses (n, 6): y, x, two semi-axes in µm, angle of the first axis in radians, amount of haematoxylin.
        waves: plane waves (2, 24, 4) of the texture of haematoxylin and eosin: frequency along y and x in cycles per
            µm, phase, amplitude.
    """

    size: tuple[float, float]
    nuclei: np.ndarray
    waves: np.ndarray


def make_scene(
    seed: int,
    size: tuple[float, float] = (64.0, 64.0),
    diameter: tuple[float, float] = (6.0, 10.0),
    coverage: float = 0.2,
    gap: float = 0.5,
) -> Scene:
    """Place elliptic nuclei that do not overlap at random positions.

    Invariant: the result depends only on the arguments.

    Args:
        seed: seed of the scene.
        size: height and width in µm.
        diameter: smallest and largest length of a nucleus in µm; the width is 0.6 to 1 of the length.
        coverage: share of the area that nuclei cover; less if 30 attempts in sequence find no free position.
        gap: smallest distance in µm between the circles around two nuclei.

    Raises:
        ValueError: a size is not positive or out of order, or the coverage is outside of [0, 0.5].

    >>> make_scene(seed=0).nuclei.shape
    (19, 6)
    """
    if min(size) <= 0 or not 0 < diameter[0] <= diameter[1]:
        raise ValueError(f"size {size} and diameter {diameter} must be µm above 0, the diameters in order")
    if not 0 <= coverage <= 0.5:
        raise ValueError(f"coverage is {coverage}; ellipses at random places fill 0 to 0.5 of an area")
    random = np.random.default_rng(seed)
    nuclei: list[np.ndarray] = []
    area, tries = 0.0, 0
    while area < coverage * size[0] * size[1] and tries < 30:
        length = random.uniform(*diameter) / 2
        width = length * random.uniform(0.6, 1.0)
        y, x = random.uniform(0, size[0]), random.uniform(0, size[1])
        nucleus = np.array([y, x, length, width, random.uniform(0, np.pi), random.uniform(0.9, 1.4)])
        tries += 1
        if all(np.hypot(y - other[0], x - other[1]) > length + other[2] + gap for other in nuclei):
            nuclei.append(nucleus)
            area, tries = area + np.pi * length * width, 0
    return Scene(size, np.array(nuclei).reshape(-1, 6), _make_waves(random))


def render(scene: Scene, mpp: float, noise: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Render a scene at a magnification.

    Light is absorbed by Beer and Lambert's law: I = 255 · exp(-(amount of stain) · (stain vector)). The texture is
    averaged exactly over each pixel, and the edge of a nucleus over one pixel, as in an image of a microscope.
    Invariant: a nucleus covers the same area in µm² at every `mpp`, up to its edge pixels; instance i is nucleus i - 1.
    Limits: absorbance is averaged instead of light; optics and compression are not simulated.

    Args:
        scene: scene to render.
        mpp: µm per pixel.
        noise: standard deviation of the camera noise in grey levels.
        seed: seed of the noise.

    Returns:
        image (3, H, W) uint8 and label (1, H, W) uint16; H and W are the size in µm divided by `mpp`, rounded.

    Raises:
        ValueError: `mpp` is not positive, or leaves no pixel.

    >>> image, label = render(make_scene(seed=0, size=(16, 16)), mpp=0.5)
    >>> image.shape, label.shape
    ((3, 32, 32), (1, 32, 32))
    """
    height, width = round(scene.size[0] / mpp) if mpp > 0 else 0, round(scene.size[1] / mpp) if mpp > 0 else 0
    if height < 1 or width < 1:
        raise ValueError(f"mpp is {mpp} for a scene of {scene.size} µm; it must be above 0 and leave a pixel")
    y = (np.arange(height)[:, None] + 0.5) * mpp
    x = (np.arange(width)[None, :] + 0.5) * mpp
    label = np.zeros((height, width), dtype=np.uint16)
    covered, density = np.zeros((height, width)), np.zeros((height, width))
    for index, nucleus in enumerate(scene.nuclei):
        cover = _cover(nucleus, y, x, mpp)
        label[cover > 0.5] = index + 1
        covered += cover
        density += cover * nucleus[5]
    haematoxylin = (0.08 + density) * (1 + 0.5 * _texture(scene.waves[0], y, x, mpp))
    eosin = (0.35 - 0.2 * covered) * (1 + 0.8 * _texture(scene.waves[1], y, x, mpp))
    absorbance = HAEMATOXYLIN[:, None, None] * haematoxylin + EOSIN[:, None, None] * np.maximum(eosin, 0)
    light = 255 * np.exp(-np.maximum(absorbance, 0))
    if noise > 0:
        light = light + np.random.default_rng(seed).normal(0, noise, light.shape)
    return np.clip(np.round(light), 0, 255).astype(np.uint8), label[None]


def _make_waves(random: np.random.Generator) -> np.ndarray:
    """Return random plane waves of 1 to 30 µm; as in tissue, long waves are strong; their sum has a variance of 0.1."""
    wavelength = np.exp(random.uniform(np.log(1.0), np.log(30.0), (2, NUM_WAVES)))
    angle, phase = random.uniform(0, 2 * np.pi, (2, 2, NUM_WAVES))
    amplitude = np.sqrt(wavelength)
    amplitude *= np.sqrt(0.2 / (amplitude**2).sum(axis=1, keepdims=True))
    return np.stack([np.sin(angle) / wavelength, np.cos(angle) / wavelength, phase, amplitude], axis=-1)


def _texture(waves: np.ndarray, y: np.ndarray, x: np.ndarray, mpp: float) -> np.ndarray:
    """Return the sum (H, W) of plane waves that are averaged over each pixel."""
    result = np.zeros((y.size, x.size))
    for along_y, along_x, phase, amplitude in waves:
        damped = amplitude * np.sinc(along_y * mpp) * np.sinc(along_x * mpp)
        result += damped * np.cos(2 * np.pi * (along_y * y + along_x * x) + phase)
    return result


def _cover(nucleus: np.ndarray, y: np.ndarray, x: np.ndarray, mpp: float) -> np.ndarray:
    """Return the share (H, W) of each pixel that an ellipse covers, by a first-order distance to its edge."""
    dy, dx = y - nucleus[0], x - nucleus[1]
    cosine, sine = np.cos(nucleus[4]), np.sin(nucleus[4])
    along, across = cosine * dx + sine * dy, cosine * dy - sine * dx
    level = np.hypot(along / nucleus[2], across / nucleus[3])
    slope = np.hypot(along / nucleus[2] ** 2, across / nucleus[3] ** 2) / np.maximum(level, 1e-9)
    return np.clip(0.5 + (1 - level) / np.maximum(slope, 1e-9) / mpp, 0, 1)


def prepare_synthetic(
    destination: Path, split: Split, *, images: int = 12, pixels: int = 256, mpp: float = 0.25, overwrite: bool = False
) -> PrepareResult:
    """Prepare a data set of synthetic H&E; image i is the scene of seed i.

    Args:
        destination: folder to create.
        split: function that chooses the section of each image.
        images: number of images.
        pixels: side of the images in pixels.
        mpp: µm per pixel.
        overwrite: whether a data set that was prepared there before is replaced.
    """
    facts = Facts("synthetic", "Synthetic H&E: elliptic nuclei of 6 to 10 µm", "free of rights", mpp=mpp)
    readers = [partial(_draw, seed, pixels, mpp) for seed in range(images)]
    return prepare_dataset(facts, readers, split, destination, overwrite=overwrite)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `prepare synthetic`."""
    add_destination(parser)
    parser.add_argument("--images", type=int, default=12, help="number of images (default: %(default)s)")
    parser.add_argument("--pixels", type=int, default=256, help="side of an image in pixels (default: %(default)s)")
    parser.add_argument("--mpp", type=float, default=0.25, help="µm per pixel (default: %(default)s)")
    add_split(parser, by="image")
    parser.set_defaults(run=lambda options: show(_run(options)))


def _run(options: argparse.Namespace) -> PrepareResult:
    if options.images < 1 or options.pixels < 1 or options.mpp <= 0:
        raise InputError("--images, --pixels and --mpp must be above 0")
    sizes = {"images": options.images, "pixels": options.pixels, "mpp": options.mpp}
    return prepare_synthetic(options.destination, split_of(options, by="image"), **sizes, overwrite=options.overwrite)


def _draw(seed: int, pixels: int, mpp: float, _problems: Iterable[str]) -> Iterator[Sample]:
    image, label = render(make_scene(seed, (pixels * mpp, pixels * mpp)), mpp, noise=2.0, seed=seed)
    name = f"scene{seed:04d}"
    yield Sample(name, np.moveaxis(image, 0, -1), label[0], group=name, sources={})
