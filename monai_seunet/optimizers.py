"""Optimiser that orthogonalises the steps of weight matrices."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import nn

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of the quintic iteration
ROUNDS = 5
LEAST = 1e-7  # keeps a gradient of zeros finite


class Muon(torch.optim.Adam):
    r"""Muon for the weights that mix channels, and Adam for all others.

    The momentum of a weight is a matrix $M$ of output channels and inputs. Its singular values become about 1 in a few
    rounds of Newton and Schulz, so the step changes all directions of the matrix alike; Adam's steps are dominated by a
    few. The root mean square of a step is about the learning rate times `gain`, for every shape.

    Invariant: a step does not change if a gradient is multiplied by a positive number. With `matrices` false it is
    Adam.
    Limits: weight decay is that of Adam and does not act on the matrices. The first beta is the momentum of both.

    Args:
        params: names and parameters in the order of the layers, as from `named_parameters`. Parameters of three or more
            axes are matrices, but for the first and the last, which read the image and write the classes. The first
            axis is that of the outputs, but the second one of parameters named `alpha`, the coefficients of a filter
            basis.
        lr: learning rate.
        gain: size of the steps of the matrices compared to those of Adam.
        matrices: False to train all parameters by Adam.
        options: further options of `torch.optim.Adam`.

    References:
        Jordan et al., Muon: An optimizer for hidden layers in neural networks, 2024,
        https://kellerjordan.github.io/posts/muon/.
        Liu et al., Muon is scalable for LLM training, 2025 (size of the steps, as compared to Adam).

    >>> layers = nn.Sequential(*(nn.Conv2d(2, 2, 1) for _ in range(3)))
    >>> optimizer = Muon(layers.named_parameters(), lr=0.01)
    >>> layers(torch.ones(1, 2, 3, 3)).sum().backward()
    >>> optimizer.step()
    """

    def __init__(
        self,
        params: Iterable[tuple[str, nn.Parameter]],
        lr: float = 0.01,
        gain: float = 1.0,
        matrices: bool = True,
        **options: Any,
    ) -> None:
        named = list(params)
        inner = [name for name, value in named if value.dim() >= 3][1:-1] if matrices else []
        mixing = [(name, value) for name, value in named if name in inner]
        others = [(name, value) for name, value in named if name not in inner]
        groups = [{"params": part, "gain": size} for part, size in ((others, 0.0), (mixing, gain)) if part]
        super().__init__(groups, lr=lr, **options)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take a step; return the loss of `closure`, if there is one."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        gradients: list[tuple[nn.Parameter, torch.Tensor]] = []
        for group in self.param_groups:
            if group["gain"]:
                gradients += self._step_matrices(group)
        for parameter, _ in gradients:
            parameter.grad = None  # Adam leaves out parameters without a gradient
        super().step()
        for parameter, gradient in gradients:
            parameter.grad = gradient
        return loss

    def _step_matrices(self, group: dict[str, Any]) -> list[tuple[nn.Parameter, torch.Tensor]]:
        stepped, momentum = [], group["betas"][0]
        for name, parameter in zip(group["param_names"], group["params"], strict=True):
            if parameter.grad is None:
                continue
            state = self.state[parameter]
            if not state:  # Adam expects a number of steps when it loads a state
                state |= {"step": torch.zeros(()), "momentum": torch.zeros_like(parameter)}
            state["step"] += 1
            mean = state["momentum"].lerp_(parameter.grad, 1 - momentum)
            ahead = parameter.grad.lerp(mean, momentum)  # as Nesterov
            outputs = 1 if name.rsplit(".", 1)[-1] == "alpha" else 0
            matrix = ahead.movedim(outputs, 0)
            size = group["gain"] * max(len(matrix), matrix[0].numel()) ** 0.5
            change = orthogonal(matrix.flatten(1)).view(matrix.shape).movedim(0, outputs)
            parameter.add_(change, alpha=-group["lr"] * size)
            stepped.append((parameter, parameter.grad))
        return stepped


def orthogonal(matrix: torch.Tensor) -> torch.Tensor:
    """Return a matrix with the same singular vectors, and singular values of about 1 (0.7 to 1.2).

    Args:
        matrix: matrix (M, N).

    >>> orthogonal(torch.diag(torch.tensor([3.0, 0.5]))).diag()
    tensor([0.7136, 1.0420])
    """
    a, b, c = COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    x = (matrix.T if tall else matrix) / (matrix.norm() + LEAST)
    for _ in range(ROUNDS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.T if tall else x
