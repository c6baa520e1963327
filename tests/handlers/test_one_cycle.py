"""The schedule is torch's 1cycle, on steps or on a clock."""

import itertools
import time

import pytest
import torch
from ignite.engine import Engine
from torch.optim.lr_scheduler import OneCycleLR

from monai_seunet.handlers import OneCycleHandler
from monai_seunet.utils.errors import InputError


def one_cycle(total):
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])
    schedule = OneCycleLR(optimizer, max_lr=0.05, total_steps=total)
    rates = [optimizer.param_groups[0]["lr"]]
    for _ in range(total - 1):
        optimizer.step()
        schedule.step()
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def test_every_iteration_has_the_rate_of_one_cycle(make_training):
    training = make_training(epochs=4).run()
    expected = one_cycle(12)
    # the rate after iteration n is that of iteration n + 1
    assert [training.rates[step] for step in range(1, 12)] == pytest.approx(expected[1:])
    assert max(expected) == pytest.approx(0.05, rel=0.01)


def test_a_budget_runs_through_the_whole_cycle_and_ends_the_epoch(make_training):
    # 60 s at 6 s an iteration: 10 iterations cover the 3000 steps of the cycle
    training = make_training(epochs=1000, max_minutes=1, clock=itertools.count(0, 6).__next__).run()
    state = training.trainer.state
    assert state.iteration == 10 and state.epoch == state.max_epochs == 4
    assert [training.rates[step] for step in range(1, 10)] == pytest.approx(one_cycle(3000)[300::300])


def test_steps_decide_where_the_budget_is_ample(make_training):
    training = make_training(epochs=3, max_minutes=100, clock=itertools.count(0, 6).__next__).run()
    assert training.trainer.state.iteration == 9
    assert [training.rates[step] for step in range(1, 9)] == pytest.approx(one_cycle(9)[1:])


def test_a_budget_of_processor_time_does_not_count_waiting():
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))])
    schedule = OneCycleHandler(optimizer, 0.05, 1000, 3, max_minutes=1, clock="processor")
    optimizer.step()
    engine = Engine(lambda *_: None)
    schedule.start(engine)
    time.sleep(0.3)
    schedule.step(engine)
    assert schedule.elapsed < 0.2
    busy_until = time.process_time() + 0.3
    while time.process_time() < busy_until:
        pass
    schedule.step(engine)
    assert schedule.elapsed >= 0.3


def test_time_before_an_interruption_counts(make_training):
    first = make_training(epochs=1000, max_minutes=1, clock=itertools.count(0, 6).__next__)
    first.trainer.state.max_epochs = 1
    first.run()
    second = make_training(epochs=1000, max_minutes=1, clock=itertools.count(5000, 6).__next__)
    second.schedule.load_state_dict(first.schedule.state_dict())
    second.run()
    assert first.trainer.state.iteration == 3 and len(second.losses) == 7


def test_a_budget_has_to_be_positive_and_of_a_known_clock(make_training):
    with pytest.raises(InputError, match="max_minutes is 0"):
        make_training(max_minutes=0)
    with pytest.raises(InputError, match="budget_clock is 'sun'; give one of wall, processor"):
        make_training(max_minutes=1, clock="sun")
