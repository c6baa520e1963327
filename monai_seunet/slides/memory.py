"""Memory that was freed, given back to the system."""

from __future__ import annotations

import ctypes
import sys


def return_freed_memory() -> None:
    """Give back what the C library keeps for later; does nothing where it is not glibc.

    Arrays of some megabytes that several threads make and free leave holes, which add up to a gigabyte over a slide.
    Costs milliseconds; a lower threshold for memory of its own (MALLOC_MMAP_THRESHOLD_) nearly doubles the time of the
    network.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim is not None:
        trim(0)
