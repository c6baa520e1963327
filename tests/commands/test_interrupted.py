"""Ctrl-C says what is kept and how to go on."""

import csv

import pytest
from dark_slides import CENTRES, DarkNetwork, draw, segmenter

from monai_seunet.cli import main

WINDOWS = 16  # of 128 pixels in an image of 400 x 400


class Stopped(DarkNetwork):
    """Somebody presses Ctrl-C while its second image runs."""

    def __init__(self, most: int):
        super().__init__()
        self.calls, self.most = 0, most

    def outputs(self, x):
        self.calls += len(x)
        if self.calls > self.most:
            raise KeyboardInterrupt
        return super().outputs(x)


@pytest.fixture
def images(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return [str(draw(tmp_path / f"{name}.tif")) for name in "abc"]


def test_finished_images_are_kept_and_the_same_command_goes_on(images, tmp_path, monkeypatch, capsys):
    made = [segmenter(Stopped(WINDOWS)), segmenter(Stopped(9 * WINDOWS))]
    monkeypatch.setattr("monai_seunet.slides.configure.configure_segmenter", lambda **_: (made.pop(0), None))
    assert main(["segment", *images]) == 130
    shown = capsys.readouterr()
    assert "a: 9 nuclei" in shown.out
    assert shown.err.splitlines()[-1] == (
        "interrupted: 1 of 3 images done and kept, see segmented/counts.csv; the same command again goes on from here"
    )
    with open(tmp_path / "segmented" / "counts.csv", newline="", encoding="utf-8") as file:
        assert [(row["name"], row["nuclei"]) for row in csv.DictReader(file)] == [("a", str(len(CENTRES)))]
    assert main(["segment", *images]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert [line.endswith("; already done, kept") for line in shown[1:4]] == [True, False, False]
    assert "already done and kept: 1 image; --overwrite makes all again" in shown


def test_with_overwrite_the_advice_is_another(images, monkeypatch, capsys):
    made = segmenter(Stopped(WINDOWS))
    monkeypatch.setattr("monai_seunet.slides.configure.configure_segmenter", lambda **_: (made, None))
    assert main(["segment", *images, "--overwrite"]) == 130
    assert "; the same command without --overwrite goes on from here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "target", "text"),
    [
        (["segment", "a.tif"], "slides.configure.configure_segmenter", "finished images are kept; the same command"),
        (["export"], "config.read.read_config", "nothing was written; give the command again"),
        (["mpp", "a.tif"], "slides.configure.configure_segmenter", ""),
    ],
)
def test_an_early_stop_says_it_too(images, monkeypatch, capsys, words, target, text):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(f"monai_seunet.{target}", stop)
    assert main(words) == 130
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith(f"interrupted: {text}" if text else "interrupted") and bool(text) == (":" in line)
