"""What the network found in the windows of a row, kept on disk until the row is blended with the next one."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import numpy as np

from monai_seunet.errors import InputError

_HEADER = struct.Struct("<4sI")
_MAGIC = b"WIN1"
LEVELS = 65535  #: of a probability of 1, which is kept in 16 bits


class WindowRow:
    """Records of one size, one a window, in a file that survives the process that writes it.

    Law: `read` gives what was written, times `LEVELS` and rounded. A record that was not written whole is not there,
    since each carries the checksum of its content.

    Args:
        path: of the file; made with the first record.
        shape: of a record, (S, C, height, width): probabilities, and what else `WindowPredictor` gives.
    """

    def __init__(self, path: Path, shape: tuple[int, ...]) -> None:
        self.path = path
        self.shape = shape
        self._bytes = 2 * int(np.prod(shape))

    def write(self, record: int, probabilities: np.ndarray) -> None:
        """Keep the probabilities of a window, in [0, 1]."""
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
        """Probabilities (S, C, height, width) in 16 bits, `LEVELS` for 1; None where there is no whole record."""
        content = self._content(record)
        if content is None:
            return None
        return np.frombuffer(content, "<u2").reshape(self.shape)

    def holds(self, record: int) -> bool:
        """Whether the record was written, and written whole."""
        return self._content(record) is not None

    def delete(self) -> None:
        """Remove the file, where there is one."""
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
    """`os.pwrite` may write a part only; a full disk then raises on the rest."""
    view = memoryview(content)
    while view:
        written = os.pwrite(file, view, start)
        view, start = view[written:], start + written
