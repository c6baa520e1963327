"""Synthetic H&E: a scene in µm that can be photographed at any magnification, with its true instances."""

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

# Optical density of red, green and blue per unit of stain (Ruifrok & Johnston 2001), of unit length.
HAEMATOXYLIN = np.array([0.650, 0.704, 0.286]) / np.linalg.norm([0.650, 0.704, 0.286])
EOSIN = np.array([0.072, 0.990, 0.105]) / np.linalg.norm([0.072, 0.990, 0.105])
NUM_WAVES = 24


@dataclass(frozen=True)
class Scene:
    """A piece of tissue in µm, without pixels.

    Attributes:
        size: height and width in µm.
        nuclei: (n, 6): y, x, two semi-axes, angle of the first one in radians, amount of haematoxylin.
        waves: (2, 24, 4): for haematoxylin and eosin, plane waves of texture: frequency along y and x in cycles per µm,
            phase, amplitude.
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
    """Scatter elliptic nuclei that do not overlap.

    Invariant: the same seed and arguments give the same scene, on every machine.

    Args:
        seed: chooses the scene.
        size: height and width in µm.
        diameter: smallest and largest length of a nucleus in µm; its width is 0.6 to 1 of it.
        coverage: share of the area to fill; a place that is not found after 30 tries is given up.
        gap: least distance in µm between the circles around two nuclei.

    Raises:
        ValueError: for sizes that are not positive or out of order, or a coverage out of 0 ... 0.5.
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
    """Photograph a scene at a magnification.

    Light is absorbed by Beer and Lambert's law: I = 255 · exp(-(amount of stain) · (stain vector)). Texture is averaged
    over each pixel exactly, edges of nuclei over one pixel, so that a coarser image is what a microscope would see.
    Invariant: a nucleus covers the same area in µm² at every `mpp`, up to its edge pixels; instance i is nucleus i - 1.
    Limits: the average is one of absorbance, not of light; no optics, no compression.

    Args:
        scene: what is seen.
        mpp: µm per pixel.
        noise: standard deviation of the camera's noise, in grey levels.
        seed: chooses the noise.

    Returns:
        image (3, H, W) as uint8, label (1, H, W) as uint16; H and W are the size in µm over `mpp`, rounded.

    Raises:
        ValueError: for an `mpp` that leaves no pixel.
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
    """Plane waves of 1 to 30 µm; long ones are strong, as in tissue; the variance of their sum is about 0.1."""
    wavelength = np.exp(random.uniform(np.log(1.0), np.log(30.0), (2, NUM_WAVES)))
    angle, phase = random.uniform(0, 2 * np.pi, (2, 2, NUM_WAVES))
    amplitude = np.sqrt(wavelength)
    amplitude *= np.sqrt(0.2 / (amplitude**2).sum(axis=1, keepdims=True))
    return np.stack([np.sin(angle) / wavelength, np.cos(angle) / wavelength, phase, amplitude], axis=-1)


def _texture(waves: np.ndarray, y: np.ndarray, x: np.ndarray, mpp: float) -> np.ndarray:
    """Sum of plane waves, each averaged over the square of a pixel, (H, W)."""
    result = np.zeros((y.size, x.size))
    for along_y, along_x, phase, amplitude in waves:
        damped = amplitude * np.sinc(along_y * mpp) * np.sinc(along_x * mpp)
        result += damped * np.cos(2 * np.pi * (along_y * y + along_x * x) + phase)
    return result


def _cover(nucleus: np.ndarray, y: np.ndarray, x: np.ndarray, mpp: float) -> np.ndarray:
    """Share of each pixel that an ellipse covers, (H, W), from the distance to its edge to first order."""
    dy, dx = y - nucleus[0], x - nucleus[1]
    cosine, sine = np.cos(nucleus[4]), np.sin(nucleus[4])
    along, across = cosine * dx + sine * dy, cosine * dy - sine * dx
    level = np.hypot(along / nucleus[2], across / nucleus[3])
    slope = np.hypot(along / nucleus[2] ** 2, across / nucleus[3] ** 2) / np.maximum(level, 1e-9)
    return np.clip(0.5 + (1 - level) / np.maximum(slope, 1e-9) / mpp, 0, 1)


def prepare_synthetic(
    destination: Path, split: Split, *, images: int = 12, pixels: int = 256, mpp: float = 0.25, overwrite: bool = False
) -> PrepareResult:
    """Make a data set of synthetic H&E; image i is the scene of seed i.

    Args:
        destination: folder to make.
        split: chooses the section of each image.
        images: how many.
        pixels: their side.
        mpp: µm per pixel.
        overwrite: whether a data set prepared there before may be replaced.

    Raises:
        InputError: as `prepare_dataset`.
    """
    facts = Facts("synthetic", "Synthetic H&E: elliptic nuclei of 6 to 10 µm", "free of rights", mpp=mpp)
    readers = [partial(_draw, seed, pixels, mpp) for seed in range(images)]
    return prepare_dataset(facts, readers, split, destination, overwrite=overwrite)


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of `prepare synthetic`."""
    add_destination(parser)
    parser.add_argument("--images", type=int, default=12, help="how many (default: %(default)s)")
    parser.add_argument("--pixels", type=int, default=256, help="their side (default: %(default)s)")
    parser.add_argument("--mpp", type=float, default=0.25, help="µm per pixel (default: %(default)s)")
    add_split(parser, by="image")
    parser.set_defaults(run=lambda options: show(_run(options)))


def _run(options: argparse.Namespace) -> PrepareResult:
    if options.images < 1 or options.pixels < 1 or options.mpp <= 0:
        raise InputError("--images, --pixels and --mpp must be above 0")
    return prepare_synthetic(
        options.destination,
        split_of(options, by="image"),
        images=options.images,
        pixels=options.pixels,
        mpp=options.mpp,
        overwrite=options.overwrite,
    )


def _draw(seed: int, pixels: int, mpp: float, _problems: Iterable[str]) -> Iterator[Sample]:
    image, label = render(make_scene(seed, (pixels * mpp, pixels * mpp)), mpp, noise=2.0, seed=seed)
    name = f"scene{seed:04d}"
    yield Sample(name, np.moveaxis(image, 0, -1), label[0], group=name, sources={})
