from .errors import InputError, make_folder, show_input_errors_in_one_line
from .parsing import parse_bool
from .process_group import distribute, leave_process_group
from .progress import bars_are_shown, progress_bar, write_line

__all__ = [
    "InputError",
    "bars_are_shown",
    "distribute",
    "leave_process_group",
    "make_folder",
    "parse_bool",
    "progress_bar",
    "show_input_errors_in_one_line",
    "write_line",
]
