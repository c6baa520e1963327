"""Time SEUNet with the native kernels against the plain U-Net and SEUNet in torch, interleaved in one run.

A run without --quick adds the dense forms, other variants of the kernels, larger images, a batch of 8 and two threads.
Every run prints the share of the best possible speed (roofline).
Compare the ratios, because seconds vary between machines and runs. A speed-up above 1 means that SEUNet is faster.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection
from pathlib import Path

from contestants import MORE, ON_ONE_THREAD, ONLY_FORWARD, ONLY_STEP, QUICK, SLOW, Case, build, contestant
from memory import peak_training_memory
from timing import ALLOCATOR, start_again_with, time_all, touch_memory, write_json

WIDTHS = (20, 60)
Table = dict[str, dict[str, float]]


def measure(names: Collection[str], width: int, case: Case, rounds: tuple[int, int], memory: Collection[str]) -> Table:
    """Return the seconds of forward passes and steps, their lower bounds, and the MiB of a step."""
    import torch
    from roofline import least_seconds, measure_peak

    torch.set_num_threads(case.threads)
    table: Table = {name: {} for name in names}
    touch_memory()
    peak = measure_peak()
    for train, key, leave_out, count in (
        (False, "forward", ONLY_STEP, rounds[0]),
        (True, "step", ONLY_FORWARD, rounds[1]),
    ):
        runs = {name: contestant(name, width, case, train) for name in names if name not in leave_out}
        for name, seconds in time_all(runs, count, SLOW).items():
            table[name][key] = seconds
        for name in ("plain", "seunet", "octaves"):
            x = torch.rand(case.batch, 3, case.size, case.size)
            table[name][f"{key}_least"] = least_seconds(build(name, width), x, train, peak)
    for name, mebibytes in peak_training_memory(memory, width, case).items():
        table[name]["memory"] = mebibytes
    print_table(table, width, case)
    print(f"peak of the processor: {peak.macs / 1e9:.0f} G multiply-adds and {peak.bytes / 1e9:.0f} GB per second")
    return table


def ratios(table: Table) -> dict[str, float]:
    """Return the measured speed-ups (above 1: faster), shares of the best possible speed, and ratios of memory."""
    result = {}
    for name, prefix in (("seunet", ""), ("octaves", "octaves_"), ("recompute", "recompute_"), ("roto", "roto_")):
        row = table.get(name, {})
        others = {"plain": "plain", "torch": f"{name} in torch"}
        if name == "seunet":
            others |= {"dense": "dense", "dense_by_group": "dense by group"}
        for key in ("forward", "step"):
            for label, other in others.items():
                if key in row and key in table.get(other, {}):
                    result[f"{prefix}{key}_speedup_vs_{label}"] = table[other][key] / row[key]
            if f"{key}_least" in row:
                result[f"{prefix}{key}_share_of_best"] = row[f"{key}_least"] / row[key]
        if "memory" in row:
            result[f"{prefix}train_memory_ratio_vs_plain"] = row["memory"] / table["plain"]["memory"]
    for name, row in table.items():
        for key in ("forward", "step"):
            if " by " in name and name not in SLOW:
                result[f"{name.replace(' ', '_')}_{key}_speedup_vs_plain"] = table["plain"][key] / row[key]
            if name == ON_ONE_THREAD:
                result[f"{key}_speedup_vs_1_thread"] = row[key] / table["seunet"][key]
    return result


def print_table(table: Table, width: int, case: Case) -> None:
    """Print seconds, ratios to the plain U-Net, shares of the best possible speed, and MiB."""
    print(f"\nwidth {width}, {case}")
    heads = "".join(f"{key + ' s':>10}{'x plain':>9}{'of best':>9}" for key in ("forward", "step"))
    print(f"{'':18}{heads}{'step MiB':>10}")
    for name, row in table.items():
        cells = []
        for key in ("forward", "step"):
            least = row.get(f"{key}_least")
            cells.append(f"{row[key]:10.4f}{table['plain'][key] / row[key]:8.2f}x" if key in row else f"{'':19}")
            cells.append(f"{100 * least / row[key]:7.0f} %" if least else f"{'':9}")
        memory = f"{row['memory']:10.0f}" if "memory" in row else ""
        print(f"{name:18}{''.join(cells)}{memory}")


def measure_width(args: argparse.Namespace, width: int) -> dict:
    """Return the ratios of the first case, and the ratios of all cases under `cases`."""
    from monai_seunet.native.library import library_path, runnable

    first = Case(args.size[0], args.batch, args.threads)
    variants = [f"seunet by {name}" for name in runnable()[1:] if library_path(name).is_file()]
    cases = {first: QUICK if args.quick else (*QUICK, *MORE, *variants, *SLOW)}
    if not args.quick:
        further = {Case(size, args.batch, args.threads): QUICK for size in args.size[1:]}
        further |= {first._replace(batch=8): QUICK, first._replace(threads=2): (*QUICK, ON_ONE_THREAD)}
        cases |= {case: names for case, names in further.items() if case != first}
    tables: dict[Case, Table] = {}
    for case, names in cases.items():
        trained = [name for name in ("plain", "seunet", "recompute") if name in names]
        tables[case] = measure(names, width, case, (5, 3) if args.quick else (7, 4), trained)
    of_cases = {str(case): ratios(table) for case, table in tables.items()}
    results = of_cases[str(first)] | {"cases": of_cases}
    for case, figures in of_cases.items():
        print(f"\nwidth {width}, {case}")
        for key, value in figures.items():
            print(f"  {key:48}{value:6.2f}")
    return results


def main() -> None:
    """Measure, print and save the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, nargs="+", default=[256, 768], help="sides of the square images")
    parser.add_argument(
        "--width", type=int, nargs="+", default=WIDTHS, help="channels of the plain U-Net's finest level"
    )
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="one case, fewer networks and rounds; takes two minutes")
    parser.add_argument("--json", type=Path, help="file for the ratios of the first case, and of all under `cases`")
    args = parser.parse_args()
    start_again_with(ALLOCATOR)
    results = {f"width_{width}": measure_width(args, width) for width in args.width}
    if args.json:
        write_json(results | {"batch": args.batch, "threads": args.threads}, args.json)


if __name__ == "__main__":
    main()
