"""Windows: what is blended, where they lie, and how far they agree with the whole image."""

from itertools import pairwise

import pytest
import torch
from monai.data import MetaTensor

from monai_seunet.inferers import ScaleSlidingWindowInferer
from monai_seunet.networks.nets import PlainUNet, SEUNet
from monai_seunet.utils.errors import InputError


@pytest.fixture
def network() -> SEUNet:
    """Two levels and two scales: reaches `RADIUS` pixels, so a window of 64 has an interior."""
    network = SEUNet(width=8, num_levels=2, scales_per_octave=2).eval()
    for parameter in network.parameters():  # confident predictions, so differences show
        parameter.data.mul_(1.5)
    return network


RADIUS = 26  # found by disturbing one pixel, see test_radius


class Recorder:
    """A network that remembers the windows it got; its logits depend on each pixel alone."""

    def __init__(self, groups: int = 3) -> None:
        self.shapes: list[tuple[int, ...]] = []
        self.corners: list[tuple[int, int]] = []
        self.groups = groups

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        self.shapes.append(tuple(x.shape))
        self.corners += [tuple(int(v) for v in window[:2, 0, 0]) for window in x]
        value = x[:, :1].unsqueeze(1)
        return torch.cat([value * k + torch.tensor([0.0, 1.0, -k])[:, None, None] for k in range(self.groups)], 1)


def coordinates(height: int, width: int) -> torch.Tensor:
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([rows, columns])[None].float()


def whole(network, image: torch.Tensor) -> torch.Tensor:
    with torch.no_grad():
        logits = network(image)
        return (logits if logits.dim() == 5 else logits.unsqueeze(1)).softmax(2)


@torch.no_grad()
def test_radius(network: SEUNet, generator: torch.Generator) -> None:
    image = torch.rand(1, 3, 128, 128, generator=generator)
    changed = image.clone()
    changed[..., 64, 64] += 100
    rows = (network(image) != network(changed)).flatten(0, 2).any(0).any(1).nonzero()
    assert 64 - RADIUS <= rows.min() < 64
    assert 64 < rows.max() <= 64 + RADIUS


@pytest.mark.parametrize("size", [(64, 64), (50, 61), (16, 200), (7, 5)])
def test_one_window_is_the_whole_image(network: SEUNet, size: tuple[int, int], generator: torch.Generator) -> None:
    image = torch.rand(2, 3, *size, generator=generator)
    result = ScaleSlidingWindowInferer(208, multiple=2)(image, network)
    assert result.shape == (2, 2, 2, *size)
    torch.testing.assert_close(result, whole(network, image))


@pytest.mark.parametrize("network_kind", ["plain", "fused", "grouped"])
def test_every_kind_of_network(network_kind: str, generator: torch.Generator) -> None:
    image = torch.rand(1, 3, 80, 70, generator=generator)
    if network_kind == "plain":
        network, groups, outputs = PlainUNet(width=4, num_levels=3), 1, "logits"
    else:
        fusion, groups = ("p_ens", 1) if network_kind == "fused" else (None, 2)
        network = SEUNet(width=4, num_levels=3, scales_per_octave=2, fusion=fusion)
        outputs = "probabilities" if fusion else "logits"
    with torch.no_grad():
        result = ScaleSlidingWindowInferer(48, outputs=outputs)(image, network.eval())
    assert result.shape == (1, groups, 2, 80, 70)
    torch.testing.assert_close(result.sum(2), torch.ones(1, groups, 80, 70))
    if network_kind == "fused":
        direct = network(image).unsqueeze(1)
        assert (result - direct).abs().mean() < 0.01


def test_probabilities_are_blended_not_logits() -> None:
    """Two windows that disagree strongly: the mean of probabilities stays near 1/2 x (p + q)."""
    logits = iter([torch.tensor([9.0, -9.0]), torch.tensor([-1.0, 1.0])])

    def network(x: torch.Tensor) -> torch.Tensor:
        return next(logits)[None, :, None, None].expand(1, 2, *x.shape[2:])

    inferer = ScaleSlidingWindowInferer((16, 32), overlap=0.5, mode="constant")
    result = inferer(torch.zeros(1, 1, 16, 48), network)[0, 0, 0, 0]
    first, second = torch.tensor([9.0, -9.0]).softmax(0)[0], torch.tensor([-1.0, 1.0]).softmax(0)[0]
    torch.testing.assert_close(result[24], (first + second) / 2)
    torch.testing.assert_close(result[0], first)


