"""The native library under AddressSanitizer and UndefinedBehaviorSanitizer, on networks and images of odd sizes."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from monai_seunet.native import build
from monai_seunet.native import library as native

PROGRAM = """
import random, sys
from pathlib import Path
import torch
from monai_seunet.native import library as native
native.library_path = lambda variant: Path(sys.argv[1]) / f"seunet-{native.platform.machine().lower()}-{variant}.so"
from monai_seunet.fusion import STRATEGIES, fuse, group_weights, winning_scale
from monai_seunet.networks import SEUNet
from monai_seunet.networks.layers.sampling import pad_to_multiple
from monai_seunet.transforms.stain.functional import transfer_stains

assert native.library() is not None
draw = random.Random(0)
torch.manual_seed(0)
for case in range(6):
    groups, levels, octaves = draw.randint(1, 4), draw.choice((1, 2, 3)), draw.choice((1, 1, 2))
    bounds = [sorted((s, s + 0.01) for s in (draw.uniform(0.4, 10) for _ in range(groups)))] * levels
    width = groups * octaves * draw.choice((1, 2, 3, 5, 7))
    net = SEUNet(2, draw.randint(2, 5), width, levels, octaves, groups, sigma_ranges=bounds)
    least = net.least_side()
    x = torch.randn(draw.randint(1, 2), 2, draw.randint(least, least + 90), draw.randint(least, least + 90))
    torch.set_num_threads(draw.randint(1, 3))
    net.train()(x).square().mean().backward()
    with torch.no_grad():
        net.eval()
        natively = net(x)
        with native.torch_form():
            expected = net(x)
        height, width = draw.randint(1, x.shape[2]), draw.randint(1, x.shape[3])
        part = draw.randint(0, x.shape[2] - height), draw.randint(0, x.shape[3] - width), height, width
        found = net.foreground(pad_to_multiple(x, net.stride), part)
    assert float((natively - expected).abs().max() / expected.abs().max()) < 1e-4
    assert 0 <= float(found.min()) <= float(found.max()) <= 1
    probabilities = torch.randn(2, groups, draw.randint(2, 4), draw.randint(1, 40), draw.randint(1, 40)).softmax(2)
    for strategy in STRATEGIES:
        weights = group_weights(probabilities, strategy)
        fuse(probabilities, strategy, weights), winning_scale(probabilities, strategy, weights)
    colours = torch.randint(256, (draw.randint(1, 90), draw.randint(1, 90), 3), dtype=torch.uint8)
    stains = torch.tensor([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]])
    transfer_stains(colours.permute(2, 0, 1), stains, stains.flip(1), torch.ones(2), 0.01)
print("all is well")
"""


def sanitizer_libraries() -> list[str]:
    if not shutil.which("g++"):
        return []
    found = []
    for name in ("libasan.so", "libubsan.so"):
        asked = ["g++", f"-print-file-name={name}"]
        found.append(subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip())
    return found if all(Path(path).is_absolute() for path in found) else []


@pytest.mark.slow
def test_no_access_out_of_bounds_and_nothing_undefined(tmp_path, monkeypatch):
    libraries, loaded = sanitizer_libraries(), native.library()
    if not libraries or loaded is None:
        pytest.skip("no g++ with sanitizers, or no native library for this machine")
    variant = Path(loaded._name).stem.rsplit("-", 1)[1]
    monkeypatch.setattr(build, "variants", lambda _: {variant: build.X86.get(variant, [])})
    # not optimised: no access is left out, and it is compiled in a third of the time
    flags = ("-O0", "-g1", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined")
    build.build(["g++"], flags, tmp_path)
    environment = os.environ | {"LD_PRELOAD": ":".join(libraries), "ASAN_OPTIONS": "detect_leaks=0"}
    environment.pop(native.SETTING, None)
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=400)
    assert done.returncode == 0 and "all is well" in done.stdout, done.stderr[-3000:]
