from .bundle_options import check_command_line, check_switches, take_options
from .devices import find_device
from .read import content, read_config, trained_network

__all__ = [
    "check_command_line",
    "check_switches",
    "content",
    "find_device",
    "read_config",
    "take_options",
    "trained_network",
]
