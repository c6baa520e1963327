"""One slide of real pixels from file to results by the command `monai-seunet segment`, with two networks."""

from __future__ import annotations

import argparse

from records import Records, run_step
from slides import measure, write_slide

MPP = 0.25
CONTENDERS = {"seunet_octaves": ("48", "model.pt"), "plain_unet": ("20", "plain_unet.pt")}


def one_slide(records: Records, options: argparse.Namespace) -> None:
    """Write a pyramidal slide of the tissue image of scikit-image, and segment it on the device."""
    from skimage.data import immunohistochemistry
    from slides import BUNDLE

    side = 1024 if options.quick else 8192
    slide = write_slide(options.work / f"tissue_{side}.tif", immunohistochemistry(), side, MPP)
    nuclei = {}
    for network, (width, weights) in list(CONTENDERS.items())[: 1 if options.quick else None]:
        contender = [network, width, str(BUNDLE / "models" / weights)]
        row = measure(slide, options.work / network, contender, [f"device={options.device}"], "on")
        nuclei[network] = row["objects"]
        square_mm = row["pixels"] * (MPP / 1000) ** 2
        title = f"{network}, width {width}: slide of {side} x {side} pixels ({square_mm:.2f} mm²)"
        records.check(f"{network}: nuclei are found", row["objects"] > 0, f"{row['objects']:.0f} nuclei")
        records.figure(f"{title}, file to results", row["total"] / square_mm, "s/mm²")
        records.figure(f"{title}, with the start of the program", row["wall"] / square_mm, "s/mm²")
        for step in ("read", "network", "blend", "nuclei", "write"):
            records.figure(f"{title}, {step}", row[step] / square_mm, "s/mm²")
        records.figure(f"{title}, peak memory of the processes", row["peak_gib"], "GiB")


if __name__ == "__main__":
    run_step(one_slide)