@pytest.mark.parametrize("size", [(100, 150), (64, 64), (33, 200)])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.3, 0.5, 0.9])
def test_windows_start_on_the_pooling_grid_and_leave_no_gap(size: tuple[int, int], overlap: float) -> None:
    network = Recorder()
    image = coordinates(*size)
    result = ScaleSlidingWindowInferer(64, overlap=overlap, sw_batch_size=3)(image, network)
    padding = [(-side % 16) // 2 for side in size]
    for corner in network.corners:
        for at, before in zip(corner, padding, strict=True):
            assert at == max(before - 1, 0) or (at + before) % 16 == 0, "the first window starts in what is mirrored"
    expected = Recorder()(image).softmax(2)
    torch.testing.assert_close(result, expected, rtol=1e-4, atol=1e-5)
    rows = sorted({corner[0] for corner in network.corners})
    steps = [after - before for before, after in pairwise(rows)]
    assert all(step <= max(16, 64 * (1 - overlap)) for step in steps)


def test_heads_of_octaves_that_are_too_coarse_for_an_image_are_left_out(generator: torch.Generator) -> None:
    network = SEUNet(width=6, num_levels=3, num_octaves=3, scales_per_octave=2).eval()
    image = torch.rand(1, 3, 28, 40, generator=generator)
    inferer = ScaleSlidingWindowInferer(64, multiple=network.stride)
    with torch.no_grad(), pytest.warns(UserWarning, match="28 x 40 pixels is too small for octave 2"):
        result = inferer(image, network)
    assert result.shape == (1, 4, 2, 28, 40)
    with torch.no_grad():
        assert inferer(torch.rand(1, 3, 32, 40, generator=generator), network).shape[1] == 6


def test_a_small_image_is_padded_to_the_stride_only_and_zero_takes_the_whole_axis() -> None:
    small, large = Recorder(), Recorder()
    ScaleSlidingWindowInferer(512)(coordinates(30, 49), small)
    ScaleSlidingWindowInferer((32, 0), overlap=0)(coordinates(64, 96), large)
    assert small.shapes == [(1, 2, 32, 64)] and large.shapes == [(1, 2, 32, 96)] * 2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_half_precision_logits_give_full_precision_probabilities(dtype: torch.dtype) -> None:
    def network(x: torch.Tensor) -> torch.Tensor:
        return torch.tensor([0.0, 12.0]).to(dtype)[None, :, None, None].expand(1, 2, *x.shape[2:])

    result = ScaleSlidingWindowInferer(16)(torch.zeros(1, 3, 16, 16), network)
    assert result.dtype == torch.float32
    assert result[0, 0, 0, 0, 0] == pytest.approx(6.144e-6, rel=1e-3)


def test_meta_data_go_along() -> None:
    image = MetaTensor(torch.rand(3, 20, 20), affine=torch.diag(torch.tensor([0.5, 0.5, 1, 1])), meta={"mpp": 0.5})
    result = ScaleSlidingWindowInferer(16, overlap=0.25, device="cpu")(image[None], Recorder())
    assert isinstance(result, MetaTensor)
    assert result.shape == (1, 3, 3, 20, 20)
    assert result.meta["mpp"] == 0.5


def test_every_window_agrees_where_it_sees_the_receptive_field(network: SEUNet, generator: torch.Generator) -> None:
    image = torch.rand(1, 3, 256, 256, generator=generator)
    expected = whole(network, image)
    middle = slice(128 + RADIUS, 256 - RADIUS)  # of the last window, without overlap
    differences = {}
    for multiple, window in ((2, 128), (1, 127)):
        inferer = ScaleSlidingWindowInferer(window, overlap=0, multiple=multiple)
        with torch.no_grad():
            differences[window] = (inferer(image, network) - expected)[..., middle, middle].abs().max().item()
    assert differences[128] < 1e-5
    # Negative control: windows off the pooling grid (starts 127 and 129) see other maxima.
    assert differences[127] > 1e-3


def test_larger_windows_have_smaller_seams(network: SEUNet, generator: torch.Generator) -> None:
    image = torch.rand(1, 3, 256, 256, generator=generator)
    expected = whole(network, image)
    inferers = [ScaleSlidingWindowInferer(window, overlap=0.5) for window in (32, 64, 128, 256)]
    with torch.no_grad():
        seams = [(inferer(image, network) - expected).abs().mean().item() for inferer in inferers]
    assert seams == sorted(seams, reverse=True)
    assert seams[-1] < 1e-6


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"roi_size": 100}, "100 pixels.*stride 16; give 96"),
        ({"roi_size": (64, 7)}, "7 pixels.*give 16"),
        ({"overlap": 1.0}, "overlap.*1.0.*less than 1"),
        ({"overlap": -0.1}, "overlap.*-0.1"),
        ({"outputs": "labels"}, "'labels'.*logits or probabilities"),
    ],
)
def test_wrong_arguments_are_named(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ScaleSlidingWindowInferer(**arguments)
    assert issubclass(InputError, ValueError)


def test_an_output_of_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match=r"\[1, 7\].*\(B, N, H, W\)"):
        ScaleSlidingWindowInferer(16)(torch.zeros(1, 3, 16, 16), lambda x: torch.zeros(1, 7))
