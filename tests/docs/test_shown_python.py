"""The Python of the README runs as it stands there."""

import re
from pathlib import Path

import pytest
import torch
from repository import ROOT

FIRST, SECOND = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.slow
def test_five_lines_find_the_nuclei_of_an_image(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert len([line for line in FIRST.splitlines() if line]) == 5
    (tmp_path / "bundle").symlink_to(ROOT / "bundle")
    monkeypatch.chdir(tmp_path)
    exec(compile(FIRST, "README.md", "exec"), {})
    (count,) = re.findall(r"^(\d+) nuclei", capsys.readouterr().out, re.MULTILINE)
    assert 230 <= int(count) <= 285  # 257 by one library of torch
    assert (tmp_path / "segmented" / "ihc" / "summary.html").is_file()


def test_networks_are_made_as_shown() -> None:
    names: dict[str, torch.nn.Module] = {}
    exec(compile(SECOND, "README.md", "exec"), names)
    net, x = names["net"].eval(), torch.rand(1, 3, 128, 160)
    with torch.inference_mode():
        logits = net(x)
        assert logits.shape == (1, 6, 2, 128, 160)
        torch.testing.assert_close(net.subset([1, 2])(x), logits[:, 1:3])
        torch.testing.assert_close(net.folded()(x), logits, atol=1e-4, rtol=1e-4)
