"""From one prediction per scale group to one prediction."""

import itertools

import numpy as np
import pytest
import torch

from monai_seunet import fusion
from monai_seunet.fusion import STRATEGIES, confidence_nearby, fuse, fuse_directions, group_weights, winning_scale


def algorithm_1(vectors: np.ndarray, strategy: str) -> int:
    """The paper's algorithm 1 for one pixel, as it is written: probabilities (S, N) -> class."""
    distances = []
    for y in vectors.copy():
        best = y.argmax()
        largest = y[best]
        y[best] = -1
        distances.append(largest - y.max())
    if strategy == "p_dist":
        return int(vectors[int(np.argmax(distances))].argmax())
    weights = np.exp(distances) / np.exp(distances).sum()
    return int((weights[:, None] * vectors).sum(0).argmax())


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("strategy", ["p_dist", "p_ens"])
def test_labels_are_those_of_algorithm_1(strategy, classes):
    probabilities = (3 * torch.randn(2, 5, classes, 6, 7)).softmax(2)
    label = fuse(probabilities, strategy).argmax(1)
    for b, y, x in np.ndindex(2, 6, 7):
        assert label[b, y, x] == algorithm_1(probabilities[b, :, :, y, x].numpy(force=True), strategy)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_laws(strategy):
    probabilities = torch.randn(1, 4, 3, 5, 5).softmax(2)
    fused = fuse(probabilities, strategy)
    torch.testing.assert_close(fused.sum(1), torch.ones(1, 5, 5))
    torch.testing.assert_close(fuse(probabilities[:, :1], strategy), probabilities[:, 0])
    torch.testing.assert_close(fuse(probabilities.flip(1), strategy), fused)
    # of the classes; p_max knows a background
    order = [0, 2, 1] if strategy in ("p_max", "p_power", "p_conf") else [2, 0, 1]
    torch.testing.assert_close(fuse(probabilities[:, :, order], strategy), fused[:, order])


def test_ties_are_no_confidence():
    probabilities = torch.tensor([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]]).view(1, 2, 3, 1)
    torch.testing.assert_close(fusion.margin(probabilities).flatten(), torch.tensor([0.0, 0.2]))
    assert winning_scale(probabilities).item() == 1
    assert fuse(probabilities, "p_dist").argmax(1).item() == 2


def test_what_one_group_finds_is_found_by_p_max():
    probabilities = (3 * torch.randn(1, 5, 2, 32, 32)).softmax(2)
    fused = fuse(probabilities, "p_max")
    assert fused.argmax(1).bool().equal((probabilities.argmax(2) == 1).any(1))
    decided = winning_scale(probabilities, "p_max")
    torch.testing.assert_close(probabilities[:, :, 1].gather(1, decided), fused[:, 1:])
    assert not decided.equal(winning_scale(probabilities))


def test_p_power_lies_between_the_mean_and_the_maximum():
    probabilities = (3 * torch.randn(1, 5, 2, 32, 32)).softmax(2)
    mean, power, largest = (fuse(probabilities, name)[:, 1] for name in ("arithmetic", "p_power", "p_max"))
    torch.testing.assert_close(power, probabilities[:, :, 1].pow(4).mean(1).pow(0.25))
    assert (mean <= power).all() and (power <= probabilities[:, :, 1].amax(1)).all()
    found = [(image > 0.5).float().mean() for image in (mean, power, largest)]
    assert found[0] < found[1] < found[2]
    certain = torch.tensor([1.0, 0.0]).view(1, 1, 2, 1).expand(1, 3, 2, 4).clone().requires_grad_()
    fuse(certain, "p_power").square().sum().backward()
    assert certain.grad.isfinite().all(), "the root of nothing has a slope that can be used"


def foreground(*groups: torch.Tensor) -> torch.Tensor:
    """Probabilities (1, S, 2, H, W) of the foreground of each group."""
    found = torch.stack(groups)[None, :, None]
    return torch.cat([1 - found, found], 2)


def test_confidence_is_the_mean_of_what_is_found_nearby():
    found, near = torch.rand(1, 3, 1, 300, 270, dtype=torch.float64), fusion.NEARBY
    confidence = confidence_nearby(torch.cat([1 - found, found], 2))
    for group, y, x in ((0, 0, 0), (1, 150, 140), (2, 299, 20)):
        around = found[0, group, 0, max(0, y - near) : y + near + 1, max(0, x - near) : x + near + 1]
        prior = 0.0005 * (2 * near + 1) ** 2
        expected = (around.pow(3).sum() + 0.65 * prior) / (around.square().sum() + prior)
        torch.testing.assert_close(confidence[0, group, y, x], expected, rtol=1e-10, atol=0)


def test_confidence_turns_and_mirrors_with_the_image():
    probabilities = (3 * torch.randn(1, 3, 2, 90, 140, dtype=torch.float64)).softmax(2)
    expected = confidence_nearby(probabilities)
    for change in (lambda x: x.rot90(1, (-2, -1)), lambda x: x.flip(-1), lambda x: x.flip(-2)):
        torch.testing.assert_close(confidence_nearby(change(probabilities)), change(expected), rtol=1e-12, atol=0)
    assert confidence_nearby(torch.rand(1, 3, 2, 4).softmax(2)).shape == (1, 3, 4), "no axes of an image, too"
    half = confidence_nearby(probabilities.half())
    torch.testing.assert_close(half, expected.float(), atol=2e-3, rtol=0)


