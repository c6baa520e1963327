"""A process that ends with its parent process."""

from __future__ import annotations

import os
import threading
import time

SECONDS = 1.0


def end_with_parent() -> None:
    """End this process soon after its parent has ended or was killed."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
