"""A training that was killed goes on as if nothing had happened."""

import pytest
import torch
from ignite.engine import Events

from monai_seunet.handlers import BestWeightsHandler, FiniteLossHandler
from monai_seunet.networks.checkpoints import load_checkpoint
from monai_seunet.utils.errors import InputError


class Killed(Exception):
    """Stands for a signal that no handler sees."""


def run_until(training, iteration):
    """Stop in the middle of an epoch without a word to any handler."""

    @training.trainer.on(Events.ITERATION_STARTED)
    def kill(engine):
        if engine.state.iteration == iteration:
            raise Killed

    with pytest.raises(Killed):
        training.run()


@pytest.mark.parametrize("iteration", [2, 5, 9])
@pytest.mark.parametrize("num_workers", [0, 2])
def test_killed_and_resumed_equals_uninterrupted(make_training, tmp_path, iteration, num_workers):
    whole = make_training(num_workers=num_workers).run()
    run_until(make_training(num_workers=num_workers), iteration)
    resumed = make_training(num_workers=num_workers, resume=(tmp_path / "last.pt").exists())
    torch.rand(100)  # another state of the generator than the killed run had
    resumed.run()

    first = (iteration - 1) // 3 * 3  # epochs of three iterations
    assert list(resumed.losses) == list(range(first + 1, 10))
    assert resumed.losses == {step: loss for step, loss in whole.losses.items() if step > first}
    assert resumed.rates == {step: rate for step, rate in whole.rates.items() if step > first}
    for module in ("network", "loss", "average"):
        ends = [getattr(training, module).state_dict() for training in (whole, resumed)]
        assert all(torch.equal(ends[0][key], ends[1][key]) for key in ends[0])


def test_loss_weights_and_moments_matter(make_training, tmp_path):
    """The comparison above sees what it should: without the optimiser's state the curve differs."""
    whole = make_training().run()
    run_until(make_training(), 8)
    content = load_checkpoint(tmp_path / "last.pt")
    for moments in content["optimizer"]["state"].values():
        moments["exp_avg"].zero_()
    torch.save(content, tmp_path / "last.pt")
    resumed = make_training(resume=True).run()
    assert any(resumed.losses[step] != whole.losses[step] for step in resumed.losses)


def test_an_optimizer_computes_in_its_own_way_after_it_was_resumed(make_training, tmp_path):
    run_until(make_training(), 8)
    resumed = make_training(resume=True)
    (group,) = resumed.trainer.optimizer.param_groups
    group["fused"] = True  # as if it had been made so
    resumed.run()
    assert group["fused"] is True and resumed.trainer.optimizer.param_groups[0]["fused"] is True
    assert all(torch.isfinite(torch.tensor(loss)) for loss in resumed.losses.values())


def test_a_training_is_not_replaced_by_another(make_training, tmp_path):
    make_training(epochs=1).run()
    kept = (tmp_path / "last.pt").read_bytes()
    second = make_training(epochs=1)
    (tmp_path / "last.pt").write_bytes(kept)
    with pytest.raises(InputError, match=r"last.pt: a training is saved there; resume it with --resume true"):
        second.run()
    assert not second.losses and (tmp_path / "last.pt").read_bytes() == kept


def test_a_loss_that_is_no_number_ends_the_training_before_it_is_saved(make_training, tmp_path):
    training = make_training(epochs=3, handlers=(FiniteLossHandler(),))

    @training.trainer.on(Events.EPOCH_STARTED(once=2))
    def spoil(engine):
        training.network.layers[0].weight.data.fill_(float("nan"))

    with pytest.raises(InputError, match="the loss is nan in epoch 2, iteration 4: the training has diverged"):
        training.run()
    state = load_checkpoint(tmp_path / "last.pt")
    assert state["trainer"]["epoch"] == 1 and all(v.isfinite().all() for v in state["network"].values())


def test_a_complete_training_is_left_as_it_is(make_training, tmp_path):
    make_training().run()
    before = (tmp_path / "last.pt").read_bytes()
    again = make_training(resume=True).run()
    assert not again.losses and (tmp_path / "last.pt").read_bytes() == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"width": 5}, "checkpoint of another network than this TwoHeads"),
        ({"epochs": 5}, "was trained with epochs 3 and cannot be resumed with 5"),
        ({"seed": 1}, "was trained with seed 0 and cannot be resumed with 1"),
    ],
)
def test_another_training_cannot_be_resumed(make_training, change, message):
    run_until(make_training(), 5)
    with pytest.raises(InputError, match=message):
        make_training(resume=True, **change).run()


def test_no_state_and_bare_weights_cannot_be_resumed(make_training, tmp_path):
    with pytest.raises(InputError, match=r"last\.pt: no such checkpoint"):
        make_training(resume=True).run()
    torch.save(make_training().network.state_dict(), tmp_path / "last.pt")
    with pytest.raises(InputError, match=r"cannot be resumed because it lacks network, .*trainer"):
        make_training(resume=True).run()


def test_best_weights_are_those_of_the_best_epoch(make_training, tmp_path):
    training = make_training(epochs=4)
    engine, scores = training.trainer, {1: 0.2, 2: 0.7, 3: 0.5, 4: 0.6}
    kept = {}

    @engine.on(Events.EPOCH_COMPLETED)
    def score(engine):
        kept[engine.state.epoch] = {key: value.clone() for key, value in training.network.state_dict().items()}
        if scores[engine.state.epoch] > engine.state.best_metric:
            engine.state.best_metric, engine.state.best_metric_epoch = scores[engine.state.epoch], engine.state.epoch

    BestWeightsHandler(tmp_path / "model.pt", training.network).attach(engine)
    engine.run()
    best = load_checkpoint(tmp_path / "model.pt")
    assert all(torch.equal(best[key], kept[2][key]) for key in best)
    assert any(not torch.equal(best[key], kept[4][key]) for key in best)
