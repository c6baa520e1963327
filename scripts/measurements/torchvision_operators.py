"""Let torchvision of PyPI be imported with a CPU build of torch, which lacks operators that it names.

The operators are only declared. Nothing here or in the tests of clients calls them.
"""

from __future__ import annotations

import torch

OPERATORS = torch.library.Library("torchvision", "FRAGMENT")  # they exist as long as this object
for name in ("nms", "qnms"):
    if not hasattr(torch.ops.torchvision, name):
        OPERATORS.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
