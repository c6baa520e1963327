"""A Dask cluster, for commands that spread their work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from monai_seunet.utils.errors import InputError

if TYPE_CHECKING:
    from distributed import Client


@contextmanager
def dask_client(scheduler: str) -> Iterator[Client]:
    """Connect to a cluster while the block runs.

    Args:
        scheduler: address, as `tcp://host:8786`.

    Raises:
        InputError: where there is no scheduler.
    """
    from distributed import Client

    try:
        client = Client(scheduler, timeout=10, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{scheduler}: no Dask scheduler answers there ({error}); give its address") from error
    with client, client.as_current():
        yield client
