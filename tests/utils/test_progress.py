"""Bars are for terminals; a log gets lines."""

import logging
import os
import pty
import re
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

import pytest
from ignite.engine import Engine
from repository import ROOT

from monai_seunet.handlers import EngineProgressHandler, progress
from monai_seunet.utils import progress as bars
from monai_seunet.utils.progress import bars_are_shown, progress_bar, write_line

MARK = "<end>"


@contextmanager
def terminal() -> Iterator[Callable[[], str]]:
    """Standard error as a terminal; gives what it shows."""
    master, slave = pty.openpty()
    termios.tcsetwinsize(slave, (24, 80))
    with os.fdopen(slave, "w") as file, redirect_stderr(file):

        def shown() -> str:
            """All that came since the last time: the screen gets it in pieces, so a mark has to end it."""
            print(MARK, end="", file=file, flush=True)
            text = ""
            while not text.endswith(MARK):
                text += os.read(master, 1 << 16).decode()
            return text.removesuffix(MARK)

        yield shown
    os.close(master)


def test_a_log_holds_no_bar(capfd):
    assert not bars_are_shown()
    assert list(progress_bar(range(3), desc="slides")) == [0, 1, 2]
    with progress_bar(total=2, desc="windows") as bar:
        bar.set_postfix_str("1 block left")
        bar.update(2)
        write_line("a: 3 nuclei")
        write_line("error: no", file=sys.stderr)
    assert capfd.readouterr() == ("a: 3 nuclei\n", "error: no\n")


def test_a_log_gets_lines_from_time_to_time(monkeypatch, capfd):
    monkeypatch.setattr(bars, "PAUSE", 0.0)
    for _ in progress_bar(range(2), desc="images", unit="image"):
        with progress_bar(total=3, desc="a.svs", unit="window", leave=False) as bar:
            for _ in range(3):
                bar.update()
                bar.set_postfix_str("1 block left")
    assert list(progress_bar(range(3), desc="silent", disable=True)) == [0, 1, 2]
    lines = capfd.readouterr().err.splitlines()
    form = re.compile(r"(a\.svs|images): \d of \d (window|image)s, 00:0\d elapsed, .* left(, 1 block left)?")
    assert [line for line in lines if not form.fullmatch(line)] == []
    assert sum(line.startswith("a.svs: 3 of 3 windows, ") for line in lines) >= 2
    assert any(line.startswith("images: ") for line in lines)


def test_a_line_is_in_a_log_at_once(tmp_path):
    with open(tmp_path / "log", "w") as file, redirect_stdout(file):  # it keeps some kilobytes for later
        write_line("a: 3 nuclei")
        assert (tmp_path / "log").read_text() == "a: 3 nuclei\n"
        print("b")
        assert (tmp_path / "log").read_text() == "a: 3 nuclei\n"  # the control


SPEAK = """
import logging
from monai_seunet.utils.progress import show_messages
show_messages()
logging.getLogger("monai_seunet.slides").info("ours")
logging.getLogger("torch._subclasses").info("FakeTensor cache stats:")  # as torch does, if its import was interrupted
logging.getLogger("torch").warning("a warning")
"""


def test_messages_of_this_package_and_warnings_of_others_are_shown():
    said = subprocess.run([sys.executable, "-c", SPEAK], capture_output=True, text=True, check=True)
    assert said.stderr.splitlines() == ["ours", "a warning"]


def test_a_terminal_shows_it_unless_the_caller_wants_none():
    with terminal() as shown:
        assert bars_are_shown()
        assert list(progress_bar(range(3), desc="slides")) == [0, 1, 2]
        assert "slides: 100%" in shown()
        assert list(progress_bar(range(3), desc="silent", disable=True)) == [0, 1, 2]
        write_line("end", file=sys.stderr)
        assert shown().strip() == "end"


def test_an_engine_has_a_bar_on_a_terminal():
    engine = Engine(lambda *_: None)
    with terminal() as shown:
        EngineProgressHandler("evaluate").attach(engine)
        engine.run([0, 1, 2])
        assert re.search(r"evaluate.*\[1/3\]", shown())


@pytest.mark.parametrize(("pause", "lines"), [(0.0, ["evaluate: 1 of 3 steps", "evaluate: 2 of 3 steps"]), (60.0, [])])
def test_an_engine_says_in_a_log_how_far_it_is(monkeypatch, capfd, caplog, pause, lines):
    monkeypatch.setattr(progress, "PAUSE", pause)
    engine = Engine(lambda *_: None)
    engine.logger = logging.getLogger("engine")
    EngineProgressHandler("evaluate").attach(engine)
    with caplog.at_level(logging.INFO, "engine"):
        engine.run([0, 1, 2])
    assert [text for text in caplog.messages if text.startswith("evaluate")][:2] == lines
    assert capfd.readouterr().err == ""


def test_no_module_draws_a_bar_of_its_own():
    found = []
    for folder in ("monai_seunet", "scripts"):
        for parent, _, names in os.walk(ROOT / folder):
            for name in names:
                path = os.path.join(parent, name)
                if name.endswith(".py") and not path.endswith("monai_seunet/utils/progress.py"):
                    with open(path, encoding="utf-8") as file:
                        found += [path for line in file if re.search(r"\b(tqdm|trange)(\.\w+)?\(", line)]
    assert not found
