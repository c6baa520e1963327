"""Checkpoints are whole or absent, and go only into the network that they belong to."""

import pickle
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import nn

from monai_seunet.networks import PlainUNet, PyramidUNet, RotoScaleUNet, SEUNet
from monai_seunet.networks.checkpoints import gives_directions, load_checkpoint, load_weights, save_checkpoint
from monai_seunet.utils.errors import InputError


@pytest.fixture
def full_disk() -> Iterator[None]:
    """Let every file end at 20 kB, as a full disk would."""
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    signal.signal(signal.SIGXFSZ, handler)


def test_content_comes_back_and_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / "last.pt"
    content = {"network": {"w": torch.arange(3.0)}, "trainer": {"epoch": 2, "run_id": None}}
    save_checkpoint(content, path)
    found = load_checkpoint(path)
    assert found["trainer"] == content["trainer"] and torch.equal(found["network"]["w"], torch.arange(3.0))
    assert [file.name for file in path.parent.iterdir()] == ["last.pt"]


def test_a_full_disk_is_one_line_and_keeps_the_former_file(tmp_path: Path, full_disk: None) -> None:
    path = tmp_path / "model.pt"
    save_checkpoint({"w": torch.ones(3)}, path)
    with pytest.raises(InputError, match=r"model\.pt: the checkpoint could not be written .*MiB are free") as caught:
        save_checkpoint({"w": torch.zeros(100_000)}, path)
    assert "\n" not in str(caught.value)
    assert torch.equal(load_checkpoint(path)["w"], torch.ones(3))
    assert [file.name for file in tmp_path.iterdir()] == ["model.pt"]


@pytest.mark.parametrize("wrap", [lambda weights: weights, lambda weights: {"network": weights, "trainer": {}}])
def test_weights_load_from_both_kinds_of_file(tmp_path: Path, wrap) -> None:
    trained, fresh = SEUNet(width=5), SEUNet(width=5)
    save_checkpoint(wrap(trained.state_dict()), tmp_path / "any.pt")
    assert load_weights(fresh, tmp_path / "any.pt") is fresh
    assert all(torch.equal(value, fresh.state_dict()[key]) for key, value in trained.state_dict().items())


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (lambda: SEUNet(width=10), "in the file and .* in the network"),
        (lambda: SEUNet(width=5, num_levels=4), "entries are missing, the first is 'encoder"),
        (lambda: SEUNet(width=5, num_levels=6), "entries are unknown, the first is|in the file and"),
        (lambda: PlainUNet(width=5), "entries are missing"),
        (lambda: nn.Conv2d(1, 1, 1), "entries are missing"),
        (lambda: SEUNet(width=5, pooling="max"), "trained with pooling 'max', this network has 'average'"),
        (lambda: SEUNet(width=5, sigma_mode="free"), "trained with sigma_mode 'free'"),
    ],
)
def test_weights_of_another_network_are_refused_and_change_nothing(tmp_path: Path, other, message) -> None:
    save_checkpoint(other().state_dict(), tmp_path / "other.pt")
    net = SEUNet(width=5)
    before = {key: value.clone() for key, value in net.state_dict().items()}
    with pytest.raises(InputError, match=rf"other\.pt: checkpoint of another network than this SEUNet: .*({message})"):
        load_weights(net, tmp_path / "other.pt")
    assert all(torch.equal(value, before[key]) for key, value in net.state_dict().items())


class Dangerous:
    """Creates a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple:
        return Path.touch, (self.path,)


def test_files_that_are_no_checkpoints_are_refused_without_running_them(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("weights")
    (tmp_path / "words.pt").write_text("hello world\n")
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "code.pt").write_bytes(pickle.dumps(Dangerous(tmp_path / "ran")))
    torch.save({"w": Dangerous(tmp_path / "ran")}, tmp_path / "zip.pt")
    torch.save(torch.ones(2), tmp_path / "tensor.pt")
    for name in ("text", "words", "empty", "code", "zip", "tensor", "absent"):
        with pytest.raises(InputError, match=rf"{name}\.pt: (not a checkpoint|no such checkpoint|holds Tensor)"):
            load_checkpoint(tmp_path / f"{name}.pt")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(("network", "width"), [(SEUNet, 5), (PyramidUNet, 4), (RotoScaleUNet, 40)])
def test_weights_say_whether_they_give_directions(network: type[nn.Module], width: int, tmp_path: Path) -> None:
    for given in (True, False):
        made = network(width=width, num_levels=2, directions=given)
        save_checkpoint(made.state_dict(), tmp_path / "model.pt")
        save_checkpoint({"network": made.state_dict()}, tmp_path / "last.pt")
        assert gives_directions(tmp_path / "model.pt") is gives_directions(tmp_path / "last.pt") is given
        load_weights(network(width=width, num_levels=2, directions=given), tmp_path / "model.pt")
        with pytest.raises(InputError, match="directions"):
            load_weights(network(width=width, num_levels=2, directions=not given), tmp_path / "model.pt")


def test_weights_of_four_classes_are_not_taken_for_two_classes_and_directions(tmp_path: Path) -> None:
    four = SEUNet(width=5, num_levels=2, out_channels=4)
    save_checkpoint(four.state_dict(), tmp_path / "model.pt")
    assert not gives_directions(tmp_path / "model.pt") and not gives_directions(tmp_path / "none.pt")
    with pytest.raises(InputError, match="it was trained with directions None, this network has True"):
        load_weights(SEUNet(width=5, num_levels=2, directions=True), tmp_path / "model.pt")
