"""Check networks, training and slides on a GPU, in one call of at most ten minutes.

Every step is a program of its own with a time limit. A step that fails, or lacks a package, does not stop the others.
Without a GPU, the same steps run on the CPU with small images. The report is REPORT/report.md and report.json.

The exit status is 0 if every step ran and passed, else 1.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from page import Result, read_facts, read_records, write_report
from records import reason

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
# Seconds of each step, in the order in which they run; all of them end within ten minutes. The last one gets what the
# others leave.
STEPS = {
    "machine": 30,
    "exact_results": 80,
    "half_precision": 60,
    "speed": 100,
    "peak_memory": 50,
    "one_slide": 80,
    "processes": 70,
    "device_tests": 50,
    "compiled": 50,
}
TOTAL, LAST = 570, "compiled"
SLOWER = 4  # a CPU gets that many times the limit
PATIENCE = 5  # seconds that a stopped program has to end by itself


def device_of(wanted: str) -> str:
    """Return the wanted device; `auto` is the GPU if torch sees one, else the CPU."""
    if wanted != "auto":
        return wanted
    words = [sys.executable, "-c", "import torch; print('cuda' if torch.cuda.is_available() else 'cpu')"]
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"error: {sys.executable} has no torch that can be imported; set PYTHON to one that has")
    return done.stdout.strip()


def run_step(name: str, program: Path, limit: float, device: str, quick: bool, work: Path) -> Result:
    """Run the program of a step; return its records and how it ended."""
    records = work / f"{name}.jsonl"
    words = [sys.executable, str(program), "--device", device, "--records", str(records), "--work", str(work)]
    paths = [str(ROOT), str(HERE), str(ROOT / "scripts" / "benchmarks"), os.environ.get("PYTHONPATH", "")]
    start = time.monotonic()
    process = subprocess.Popen(
        words + ["--quick"] * quick,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, paths))},
        start_new_session=True,  # with its own processes, so that all of them can be stopped
    )
    try:
        output, _ = process.communicate(timeout=limit)
        problem = reason(output) if process.returncode else ""
    except subprocess.TimeoutExpired:
        stop(process)
        problem = f"stopped after {limit:.0f} seconds"
    return Result(name, time.monotonic() - start, problem, read_records(records))


def stop(process: subprocess.Popen[str]) -> None:
    """End a program and all that it started; torchrun ends its workers, which left the group, when it is asked to."""
    for signal_number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, signal_number)
            process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            continue
        except ProcessLookupError:
            return


def main() -> None:
    """Run the steps, write the report, and say which steps failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="auto", help="cuda, cuda:N or cpu (default: a GPU if there is one)")
    parser.add_argument("--quick", action="store_true", help="small sizes and few networks; always on a CPU")
    parser.add_argument("--full", action="store_true", help="all sizes and networks, on a CPU, too")
    parser.add_argument("--steps", nargs="+", choices=STEPS, metavar="STEP", help=", ".join(STEPS))
    parser.add_argument("--output", type=Path, default=ROOT / "runs" / "check_gpu", help="folder of the report")
    options = parser.parse_args()
    device = device_of(options.device)
    quick = options.quick or (device == "cpu" and not options.full)
    options.output.mkdir(parents=True, exist_ok=True)
    steps = options.steps or [name for name in STEPS if device != "cpu" or name != LAST]  # takes minutes on a CPU
    results, start = [], time.monotonic()
    with tempfile.TemporaryDirectory(prefix="check_gpu_") as folder:
        for name in steps:
            limit = STEPS[name] * (SLOWER if device == "cpu" else 1)
            if name == LAST:
                limit = max(limit, TOTAL - (time.monotonic() - start))
            result = run_step(name, HERE / f"{name}.py", limit, device, quick, Path(folder))
            results.append(result)
            print(result.line, flush=True)
            if name == "machine":
                print(f"missing packages: {read_facts(Path(folder), device)['missing packages']}", flush=True)
            write_report(options.output, results, device, quick, Path(folder))  # complete after every step
    print(f"report: {options.output / 'report.md'}")
    sys.exit(int(not all(result.passed for result in results)))


if __name__ == "__main__":
    main()
