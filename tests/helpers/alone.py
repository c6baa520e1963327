"""Commands where neither torch nor MONAI can be imported."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

# Runs commands in turn and says what each showed, where neither torch nor MONAI can be imported.
ALONE = """
import contextlib, io, json, sys
tried = []
hidden, cases = json.loads(sys.stdin.read())
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "monai"):
            tried.append(name)
            raise ImportError(name)
        if name in hidden:
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, Refuse())
import monai_seunet
from monai_seunet.cli import main
def case(words):
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
        try:
            code = main(words)
        except SystemExit as end:
            code = end.code
        except ImportError as error:
            code = repr(error)
    return code, shown.getvalue()
answers = [case(words) for words in cases]
print(json.dumps([tried, answers]))
"""


def run_alone(
    cases: Sequence[Sequence[str]], folder: Path, hidden: Sequence[str] = ()
) -> tuple[list[str], list[tuple[int | str, str]]]:
    """The large imports that commands tried, and of each command its exit status and what it showed.

    `hidden` packages seem not to be installed.
    """
    options = {"cwd": folder, "capture_output": True, "text": True, "check": True}
    done = subprocess.run([sys.executable, "-c", ALONE], input=json.dumps([hidden, cases]), **options)
    tried, answers = json.loads(done.stdout)
    return tried, answers