def test_a_group_that_is_unsure_nearby_is_muted_by_p_conf_alone():
    """A fine group is sure of a nucleus here and of a gap there; a coarse one blurs both, elsewhere it is right."""
    fine, coarse = torch.full((64, 512), 0.02), torch.full((64, 512), 0.02)
    fine[:, 20:40], coarse[:, 10:70] = 0.95, 0.62
    coarse[:, 400:440], fine[:, 415:420] = 0.9, 0.6
    probabilities = foreground(fine, coarse)
    fused = {name: fuse(probabilities, name)[0, 1, 32] for name in ("p_max", "p_power", "p_conf")}
    gap, nucleus, large = 60, 30, 405
    assert fused["p_max"][gap] > 0.5 and fused["p_power"][gap] > 0.5 > fused["p_conf"][gap]
    assert fused["p_conf"][nucleus] > 0.9 and fused["p_conf"][large] > 0.8
    winner = winning_scale(probabilities, "p_conf")[0, 0, 32]
    assert winner[nucleus] == winner[gap] == 0 and winner[large] == 1
    weights = group_weights(probabilities, "p_conf")[..., 16:]
    part = fuse(probabilities[..., 16:], "p_conf", weights)
    torch.testing.assert_close(part, fuse(probabilities, "p_conf")[..., 16:])


def test_a_lone_object_is_heard_whatever_the_background_of_the_groups():
    """One group finds the only nucleus on a faint background, the other one finds nothing at all."""
    found, blind = torch.full((400, 400), 0.03), torch.full((400, 400), 0.0005)
    found[190:210, 190:210] = 0.95
    probabilities = foreground(found, blind)
    assert fuse(probabilities, "p_conf")[0, 1, 200, 200] > 0.9
    assert winning_scale(probabilities, "p_conf")[0, 0, 200, 200] == 0


def test_a_pixel_that_is_no_number_leaves_the_others():
    probabilities = foreground(torch.rand(300, 300), torch.rand(300, 300))
    probabilities[0, 0, :, 5, 5] = torch.nan
    assert fuse(probabilities, "p_conf").isfinite().all(1).sum() == 300 * 300 - 1


def test_the_weights_of_p_conf_are_no_way_to_learn():
    probabilities = (3 * torch.randn(1, 3, 2, 40, 40)).softmax(2).requires_grad_()
    goal = torch.rand(1, 2, 40, 40)

    def gradient(weights):
        loss = (goal * fuse(probabilities, "p_conf", weights)).sum()
        return torch.autograd.grad(loss, probabilities)[0]

    weights = group_weights(probabilities.detach(), "p_conf")
    torch.testing.assert_close(gradient(None), gradient(weights))
    assert (gradient(None) - gradient(torch.ones_like(weights))).abs().max() > 1e-3, "the control: they matter"
    certain = torch.tensor([1.0, 0.0]).view(1, 1, 2, 1).expand(1, 3, 2, 4).clone().requires_grad_()
    fuse(certain, "p_conf").square().sum().backward()
    assert certain.grad.isfinite().all()


def test_strategies_differ():
    probabilities = (3 * torch.randn(1, 5, 2, 32, 32)).softmax(2)
    labels = [fuse(probabilities, strategy).argmax(1) for strategy in STRATEGIES]
    assert not any(one.equal(other) for one, other in itertools.combinations(labels, 2))


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="choose arithmetic, p_dist, p_ens, p_max, p_power or p_conf"):
        fuse(torch.rand(1, 2, 2, 3), "mean")
    with pytest.raises(ValueError, match="two classes background and foreground"):
        fuse(torch.rand(1, 2, 1, 3))


def unit_vectors(*shape: int) -> torch.Tensor:
    """Directions (*shape[:2], 2, *shape[2:]) of length one."""
    vectors = torch.randn(*shape[:2], 2, *shape[2:], dtype=torch.float64)
    return vectors / vectors.norm(dim=2, keepdim=True)


@pytest.mark.parametrize("weighted", [False, True])
def test_directions_are_fused_in_proportion_to_the_foreground_that_each_group_is_heard_for(weighted):
    directions = unit_vectors(2, 4, 6, 7)
    probabilities = (2 * torch.randn(2, 4, 3, 6, 7, dtype=torch.float64)).softmax(2)
    weights = torch.rand(2, 4, 6, 7, dtype=torch.float64) if weighted else None
    fused = fuse_directions(directions, probabilities, weights)
    assert fused.shape == (2, 2, 6, 7)
    for b, y, x in np.ndindex(2, 6, 7):
        heard = probabilities[b, :, 1:, y, x].sum(1) * (weights[b, :, y, x] if weighted else 1)
        assert (heard >= 1e-6).all()
        expected = sum(share * directions[b, k, :, y, x] for k, share in enumerate(heard / heard.sum()))
        torch.testing.assert_close(fused[b, :, y, x], expected, rtol=0, atol=1e-12)
    assert (fused - directions.mean(1)).abs().max() > 1e-2, "the control: not all count alike"


