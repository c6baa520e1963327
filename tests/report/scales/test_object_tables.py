"""Tables of the scores of single objects."""

import numpy as np
import pytest

from monai_seunet.metrics.objects.scores import ObjectScores, count_objects
from monai_seunet.report.scales.objects import object_methods_table

SCALES = (0.25, 0.5, 1.0, 2.0, 4.0)


def scores(found: list[int]) -> ObjectScores:
    """Of one image of four objects; at each scale so many of them are found, exactly."""
    truth = np.kron(np.array([[1, 2], [3, 4]]), np.ones((5, 5), int))
    counts = [count_objects(truth, np.where(truth <= number, truth, 0)) for number in found]
    return ObjectScores(SCALES, np.stack(counts)[:, None])


def test_methods_are_compared_at_scale_1_and_at_the_worst_scale_near_it() -> None:
    table = object_methods_table({"ours": [scores([0, 3, 4, 2, 0])], "other": [scores([4, 4, 2, 4, 4])]})
    assert table.columns == ("AJI", "lowest AJI", "PQ", "lowest PQ", "F1 (DQ)", "lowest F1 (DQ)", "runs")
    f1 = [200 * found / (4 + found) for found in (4, 2)]
    assert table.values[0].tolist() == pytest.approx([100, 50, *f1, *f1, 1])
    assert table.values[1].tolist() == pytest.approx([50, 50, f1[1], f1[1], f1[1], f1[1], 1])
    assert table.best[0].tolist() == [True] * 6 + [False]
    assert table.best[1].tolist() == [False, True, False, True, False, True, False]


def test_runs_of_a_method_are_averaged_before_the_worst_scale_is_taken() -> None:
    table = object_methods_table({"ours": [scores([4, 4, 4, 0, 4]), scores([4, 0, 4, 4, 4])]})
    assert table.values[0, :2].tolist() == pytest.approx([100, 50]) and table.values[0, -1] == 2
