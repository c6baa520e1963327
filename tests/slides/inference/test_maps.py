"""Maps of slides: equal to blending all windows at once, and blind to interruptions and tissue that is left out."""

import numpy as np
import pytest
import torch
from dark_slides import Killed

from monai_seunet.fusion import confidence_weights, fuse
from monai_seunet.networks.unet.base import Network
from monai_seunet.slides.inference.blend import LEVELS, blend_strip
from monai_seunet.slides.inference.maps import MapMaker
from monai_seunet.slides.inference.window_predictor import WindowPredictor
from monai_seunet.slides.inference.windows import WindowGrid, blend_weights, plan_windows
from monai_seunet.slides.nuclei.areas import NO_GROUP
from monai_seunet.slides.work_folder import WorkFolder
from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import locked

IMAGE = torch.rand(3, 100, 150, generator=torch.Generator().manual_seed(0))


class Net(Network):
    """Three scale groups that look at their neighbourhood."""

    def __init__(self, groups=3, classes=2):
        super().__init__(in_channels=3, out_channels=classes, stride=16)
        torch.manual_seed(1)
        self.conv = torch.nn.Conv2d(3, groups * classes, 5, padding=2)
        self.groups, self.calls = groups, 0

    def forward(self, x):
        self.calls += len(x)
        return self.conv(x).unflatten(1, (self.groups, -1))


def make(
    folder, wanted=lambda *box: True, net=None, stop=None, reader=None, classes=2, window=48, overlap=16, context=16
):
    grid = WindowGrid.fit(100, 150, window, overlap, context, 16)
    windows = plan_windows(grid, wanted)
    probability, scale = np.zeros((classes - 1, 100, 150), np.uint8), np.full((100, 150), NO_GROUP, np.uint8)
    if (folder / "maps.npz").exists():
        kept = np.load(folder / "maps.npz")
        probability, scale = kept["probability"], kept["scale"]
    work = WorkFolder(folder, {"seed": 0})
    work.open()

    def read(window):
        y, x = grid.place(window)
        piece = IMAGE[:, y : y + grid.seen[0], x : x + grid.seen[1]]
        missing = (0, grid.seen[1] - piece.shape[2], 0, grid.seen[0] - piece.shape[1])
        return torch.nn.functional.pad(piece[None], missing, mode="replicate")[0]

    def write(row, strip):
        top, bottom = grid.strip(row)
        probability[:, top:bottom], scale[top:bottom] = strip.probability, strip.groups
        np.savez(folder / "maps.npz", probability=probability, scale=scale)

    net = net or Net(classes=classes)
    predict, calls = WindowPredictor(net, grid, context), 0

    def counted(pixels, windows):
        nonlocal calls
        calls += 1
        if stop is not None and calls > stop:
            raise Killed
        return predict(pixels, windows)

    maker = MapMaker(grid, windows, reader or read, counted, write, work, "p_max", classes, 3, batch=3, threads=2)
    lines = list(maker.run())
    assert lines == sorted(lines) and lines[-1] == 100
    return grid, windows, probability, scale


