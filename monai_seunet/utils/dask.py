"""Connection to a Dask cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from monai_seunet.utils.errors import InputError

if TYPE_CHECKING:
    from distributed import Client


@contextmanager
def dask_client(scheduler: str) -> Iterator[Client]:
    """Connect to the cluster of a scheduler, such as `tcp://host:8786`, while the block runs.

    Raises:
        InputError: for an address where no scheduler answers.
    """
    from distributed import Client

    try:
        client = Client(scheduler, timeout=10, set_as_default=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{scheduler}: no Dask scheduler answers there ({error}); give its address") from error
    with client, client.as_current():
        yield client
