"""A user's mistake ends in one line."""

import subprocess
import sys

import pytest
from torch.utils.data import DataLoader, Dataset

from monai_seunet.utils.errors import InputError, find_input_error

SCRIPT = """
from monai_seunet.utils.errors import InputError, show_input_errors_in_one_line
show_input_errors_in_one_line()
try:
    raise {kind}("labels/a.png has 3 channels; give one")
except Exception as error:
    raise RuntimeError("applying transform") from error
"""


@pytest.mark.parametrize("kind", ["InputError", "KeyError"])
def test_only_input_errors_lose_their_trace(kind):
    done = subprocess.run([sys.executable, "-c", SCRIPT.format(kind=kind)], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    if kind == "InputError":
        assert done.stderr.strip() == "error: labels/a.png has 3 channels; give one"
    else:
        assert "Traceback" in done.stderr


def test_threads_that_still_work_do_not_hold_the_end():
    script = "import threading, time\nthreading.Thread(target=time.sleep, args=(300,)).start()\n"
    command = [sys.executable, "-c", script + SCRIPT.format(kind="InputError")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1 and done.stderr.strip() == "error: labels/a.png has 3 channels; give one"


def test_the_cause_is_found_through_wrappers():
    try:
        try:
            raise InputError("here")
        except InputError as error:
            raise RuntimeError("wrapped") from error
    except RuntimeError as wrapped:
        assert str(find_input_error(wrapped)) == "here"
    assert find_input_error(ValueError("other")) is None


class Spoilt(Dataset):
    """Refuses its only item."""

    def __len__(self):
        return 1

    def __getitem__(self, index):
        try:
            raise InputError("images/b.png: not an image; remove it")
        except InputError as error:
            raise RuntimeError("applying transform LoadImaged") from error


def test_the_cause_is_found_through_a_worker_process():
    with pytest.raises(RuntimeError) as caught:
        list(DataLoader(Spoilt(), num_workers=1))
    assert str(find_input_error(caught.value)) == "images/b.png: not an image; remove it"
