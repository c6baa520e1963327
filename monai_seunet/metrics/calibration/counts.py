"""Counts of predictions by their probability, from which reliability curves and calibration errors are computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch

from monai_seunet.metrics.confusion import ratio

BINS = 15  # as in Guo et al., On Calibration of Modern Neural Networks, 2017
UNIT = 1 << 24  # probabilities are summed as whole numbers of 1 / UNIT: sums do not depend on the order


def count_probabilities(probabilities: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Count predictions in equal bins of their probability.

    Invariant: the counts of disjoint parts add up to the counts of the whole, bit by bit.

    Args:
        probabilities: predicted probability (...) of each prediction.
        truth: boolean (...), whether each prediction is true.

    Returns:
        counts (3, BINS) int64: the number of predictions, of true ones, and the sum of the probabilities in 1 / UNIT.

    Raises:
        ValueError: the shapes differ.

    >>> count_probabilities(torch.tensor([0.99, 1.0, 1.0]), torch.tensor([True, True, False]))[:2, -1]
    tensor([3, 2])
    """
    if probabilities.shape != truth.shape:
        raise ValueError(
            f"probabilities of shape {list(probabilities.shape)} and truth of shape {list(truth.shape)} differ"
        )
    values = probabilities.reshape(-1).to(torch.promote_types(probabilities.dtype, torch.float32))
    bins = (values * BINS).long().clamp_(0, BINS - 1)
    numbers = torch.bincount(bins + BINS * truth.reshape(-1).long(), minlength=2 * BINS).reshape(2, BINS)
    sums = torch.zeros_like(numbers[0]).index_add_(0, bins, (values * UNIT).round().long())
    return torch.stack([numbers.sum(0), numbers[1], sums])


@dataclass(frozen=True)
class Calibration:
    """Numbers of predictions by their probability: does a probability of 0.8 mean that 80 % are true?

    Attributes:
        counts: number of predictions (..., BINS) in each bin, int64.
        true: number of true predictions (..., BINS).
        sums: sum of the probabilities (..., BINS), float64.
    """

    counts: np.ndarray
    true: np.ndarray
    sums: np.ndarray

    @classmethod
    def of_counts(cls, values: np.ndarray) -> Self:
        """Return the calibration of counts (..., 3, BINS) of `count_probabilities`."""
        counts, true, sums = np.moveaxis(values.astype(np.int64), -2, 0)
        return cls(counts, true, sums / UNIT)

    @property
    def probability(self) -> np.ndarray:
        """Mean predicted probability (..., BINS) of each bin; NaN in an empty bin."""
        return ratio(self.sums, self.counts)

    @property
    def share(self) -> np.ndarray:
        """Share of true predictions (..., BINS) in each bin; NaN in an empty bin."""
        return ratio(self.true.astype(np.float64), self.counts)

    @property
    def error(self) -> np.ndarray:
        """Expected calibration error (...), the mean of |share - probability| over all predictions; NaN without any.

        References:
            Naeini et al., Obtaining Well Calibrated Probabilities Using Bayesian Binning, 2015. (MONAI's
            `CalibrationErrorMetric` gives a mean of errors of single images. Counts give the error of the data set.)
        """
        return ratio(np.abs(self.true - self.sums).sum(-1), self.counts.sum(-1))

    @property
    def overconfidence(self) -> np.ndarray:
        """Mean probability less the share of true predictions (...), over all bins; NaN without predictions."""
        return ratio((self.sums - self.true).sum(-1), self.counts.sum(-1))

    @property
    def pooled(self) -> Self:
        """Calibration of the predictions of all scales, which are the first axis."""
        return type(self)(self.counts.sum(0), self.true.sum(0), self.sums.sum(0))

    def __getitem__(self, scale: int) -> Self:
        """Return the calibration at one scale."""
        return type(self)(self.counts[scale], self.true[scale], self.sums[scale])

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """Return the calibration of the predictions of all parts."""
        counts, true, sums = (sum(getattr(part, name) for part in parts) for name in ("counts", "true", "sums"))
        return cls(counts, true, sums)

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for JSON; `from_dict` is the inverse."""
        return {"counts": self.counts.tolist(), "true": self.true.tolist(), "sums": self.sums.tolist()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Restore the calibration from the result of `to_dict`."""
        counts, true = (np.asarray(values[name], dtype=np.int64) for name in ("counts", "true"))
        return cls(counts, true, np.asarray(values["sums"], dtype=np.float64))
