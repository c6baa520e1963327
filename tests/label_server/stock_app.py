"""Start MONAI Label as its command does.

The CPU build of torch lacks two operators that torchvision of PyPI expects; they are only named here, never called.
"""

import torch
from monailabel.main import Main

if __name__ == "__main__":
    operators = torch.library.Library("torchvision", "DEF") if not torch.cuda.is_available() else None
    for name in ("nms", "qnms"):
        if operators is not None:
            operators.define(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    Main().run()