def expected(grid, windows, net, classes=2):
    """All windows at once, in the whole image."""
    shared = [side - step for side, step in zip(grid.window, grid.step, strict=True)]
    weights = torch.from_numpy(blend_weights(grid.window, shared)).double()
    tall, wide = grid.rows * grid.step[0] + 48, grid.columns * grid.step[1] + 48
    total, weight = torch.zeros(3, classes - 1, tall, wide).double(), torch.zeros(tall, wide).double()
    full = torch.nn.functional.pad(IMAGE[None], (0, wide - 150, 0, tall - 100), mode="replicate")[0]
    for window in windows:
        box = np.s_[window.y : window.y + grid.window[0], window.x : window.x + grid.window[1]]
        y, x = grid.place(window)
        with torch.no_grad():
            seen = net(full[None, :, y : y + grid.seen[0], x : x + grid.seen[1]])[0].softmax(1)[:, 1:].double()
        values = torch.from_numpy(grid.cut(window, seen.numpy()))
        total[:, :, *box] += weights * values
        weight[box] += weights
    blended = (total / weight.clamp_min(1e-9))[:, :, :100, :150]
    probabilities = torch.cat([1 - blended.sum(1, keepdim=True), blended], 1)[None]
    return fuse(probabilities, "p_max")[0, 1:], weight[:100, :150] > 0


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize(("window", "overlap", "context"), [(48, 16, 0), (32, 16, 16), (48, 0, 16), (160, 32, 0)])
def test_strips_are_the_blend_of_all_windows(tmp_path, classes, window, overlap, context):
    made = make(tmp_path, classes=classes, window=window, overlap=overlap, context=context)
    grid, windows, probability, scale = made
    truth, _ = expected(grid, windows, Net(classes=classes), classes)
    assert np.abs(truth.numpy() * 255 - probability).max() < 0.51  # rounded, and kept in 16 bits in between
    assert scale.max() < 3
    assert not list((tmp_path / ".work" / "rows").iterdir())[1:]  # the last row alone


def test_windows_without_tissue_are_not_computed(tmp_path):
    net = Net()
    grid, windows, probability, scale = make(tmp_path, lambda y0, x0, y1, x1: y1 > 70 and x0 < 40, net)
    assert net.calls == len(windows) < len(plan_windows(grid, lambda *box: True))
    truth, seen = expected(grid, windows, Net())
    assert ((scale != NO_GROUP) == seen.numpy()).all() and not probability[0][scale == NO_GROUP].any()
    assert np.abs(truth.numpy()[0] * 255 - probability[0])[seen].max() < 0.51
    assert make(tmp_path / "none", lambda *box: False)[3].min() == NO_GROUP


@pytest.mark.parametrize("stops", [[0], [1], [2, 1, 1], [3, 0, 1], [4, 0]])
def test_a_killed_run_goes_on_where_it_stopped(tmp_path, stops):
    whole = make(tmp_path / "whole")[2:]
    net = Net()
    for stop in stops:
        with pytest.raises(Killed):
            make(tmp_path / "cut", net=net, stop=stop)
    resumed = make(tmp_path / "cut", net=net)[2:]
    assert all(np.array_equal(a, b) for a, b in zip(whole, resumed, strict=True))
    windows = len(plan_windows(WindowGrid.fit(100, 150, 48, 16, 16, 16), lambda *box: True))
    assert net.calls < windows + 3 * len(stops)  # not more than a batch is computed again


def test_a_damaged_record_is_computed_again(tmp_path):
    whole = make(tmp_path / "whole")[2:]
    with pytest.raises(Killed):
        make(tmp_path / "cut", stop=1)
    (row,) = (tmp_path / "cut" / ".work" / "rows").iterdir()
    content = bytearray(row.read_bytes())
    content[100] ^= 1
    row.write_bytes(content)
    assert all(np.array_equal(a, b) for a, b in zip(whole, make(tmp_path / "cut")[2:], strict=True))


def test_an_error_of_a_reader_arrives(tmp_path):
    def read(window):
        raise InputError("the slide cannot be read")

    with pytest.raises(InputError, match="cannot be read"):
        make(tmp_path, reader=read)


@pytest.mark.parametrize("side", [16, 32, 48, 64])
def test_with_enough_context_windows_change_nothing(tmp_path, side):
    """The network sees two pixels around each, so any context is enough for windows to be as one."""
    whole = make(tmp_path / "whole", window=160, context=0)[2:]
    parts = make(tmp_path / "parts", window=side, overlap=0, context=16)[2:]
    cut = make(tmp_path / "cut", window=side, overlap=0, context=0)[2:]
    assert np.abs(whole[0].astype(int) - parts[0]).max() <= 1  # rounded in between
    assert np.abs(whole[0].astype(int) - cut[0]).max() > 5


