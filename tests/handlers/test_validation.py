"""Validation at every interval and at the end."""

import itertools

import pytest
from monai.engines import Evaluator

from monai_seunet.handlers import ClosingValidationHandler


class Notebook(Evaluator):
    """Notes the epochs in which it is run."""

    def __init__(self):
        super().__init__(device="cpu", val_data_loader=[0], epoch_length=1)
        self.epochs = []

    def run(self, global_epoch=1):
        self.epochs.append(global_epoch)


@pytest.mark.parametrize(("epochs", "interval", "expected"), [(5, 2, [2, 4, 5]), (4, 2, [2, 4]), (3, 9, [3])])
def test_the_last_epoch_is_validated_once(make_training, epochs, interval, expected):
    notebook = Notebook()
    make_training(epochs=epochs, handlers=(ClosingValidationHandler(interval, notebook),)).run()
    assert notebook.epochs == expected


def test_an_epoch_cut_short_by_the_budget_is_validated(make_training):
    notebook = Notebook()
    clock = itertools.count(0, 6).__next__
    make_training(epochs=1000, max_minutes=1, clock=clock, handlers=(ClosingValidationHandler(3, notebook),)).run()
    assert notebook.epochs == [3, 4]
