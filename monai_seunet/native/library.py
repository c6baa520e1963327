"""C interface of the native library, and the choice of its variant for this processor.

A variant is a file in `lib/`, which `build.py` builds from the C++ sources in `src/`. Without a variant, torch runs
everything.
"""

from __future__ import annotations

import ctypes
import logging
import os
import platform
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

import torch

from monai_seunet.utils.errors import InputError

logger = logging.getLogger(__name__)

HERE = Path(__file__).parent
SETTING = "MONAI_SEUNET_NATIVE"
VARIANTS = ("v4", "v3", "portable")  # from the fastest variant to the variant for every processor
_CAPABILITIES = {"AVX512": "v4", "AVX2": "v3"}  # torch's names of processor capabilities


_ADDRESS, _INT, _LONG, _FLOAT = ctypes.c_void_p, ctypes.c_int32, ctypes.c_int64, ctypes.c_float


def _each(kind: Any, *names: str) -> list[tuple[str, Any]]:
    """Return neighbouring fields of one type."""
    return [(name, kind) for name in names]


class Weights(ctypes.Structure):
    """Weights of one layer for one scale group, as addresses of float32 arrays."""

    _fields_ = (*_each(_ADDRESS, "weight", "bias", "even", "odd"), ("radius", _INT))


class Buffer(ctypes.Structure):
    """Feature map that a step reads or writes."""

    _fields_ = _each(_INT, "channels", "level")


class Step(ctypes.Structure):
    """One layer: its kind, the numbers of its buffers (-1 for none) and its weights for every group."""

    _fields_ = (
        *_each(_INT, "kind", "source", "coarse", "target", "pooled", "orientations"),
        ("weights", ctypes.POINTER(Weights)),
    )


class Network(ctypes.Structure):
    """All layers in order."""

    _fields_ = (
        *_each(_INT, "groups", "classes", "levels", "buffers", "steps", "octaves"),
        ("octave", ctypes.POINTER(_INT)),
        ("buffer", ctypes.POINTER(Buffer)),
        ("step", ctypes.POINTER(Step)),
    )


class Image(ctypes.Structure):
    """Batch of images with any strides, in floats."""

    _fields_ = (
        ("data", _ADDRESS),
        *_each(_LONG, "batch_stride", "channel_stride", "row_stride", "column_stride"),
        *_each(_INT, "batch", "channels", "height", "width"),
    )


class Result(ctypes.Structure):
    """Destination of the results for a part of the images: `foreground` probabilities, or logits if it is 0."""

    _fields_ = (("data", _ADDRESS), *_each(_INT, "top", "left", "height", "width", "foreground"))


class TrainingLayer(ctypes.Structure):
    """One layer in training with its parameters and results; see `SeunetLayer` in `src/interface.h`."""

    _fields_ = (
        *_each(_INT, "kind", "source", "coarse", "target", "reading", "source_gradient"),
        *_each(_INT, "source_adds", "coarse_gradient", "target_gradient"),
        *_each(_ADDRESS, "weight", "bias", "kernels", "radius"),
        *_each(_INT, "taps", "slots"),
        ("eps", _FLOAT),
        *_each(_ADDRESS, "gamma", "beta", "mean", "variance"),
        *_each(_ADDRESS, "d_weight", "d_bias", "d_sigma", "d_gamma", "d_beta"),
    )


class TrainingStruct(ctypes.Structure):
    """All layers in order, with a batch of images at every octave."""

    _fields_ = (
        *_each(_INT, "groups", "classes", "levels", "norms", "buffers", "gradients", "layers", "octaves"),
        *_each(ctypes.POINTER(Buffer), "buffer", "gradient"),
        ("layer", ctypes.POINTER(TrainingLayer)),
        ("image", ctypes.POINTER(Image)),
    )


class Pixels(ctypes.Structure):
    """Image of three 8-bit values per pixel, with strides in bytes."""

    _fields_ = (("data", _ADDRESS), *_each(_LONG, "channel_stride", "pixel_stride", "pixels"))


class Stains(ctypes.Structure):
    """Constants for separating and combining stains; see `SeunetStains` in `src/interface.h`."""

    _fields_ = (
        ("density", _FLOAT * 256),
        ("matrix", _FLOAT * 6),
        ("free", _FLOAT * 4),
        ("norm", _FLOAT * 2),
        ("mixing", _FLOAT * 6),
        *_each(_FLOAT, "overlap", "penalty"),
    )


