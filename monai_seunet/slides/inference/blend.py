"""Window store, and blending of two rows of windows into a strip of the result."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import torch

from monai_seunet.fusion import fuse, fuse_directions, reach, winning_scale
from monai_seunet.slides.inference.windows import Window, WindowGrid
from monai_seunet.slides.nuclei.areas import NO_GROUP, Maps
from monai_seunet.slides.nuclei.direct import ONE
from monai_seunet.utils.errors import InputError

_HEADER = struct.Struct("<4sI")
_MAGIC = b"WIN1"
LEVELS = 65535  #: stored value of the probability 1 in 16 bits


class WindowStore:
    """File of window records, which a later process can read after a crash.

    Invariant: `read` returns the written values times `LEVELS`, rounded. A checksum in each record excludes incomplete
    records.

    Args:
        path: path of the file; the first record creates it.
        shape: shape (S, C, height, width) of a record, an output of `WindowPredictor`.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self.path = path
        self.shape = shape
        self._bytes = 2 * int(np.prod(shape))

    def write(self, record: int, probabilities: np.ndarray) -> None:
        """Write the probabilities of a window, in [0, 1]."""
        if probabilities.shape != self.shape:
            raise InputError(
                f"the network gives {list(probabilities.shape)} for a window (scale groups; foreground classes, two "
                f"more with directions, one more with p_conf; pixels), and {list(self.shape)} are expected; correct "
                "num_classes, directions, scales_per_octave or class_names"
            )
        content = np.rint(probabilities * LEVELS).astype("<u2").tobytes()
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT, 0o644)
        try:
            start = record * (_HEADER.size + self._bytes)
            _write_all(file, _HEADER.pack(_MAGIC, zlib.crc32(content)) + content, start)
        finally:
            os.close(file)

    def read(self, record: int) -> np.ndarray | None:
        """Return probabilities (S, C, height, width) in 16 bits, `LEVELS` for 1; None if no complete record exists."""
        content = self._content(record)
        return None if content is None else np.frombuffer(content, "<u2").reshape(self.shape)

    def holds(self, record: int) -> bool:
        """Return whether the complete record was written."""
        return self._content(record) is not None

    def delete(self) -> None:
        """Remove the file if it exists."""
        self.path.unlink(missing_ok=True)

    def _content(self, record: int) -> bytes | None:
        start = record * (_HEADER.size + self._bytes)
        try:
            with self.path.open("rb") as file:
                file.seek(start)
                header, content = file.read(_HEADER.size), file.read(self._bytes)
        except FileNotFoundError:
            return None
        if len(header) < _HEADER.size or len(content) < self._bytes:
            return None
        magic, checksum = _HEADER.unpack(header)
        return content if magic == _MAGIC and checksum == zlib.crc32(content) else None


def _write_all(file: int, content: bytes, start: int) -> None:
    """Repeat `os.pwrite`, which may write only a part; on a full disk the next call raises."""
    view = memoryview(content)
    while view:
        written = os.pwrite(file, view, start)
        view, start = view[written:], start + written


def blend_strip(
    grid: WindowGrid,
    row: int,
    windows: Mapping[tuple[int, int], Window],
    read: Callable[[Window], np.ndarray],
    weights: np.ndarray,
    strategy: str,
    num_classes: int,
    directions: bool = False,
) -> Maps:
    """Average the windows with their weights, fuse the scale groups, and round; for one strip.

    Outside the windows, probabilities and directions are 0, and the group is `NO_GROUP`.

    Invariant: the strip depends only on the planned windows and their records.
    Memory: four windows, and the strip.

    Args:
        grid: grid of the windows.
        row: number of the strip.
        windows: planned windows by row and column.
        read: function of a window, returns its record (S, C, h, w) in 16 bits: probabilities of the foreground classes,
            two directions if the network gives them, and the weights of the groups for `p_conf`.
        weights: blending weights (h, w) of a window.
        strategy: fusion strategy.
        num_classes: number of classes with the background.
        directions: True if the network gives directions.
    """
    top, bottom = grid.strip(row)
    probability = np.zeros((num_classes - 1, bottom - top, grid.width), np.uint8)
    groups = np.full((bottom - top, grid.width), NO_GROUP, np.uint8)
    towards = np.zeros((2, *groups.shape), np.int8) if directions else None
    kept: dict[tuple[int, int], np.ndarray] = {}
    for column in range(grid.columns):
        near = [(r, c) for r in (row - 1, row) for c in (column - 1, column) if (r, c) in windows]
        if not near:
            continue
        kept = {cell: kept[cell] if cell in kept else read(windows[cell]) for cell in near}
        left, right = grid.part(column)
        total, weight = _add([(windows[cell], kept[cell]) for cell in near], weights, (top, left, bottom, right))
        seen = weight > 0
        blended = torch.from_numpy(total / np.where(seen, weight, 1))
        group_weights = blended[None, :, -1] if reach(strategy) else None
        vectors = blended[None, :, num_classes - 1 : num_classes + 1]
        blended = blended[:, : num_classes - 1]
        full = torch.cat([1 - blended.sum(1, keepdim=True), blended], 1).clamp_(0, 1).unsqueeze(0)  # (1, S, N, h, w)
        fused = fuse(full, strategy, group_weights)[0, 1:].mul(255).round_().to(torch.uint8).numpy()
        winner = winning_scale(full, strategy, group_weights)[0, 0].to(torch.uint8).numpy()
        probability[:, :, left:right] = np.where(seen, fused, 0)
        groups[:, left:right] = np.where(seen, winner, NO_GROUP)
        if towards is not None:
            vector = fuse_directions(2 * vectors - 1, full, group_weights)[0]
            towards[:, :, left:right] = np.where(seen, vector.clamp(-1, 1).mul(ONE).round_().to(torch.int8).numpy(), 0)
    return Maps(probability, groups, towards)


def _add(
    pieces: list[tuple[Window, np.ndarray]], weights: np.ndarray, box: tuple[int, int, int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return the weighted sum (S, C, h, w) of windows in a box, and the sum (h, w) of the weights."""
    top, left, bottom, right = box
    shape = pieces[0][1].shape
    total = np.zeros((*shape[:2], bottom - top, right - left), np.float32)
    weight = np.zeros(total.shape[2:], np.float32)
    for window, values in pieces:
        y0, y1 = max(top, window.y), min(bottom, window.y + shape[2])
        x0, x1 = max(left, window.x), min(right, window.x + shape[3])
        if y0 >= y1 or x0 >= x1:
            continue
        there = np.s_[y0 - top : y1 - top, x0 - left : x1 - left]
        here = np.s_[y0 - window.y : y1 - window.y, x0 - window.x : x1 - window.x]
        weighted = values[:, :, *here].astype(np.float32)
        weighted *= weights[here] / LEVELS
        total[:, :, *there] += weighted
        weight[there] += weights[here]
    return total, weight
