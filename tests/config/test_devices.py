"""The device that a user names."""

import pytest
import torch

from monai_seunet.config.devices import find_device
from monai_seunet.utils.errors import InputError


@pytest.mark.parametrize("name", ["cpu", "cpu:0", torch.device("cpu")])
def test_the_processor_is_always_there(name):
    assert find_device(name).type == "cpu"


def test_without_a_name_a_gpu_is_taken_where_there_is_one():
    assert find_device() == torch.device("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["gpu", "tpu", "CPU", "", "cuda:x", "meta", 0, True])
def test_a_name_that_means_nothing_is_refused(name):
    with pytest.raises(InputError, match=f"device is '{name}', which PyTorch does not know; give cpu, cuda or cuda:N"):
        find_device(name)


@pytest.mark.parametrize("name", ["xla", "hpu", *([] if torch.backends.mps.is_available() else ["mps"])])
def test_another_kind_that_this_pytorch_lacks_is_refused(name):
    with pytest.raises(InputError, match=f"device is '{name}', but this PyTorch has no such device"):
        find_device(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.parametrize("name", ["cuda", "cuda:0", "cuda:7", torch.device("cuda")])
def test_a_gpu_that_is_not_there_is_refused(name):
    with pytest.raises(InputError, match=f"device is '{name}', but this PyTorch sees no CUDA device; give cpu"):
        find_device(name)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_is_found_by_its_number():
    assert find_device("cuda:0") == torch.device("cuda:0") and find_device("cuda") == torch.device("cuda")
    with pytest.raises(InputError, match="device is 'cuda:99', but this PyTorch sees cuda:0"):
        find_device("cuda:99")