SCALE_CONV, POINTWISE, HEAD = range(3)  # kinds of steps
_MEMORY = (_ADDRESS, _LONG, _INT)  # workspace and its size; threads
_INFERENCE = (ctypes.POINTER(Network), ctypes.POINTER(Image), ctypes.POINTER(Result))
#: All structures, in the order in which `seunet_structure_bytes` numbers them.
STRUCTURES = (Weights, Buffer, Step, Network, Image, Result, TrainingLayer, TrainingStruct, Pixels, Stains)
_FUNCTIONS = {  # name: (result, arguments)
    "seunet_digest": (ctypes.c_char_p, ()),
    "seunet_structure_bytes": (_LONG, (_INT,)),
    "seunet_checksum": (ctypes.c_uint64, (_ADDRESS, _ADDRESS, _INT)),
    "seunet_pack_mix": (None, (_ADDRESS, _INT, _INT, _ADDRESS)),
    "seunet_pack_pointwise": (None, (_ADDRESS, _INT, _INT, _ADDRESS)),
    "seunet_workspace": (_LONG, (*_INFERENCE, _INT)),
    "seunet_infer": (_INT, (*_INFERENCE, *_MEMORY)),
    "seunet_confidence": (None, (_ADDRESS, *[_INT] * 4, *[ctypes.c_double] * 2, _ADDRESS, _ADDRESS, _INT)),
    "seunet_fuse": (None, (_ADDRESS, _ADDRESS, *[_INT] * 3, _LONG, _INT, _ADDRESS, _ADDRESS, _INT)),
    "seunet_transfer_stains": (None, (ctypes.POINTER(Stains), ctypes.POINTER(Pixels), _ADDRESS, _INT)),
    "seunet_training_workspace": (_LONG, (ctypes.POINTER(TrainingStruct), _INT)),
    "seunet_train_forward": (_INT, (ctypes.POINTER(TrainingStruct), _ADDRESS, *_MEMORY)),
    "seunet_train_backward": (_INT, (ctypes.POINTER(TrainingStruct), _ADDRESS, *_MEMORY)),
}


def library_path(variant: str) -> Path:
    """Return the file of a variant for this type of processor."""
    return HERE / "lib" / f"seunet-{platform.machine().lower()}-{variant}.so"


_selected: ContextVar[str] = ContextVar("selected", default="")


@contextmanager
def variant(name: str) -> Iterator[None]:
    """Run the networks of this thread with one variant, or in torch for `off`, within this context."""
    token = _selected.set(name)
    try:
        yield
    finally:
        _selected.reset(token)


def torch_form() -> AbstractContextManager[None]:
    """Run the networks of this thread in torch within this context."""
    return variant("off")


def library() -> ctypes.CDLL | None:
    """Return the fastest available variant for this processor, or None if torch runs everything.

    The environment variable MONAI_SEUNET_NATIVE selects a variant or `off`.

    Raises:
        InputError: for an unknown variant, or a selected variant that cannot be used.
    """
    selected = _selected.get()
    return None if selected == "off" else _load_variant(selected or os.environ.get(SETTING, ""))


def runnable() -> tuple[str, ...]:
    """Return the variants for this processor, fastest first, whether they are built or not."""
    return VARIANTS[VARIANTS.index(_CAPABILITIES.get(torch.backends.cpu.get_cpu_capability(), "portable")) :]


@cache
def _load_variant(selected: str) -> ctypes.CDLL | None:
    if selected == "off":
        logger.info("native kernels are switched off by %s; networks run in torch", SETTING)
        return None
    if selected and selected not in VARIANTS:
        raise InputError(f"{SETTING} is '{selected}'; choose one of {', '.join(VARIANTS)} or off")
    if selected and selected not in runnable():
        choices = ", ".join((*runnable(), "off"))
        raise InputError(f"{SETTING} is '{selected}', which this processor does not run; choose one of {choices}")
    for name in (selected,) if selected else runnable():
        path = library_path(name)
        loaded = _load(path) if path.is_file() else None
        if loaded is not None:
            logger.info("networks run by the native kernels of %s", path.name)
            return loaded
    if selected:
        raise InputError(f"{library_path(selected)} is missing or cannot be used; build it, or set {SETTING} to off")
    logger.info("no native kernels for this machine in %s; networks run in torch", HERE / "lib")
    return None


def _load(path: Path) -> ctypes.CDLL | None:
    """Load a variant, or warn and return None if the file is damaged or was built from other sources."""
    from monai_seunet.native.build import source_digest  # imported here because `python -m` runs that module

    try:
        loaded = ctypes.CDLL(str(path))
        for name, (result, arguments) in _FUNCTIONS.items():
            function = getattr(loaded, name)
            function.restype, function.argtypes = result, arguments
        digest = loaded.seunet_digest().decode()
    except (OSError, AttributeError, UnicodeDecodeError) as error:
        warnings.warn(f"{path}: not a library of native kernels ({error}); networks run in torch", stacklevel=3)
        return None
    if digest != source_digest(HERE / "src"):
        warnings.warn(
            f"{path}: built from other sources than those beside it; networks run in torch. Build it again: "
            "python -m monai_seunet.native.build",
            stacklevel=3,
        )
        return None
    return loaded
