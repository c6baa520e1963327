"""Jobs of the bundle, in this process and in one of their own, and networks for them."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from monai.bundle import ConfigParser, ConfigWorkflow
from repository import CONFIGS

from monai_seunet.utils.errors import find_input_error


def config_of(*names: str, **changes: object) -> ConfigParser:
    """Read configs of the bundle over each other, by their names without the ending, and change ids."""
    parser = ConfigParser()
    parser.read_config([CONFIGS / f"{name}.json" for name in names])
    parser.update(changes)
    return parser


def run(workflow: ConfigWorkflow) -> ConfigParser:
    """Run a workflow to its end, and return its parser, which holds what it made."""
    workflow.initialize()
    workflow.run()
    workflow.finalize()
    return workflow.parser


def infer(*names: str, **options: object) -> ConfigParser:
    """Run a job of inference by configs of the bundle; an option may be a path."""
    files = [str(CONFIGS / f"{name}.json") for name in names]
    given = {name: str(value) if isinstance(value, Path) else value for name, value in options.items()}
    given = {"device": "$torch.device('cpu')", **given}
    return run(ConfigWorkflow(files, workflow_type="infer", logging_file=False, **given))


def refusal(job: Callable[..., object], *arguments: object, **options: object) -> str:
    """The one line by which a job that fails tells the user what to correct."""
    with pytest.raises(Exception, match=r".") as caught:
        job(*arguments, **options)
    cause = find_input_error(caught.value)
    assert cause is not None and "\n" not in str(cause)
    return str(cause)


def monai_command(*words: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a job as a user does, by MONAI's command."""
    command = [sys.executable, "-m", "monai.bundle", "run", *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, **options)


def lively(network: torch.nn.Module, image: torch.Tensor) -> torch.nn.Module:
    """Batch norm as after training on an image, and a loud head: untrained networks say nearly the same everywhere."""
    for norm in network.modules():
        if isinstance(norm, torch.nn.BatchNorm2d):
            norm.momentum = 1.0
    with torch.no_grad():
        network.train()(image[None])
        network.head.weight.mul_(5)
    return network.eval()