def test_grids_cover_the_image_on_the_pooling_grid():
    sizes = np.random.default_rng(0).integers((1, 1, 1, 0, 0), (700, 700, 9, 65, 99), (300, 5)).tolist()
    for height, width, window, overlap, context in sizes:
        side = 16 * window
        if overlap > side // 2:
            with pytest.raises(InputError, match="overlap"):
                WindowGrid.fit(height, width, side, overlap, context, 16)
            continue
        grid = WindowGrid.fit(height, width, side, overlap, context, 16)
        covered = np.zeros((height, width), int)
        for own, step, count in zip(grid.window, grid.step, (grid.rows, grid.columns), strict=True):
            assert count == 1 or own - step >= min(overlap, step, side // 32 * 16)
        assert max(grid.window) <= max(side, *(end for end in grid.end if end <= side + 2 * (context + 15)), 0)
        for w in plan_windows(grid, lambda *box: True):
            assert w.y % 16 == w.x % 16 == 0 and w.y < height and w.x < width
            covered[w.y : w.y + grid.window[0], w.x : w.x + grid.window[1]] += 1
            axes = zip((w.y, w.x), grid.place(w), grid.seen, grid.end, grid.window, strict=True)
            for first, at, seen, end, own in axes:
                assert at % 16 == 0 and 0 <= at and at + seen <= end
                assert first - at >= min(context, first)
                assert at + seen == end or at + seen >= first + own + context
        assert covered.min() >= 1 and covered.max() <= 4
        assert [grid.strip(row)[0] for row in range(1, grid.rows)] == [grid.strip(r)[1] for r in range(grid.rows - 1)]
        assert grid.strip(0)[0] == 0 and grid.strip(grid.rows - 1)[1] == height
    for window, overlap, context, words in ((50, 0, 0, "take 48"), (48, 0, -1, "context is -1")):
        with pytest.raises(InputError, match=words):
            WindowGrid.fit(100, 100, window, overlap, context, 16)


def test_work_of_another_plan_is_refused(tmp_path):
    WorkFolder(tmp_path, {"window": 512}).open()
    with pytest.raises(InputError, match="made with window 512, now it is 256"):
        WorkFolder(tmp_path, {"window": 256}).open()
    WorkFolder(tmp_path, {"window": 256}).clear()
    WorkFolder(tmp_path, {"window": 256}).open()


def test_two_processes_cannot_work_in_one_folder(tmp_path):
    with locked(tmp_path / "out"), pytest.raises(InputError, match="works in it"), locked(tmp_path / "out"):
        pass
    with locked(tmp_path / "out"):
        pass
    assert not (tmp_path / "out").exists(), "nothing was written"


def test_a_strip_is_fused_by_the_weights_that_its_windows_carry():
    grid = WindowGrid.fit(64, 64, 64, 0, 0, 8)
    (window,) = plan_windows(grid, lambda *box: True)
    of_pixels = blend_weights(grid.window, (0, 0))
    found, sure = torch.rand(2, 3, 1, *grid.window)
    of_groups = confidence_weights(sure[None] / 10)[0]

    def blended(weights):
        values = torch.cat([found, weights], 1).mul(LEVELS).round().numpy().astype(np.uint16)
        strip = blend_strip(grid, 0, {(window.row, window.column): window}, lambda _: values, of_pixels, "p_conf", 2)
        return strip.probability[0]

    groups = torch.cat([1 - found, found], 1)[None]
    expected = fuse(groups, "p_conf", of_groups[None, :, 0])[0, 1, :64, :64].mul(255).round()
    assert np.abs(blended(of_groups) - expected.numpy()).max() <= 1
    assert np.abs(blended(of_groups).astype(int) - blended(of_groups.flip(0)).astype(int)).max() > 50, "the control"
