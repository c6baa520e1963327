"""File of an archive: a Parquet table with one row for each run of an experiment."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import atomic_write, file_name

RUNS, FORMAT = "runs.parquet", b"monai_seunet runs 1"
MAX_POINTS = 200  # points of a curve over the training steps
STEP_CURVES = ("loss", "learning_rate")
_DESCRIPTION = (
    "One row for each training. `state` is its training.json, `files` maps paths of artifacts to their content. "
    f"The metrics {' and '.join(STEP_CURVES)} keep at most {MAX_POINTS} points: the first, the last, the smallest, the "
    "largest, and evenly spaced ones between them; all other metrics are complete. `time` is in ms since 1970."
)
_TEXTS = pa.map_(pa.string(), pa.string())
_POINT = pa.struct({"metric": pa.string(), "step": pa.int64(), "time": pa.int64(), "value": pa.float64()})
_SCHEMA = pa.schema(
    {
        **{"name": pa.string(), "start": pa.int64(), "end": pa.int64(), "tags": _TEXTS, "params": _TEXTS},
        **{"state": pa.string(), "points": pa.list_(_POINT), "files": pa.map_(pa.string(), pa.binary())},
    },
    {b"format": FORMAT, b"description": _DESCRIPTION.encode()},
)
_ENCODINGS = {"step": "DELTA_BINARY_PACKED", "time": "DELTA_BINARY_PACKED", "value": "BYTE_STREAM_SPLIT"}


class Point(NamedTuple):
    """One value of a metric. The order of points is that of MLflow.

    Attributes:
        metric: name of the metric.
        step: step of the metric in MLflow.
        time: ms since 1970.
        value: value of the metric.
    """

    metric: str
    step: int
    time: int
    value: float


class ArchivedRun(NamedTuple):
    """One training in an archive.

    Attributes:
        name: name of the run and of the folder of the training.
        start: start of the run in ms since 1970.
        end: end of the run in ms since 1970.
        tags: tags of the run.
        params: parameters of the run.
        state: content of its training.json.
        points: points of all metrics.
        files: contents of its artifacts by path.
    """

    name: str
    start: int
    end: int
    tags: dict[str, str]
    params: dict[str, str]
    state: dict[str, Any]
    points: list[Point]
    files: dict[str, bytes]

    def write_files(self, folder: Path) -> None:
        """Write the artifacts into a folder."""
        for path, content in self.files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)


def write_runs(folder: Path, runs: Iterable[ArchivedRun]) -> None:
    """Write the table; the same runs give the same bytes."""
    ordered = sorted(runs, key=lambda run: (run.start, run.name))
    rows = [{**run._asdict(), "state": json.dumps(run.state)} for run in ordered]
    with atomic_write(folder / RUNS) as temporary:
        pq.write_table(
            pa.Table.from_pylist(rows, _SCHEMA),
            temporary,
            compression="zstd",
            compression_level=19,
            column_encoding={f"points.list.element.{name}": encoding for name, encoding in _ENCODINGS.items()},
            use_dictionary=["points.list.element.metric", "files.key_value.value"],  # each content is stored once
            dictionary_pagesize_limit=2**30,
        )


def read_runs(folder: Path) -> list[ArchivedRun]:
    """Read the table that `write_runs` wrote.

    Raises:
        InputError: the file is missing or damaged, or a name or a path in it leads out of a folder.
    """
    try:
        with (folder / RUNS).open("rb") as file:
            table = pq.read_table(file)
        if (table.schema.metadata or {}).get(b"format") != FORMAT:
            raise ValueError(f"{RUNS} has another format")
        return [_run(row) for row in table.cast(_SCHEMA).to_pylist(maps_as_pydicts="strict")]
    except (OSError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise InputError(f"{folder}: no archive of an experiment ({reason}); give one that `archive` wrote") from error


def _run(row: dict[str, Any]) -> ArchivedRun:
    for path in (row["name"], *row["files"]):
        if path.startswith("/") or ".." in path.split("/") or row["name"] != file_name(row["name"]):
            raise ValueError(f"'{path}' leads out of its folder")
    state = json.loads(row["state"])
    row["state"] = {"plan": dict(state["plan"]), "done": dict(state["done"])}
    return ArchivedRun(**{**row, "points": [Point(**point) for point in row["points"]]})


def thin(points: list[Point]) -> list[Point]:
    """Return at most `MAX_POINTS` points of a curve over the training steps, and all points of another metric.

    Args:
        points: points of one metric in order.
    """
    if len(points) <= MAX_POINTS or points[0].metric not in STEP_CURVES:
        return points
    by_value = np.argsort([point.value for point in points], kind="stable")
    even = np.linspace(0, len(points) - 1, MAX_POINTS - 2).round().astype(int)
    return [points[place] for place in np.unique([*even, by_value[0], by_value[-1]])]
