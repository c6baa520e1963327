"""Octaves in windows: each sees its own context, and what it gives is what it gives for the whole image there."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from monai_seunet import PyramidUNet, RotoScaleUNet, SEUNet
from monai_seunet.fusion import fuse, group_weights, winning_scale
from monai_seunet.slides.inference.maps import MapMaker
from monai_seunet.slides.inference.window_predictor import WindowPredictor
from monai_seunet.slides.inference.windows import WindowGrid, plan_windows
from monai_seunet.slides.work_folder import WorkFolder

SIDE = 384
NETWORKS = [
    (SEUNet, {"width": 24, "num_octaves": 3, "scales_per_octave": 2, "num_levels": 2}),
    (SEUNet, {"width": 16, "num_octaves": 2, "scales_per_octave": 2, "num_levels": 2, "finest_octave": -1}),
    (RotoScaleUNet, {"width": 32, "group": "p4", "num_octaves": 2, "scales_per_octave": 2, "num_levels": 2}),
    (PyramidUNet, {"width": 4, "num_octaves": 3, "num_levels": 2}),
]


def picture(height=SIDE, width=SIDE):
    """Detail of every size, so no octave sees grey alone."""
    sides = (1, 4, 16)
    layers = [torch.rand(1, 3, -(-height // side), -(-width // side)) for side in sides]
    larger = [F.interpolate(x, scale_factor=side) for x, side in zip(layers, sides, strict=True)]
    return torch.stack([x[..., :height, :width] for x in larger]).sum(0)


def made(kind, options):
    """A network with the statistics of the pictures."""
    torch.manual_seed(0)
    network = kind(**options).train()
    with torch.no_grad():
        for _ in range(3):
            network(picture(128, 128))
    return network.eval()


@pytest.mark.parametrize(("kind", "options"), NETWORKS)
def test_octaves_in_windows_give_what_they_give_for_the_whole_image(kind, options):
    network = made(kind, options)
    image = picture()[0]
    with torch.no_grad():
        whole = network.heads(image[None])[0].softmax(1)[:, 1:].numpy()

    def largest_difference(context):
        grid = WindowGrid.fit(SIDE, SIDE, 64, 0, context, network.stride)
        predict = WindowPredictor(network, grid, context)
        worst = np.zeros(network.num_scales)
        windows = plan_windows(grid, lambda *box: True)
        for window in (windows[0], windows[14], windows[-1]):  # corners, and the middle
            y, x = predict.grid.place(window)
            height, width = predict.grid.seen
            (values,) = predict(image[None, :, y : y + height, x : x + width], [window])
            truth = whole[:, :, window.y : window.y + grid.window[0], window.x : window.x + grid.window[1]]
            worst = np.maximum(worst, np.abs(values - truth).max((1, 2, 3)))
        return worst

    enough, little = largest_difference(64), largest_difference(0)
    assert enough.max() < 1e-5
    assert little.min() > 1e-3, "the control: every octave depends on its context"


def test_further_octaves_see_more_and_the_first_pays_for_its_own_context_alone(monkeypatch):
    network = SEUNet(width=6, num_octaves=3, scales_per_octave=2, num_levels=2).eval()
    grid = WindowGrid.fit(2000, 2000, 256, 32, 64, network.stride)
    predict, seen = WindowPredictor(network, grid, 64), []
    found = SEUNet.foreground
    monkeypatch.setattr(
        SEUNet, "foreground", lambda net, x, part: (seen.append(tuple(x.shape[-2:])), found(net, x, part))[1]
    )
    window = plan_windows(grid, lambda *box: True)[9]
    predict(torch.rand(1, 3, *predict.grid.seen), [window])
    assert seen == [tuple(side + 2 * 64 * 2**octave for side in grid.window) for octave in range(3)]


@pytest.mark.parametrize("corner", [(0, 0), (24, 100), (130, 40)])
@pytest.mark.parametrize("groups", [None, [4, 5], [5, 0]])
def test_octaves_see_what_lies_around_a_part_of_an_image(corner, groups):
    """A part in which octave 0 sees its own context, and the others more of the whole."""
    network = made(*NETWORKS[0])
    network = network if groups is None else network.subset(groups)
    image, (top, left), side = picture()[0], corner, 200
    grid = WindowGrid.fit(side, side, 64, 0, 64, network.stride)
    beyond = tuple((at, SIDE - at - end) for at, end in zip(corner, grid.end, strict=True))
    shift = np.mod(corner, network.stride)  # what lies around is seen in whole strides, so pooling is the same
    ends = [SIDE - after % network.stride for _, after in beyond]
    with torch.no_grad():
        seen = image[None, :, shift[0] : ends[0], shift[1] : ends[1]]
        whole = network.heads(seen)[0].softmax(1)[:, 1:].numpy()
    predict = WindowPredictor(network, grid, 64, beyond)
    windows = plan_windows(grid, lambda *box: True)
    for window in (windows[0], windows[5]):
        y, x = predict.grid.place(window)
        part = image[None, :, top + y :, left + x :][..., : predict.grid.seen[0], : predict.grid.seen[1]]
        assert part.shape[2:] == predict.grid.seen
        (values,) = predict(part, [window])
        (y, x), (height, width) = (top + window.y - shift[0], left + window.x - shift[1]), grid.window
        inner = np.s_[y : y + height, x : x + width]
        # at the corner of a part octave 0 has nothing beyond it; in use a part is larger than what is wanted of it
        known = [octave > 0 or window is windows[5] or corner == (0, 0) for octave in network.head_octaves()]
        np.testing.assert_allclose(values[known], whole[known][:, :, *inner], atol=1e-5)


def decided(network):
    """The same network, decided: here for the one class, there for the other."""
    weight, bias = list(network.parameters())[-2:]
    with torch.no_grad():
        weight *= 100
        logits = network.heads(picture())
        bias[1] -= float((logits[:, :, 1] - logits[:, :, 0]).median())
    return network


@pytest.mark.parametrize(("kind", "options"), NETWORKS)
@pytest.mark.parametrize("context", [16, 64, 128])
def test_groups_are_weighed_by_all_that_is_nearby_whatever_the_context(kind, options, context):
    network, image = decided(made(kind, options)), picture()[0]
    grid = WindowGrid.fit(SIDE, SIDE, 64, 0, context, network.stride)
    predict = WindowPredictor(network, grid, context, weights=True)
    with torch.no_grad():
        whole = group_weights(network.heads(image[None]).softmax(2), "p_conf")[0].numpy()
    far = SIDE // 2  # all that is nearby is in the image, and the image goes on
    window = next(one for one in plan_windows(grid, lambda *box: True) if one.y == one.x == far)
    y, x = predict.grid.place(window)
    (values,) = predict(image[None, :, y : y + predict.grid.seen[0], x : x + predict.grid.seen[1]], [window])
    inner = np.s_[window.y : window.y + grid.window[0], window.x : window.x + grid.window[1]]
    assert values.shape[1] == 2
    np.testing.assert_allclose(values[:, 1], whole[:, *inner], atol=1e-4)
    alone = group_weights(1 - torch.from_numpy(values[None, :, :1]), "p_conf")[0].numpy()
    assert np.abs(alone - whole[:, *inner]).max() > 1e-2, "the control: without the context"


def test_windows_that_overlap_are_fused_as_the_whole_image_is(tmp_path):
    network, image = decided(made(*NETWORKS[0])), picture()[0]
    with torch.no_grad():
        whole = network.heads(image[None]).softmax(2)
    grid = WindowGrid.fit(SIDE, SIDE, 96, 32, 128, network.stride)
    predict = WindowPredictor(network, grid, 128, weights=True)
    probability, scale = np.zeros((SIDE, SIDE), np.uint8), np.zeros((SIDE, SIDE), np.uint8)

    def read(window):
        y, x = predict.grid.place(window)
        return image[:, y : y + predict.grid.seen[0], x : x + predict.grid.seen[1]]

    def write(row, strip):
        top, bottom = grid.strip(row)
        probability[top:bottom], scale[top:bottom] = strip.probability[0], strip.groups

    work = WorkFolder(tmp_path, {})
    work.open()
    windows = plan_windows(grid, lambda *box: True)
    assert len(windows) == 36
    list(MapMaker(grid, windows, read, predict, write, work, "p_conf", 2, network.num_scales).run())
    expected = 255 * fuse(whole, "p_conf")[0, 1].numpy()
    assert np.abs(probability - expected).max() < 0.6  # rounded, and kept in 16 bits in between
    assert np.abs(255 * fuse(whole, "p_power")[0, 1].numpy() - expected).max() > 10, "the control"
    assert (scale == winning_scale(whole, "p_conf")[0, 0].numpy()).mean() > 0.999


def test_one_octave_pays_for_nothing_beyond_a_part():
    network = SEUNet(width=4, scales_per_octave=1, num_levels=2).eval()
    grid = WindowGrid.fit(200, 300, 128, 0, 32, network.stride)
    assert WindowPredictor(network, grid, 32, ((500, 500), (500, 500))).grid.seen == grid.seen


def test_what_lies_beyond_the_image_is_seen_where_there_is_something():
    grid = WindowGrid.fit(200, 300, 128, 0, 32, 8)
    wide = grid.widened(64, ((48, 0), (0, 16)))
    window = plan_windows(grid, lambda *box: True)[0]
    assert grid.place(window) == (0, 0)
    assert wide.place(window) == (-48, 0)
    for window in plan_windows(wide, lambda *box: True):
        for first, seen, end, (before, after) in zip(wide.place(window), wide.seen, wide.end, wide.beyond, strict=True):
            assert -before <= first and first + seen <= end + after