@pytest.mark.parametrize("weighted", [False, True])
def test_fused_directions_are_a_convex_combination(weighted):
    probabilities = (4 * torch.randn(2, 5, 2, 9, 8, dtype=torch.float64)).softmax(2)
    weights = torch.rand(2, 5, 9, 8, dtype=torch.float64) ** 8 if weighted else None
    same = unit_vectors(2, 1, 9, 8)
    fused = fuse_directions(same.expand(-1, 5, -1, -1, -1), probabilities, weights)
    torch.testing.assert_close(fused, same[:, 0], rtol=0, atol=1e-12)
    directions = unit_vectors(2, 5, 9, 8)
    fused = fuse_directions(directions, probabilities, weights)
    assert (fused <= directions.amax(1) + 1e-12).all() and (fused >= directions.amin(1) - 1e-12).all()
    assert (fused.norm(dim=1) <= 1 + 1e-12).all() and (fused.norm(dim=1) < 0.9).any()
    order = [3, 0, 4, 1, 2]
    again = fuse_directions(directions[:, order], probabilities[:, order], weights[:, order] if weighted else None)
    torch.testing.assert_close(again, fused, rtol=0, atol=1e-12)
    assert (fuse_directions(directions[:, order], probabilities, weights) - fused).abs().max() > 1e-2


def test_directions_follow_the_group_that_alone_sees_foreground():
    directions = unit_vectors(1, 3, 4, 4)
    found = torch.zeros(3, 4, 4, dtype=torch.float64)
    found[1] = 0.9
    probabilities = foreground(*found)
    fused = fuse_directions(directions, probabilities)
    assert (fused - directions[:, 1]).abs().max() < 1e-5
    assert (fused - directions.mean(1)).abs().max() > 0.1
    muted = torch.ones(1, 3, 4, 4, dtype=torch.float64)
    muted[:, 1] = 0
    torch.testing.assert_close(fuse_directions(directions, probabilities, muted), directions.mean(1))
    blind = fuse_directions(directions, foreground(*torch.zeros_like(found)))
    torch.testing.assert_close(blind, directions.mean(1), rtol=0, atol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_one_group_keeps_its_directions(weighted):
    directions, found = unit_vectors(2, 1, 5, 6), torch.rand(2, 1, 1, 5, 6, dtype=torch.float64) ** 6
    weights = torch.rand(2, 1, 5, 6, dtype=torch.float64) if weighted else None
    fused = fuse_directions(directions, torch.cat([1 - found, found], 2), weights)
    torch.testing.assert_close(fused, directions[:, 0], rtol=0, atol=1e-12)


def test_fused_directions_turn_with_the_vectors():
    directions, turn = unit_vectors(1, 3, 5, 6), torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
    probabilities = (3 * torch.randn(1, 3, 2, 5, 6, dtype=torch.float64)).softmax(2)
    found = fuse_directions(torch.einsum("ij,bsjhw->bsihw", turn, directions), probabilities)
    expected = torch.einsum("ij,bjhw->bihw", turn, fuse_directions(directions, probabilities))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_outputs_are_fused_as_probabilities_and_directions(strategy, given):
    logits, directions = 3 * torch.randn(2, 4, 3, 20, 30), unit_vectors(2, 4, 20, 30).float()
    probabilities = logits.softmax(2)
    weights = group_weights(probabilities, strategy)
    passed = weights if given else None
    fused = fusion.fuse_outputs(torch.cat([logits, directions], 2), 3, strategy, passed)
    assert fused.shape == (2, 5, 20, 30)
    assert torch.equal(fused[:, :3], fuse(probabilities, strategy, weights))
    assert torch.equal(fused[:, 3:], fuse_directions(directions, probabilities, weights))
    assert torch.equal(fusion.fuse_outputs(logits, 3, strategy, passed), fuse(probabilities, strategy, weights))
    torch.testing.assert_close(fused[:, :3].sum(1), torch.ones(2, 20, 30))


def test_weights_of_the_groups_move_the_directions():
    logits, directions = 3 * torch.randn(1, 4, 2, 60, 60), unit_vectors(1, 4, 60, 60).float()
    logits[:, 0, 1] -= 3  # finds little, and is unsure of it
    outputs = torch.cat([logits, directions], 2)
    heard, alike = fusion.fuse_outputs(outputs, 2, "p_conf"), fusion.fuse_outputs(outputs, 2, "p_power")
    assert (heard[:, 2:] - alike[:, 2:]).abs().max() > 1e-2


def test_fused_directions_have_a_slope_everywhere():
    certain = torch.tensor([60.0, -60.0, 0.6, 0.8]).view(1, 1, 4, 1, 1).repeat(1, 3, 1, 4, 4).requires_grad_()
    for strategy in STRATEGIES:
        (gradient,) = torch.autograd.grad(fusion.fuse_outputs(certain, 2, strategy).square().sum(), certain)
        assert gradient.isfinite().all() and gradient[:, :, 2:].abs().min() > 0
