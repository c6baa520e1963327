"""One class for a patch."""

import pytest
import torch

from monai_seunet.transforms import PatchClass, PatchClassd
from monai_seunet.utils.errors import InputError


@pytest.mark.parametrize(("pixels", "rich"), [(0, 0), (20, 0), (21, 1), (100, 1)])
def test_a_patch_is_rich_above_its_share(pixels, rich):
    label = torch.zeros(1, 10, 10, dtype=torch.uint8)
    label.view(-1)[:pixels] = 7
    result = PatchClass(0.2)(label)
    assert result.shape == label.shape and result.dtype == label.dtype and (result == rich).all()
    assert torch.equal(PatchClassd("label", 0.2)({"label": label})["label"], result)


def test_shares_out_of_range_are_refused():
    with pytest.raises(InputError, match="share is 1"):
        PatchClass(1)
