"""Jobs of the bundle in this process."""

from __future__ import annotations

from monai.bundle import ConfigParser, ConfigWorkflow


def run(workflow: ConfigWorkflow) -> ConfigParser:
    """Run a workflow to its end, and return its parser, which holds what it made."""
    workflow.initialize()
    workflow.run()
    workflow.finalize()
    return workflow.parser
