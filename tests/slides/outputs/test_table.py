"""Tables hold the nuclei of the GeoJSON, with the same ids and measurements."""

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from nuclei_fields import RULES, discs, maps_of

from monai_seunet.slides.nuclei.find import find_nuclei
from monai_seunet.slides.outputs.geojson import write_geojson
from monai_seunet.slides.outputs.table import COLUMNS, write_csv, write_parquet


def read_csv(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_both_tables_and_the_outlines_agree(tmp_path, blocks, geometry):
    lines = read_csv(write_csv(tmp_path / "x.csv", blocks, geometry))
    rows = pq.read_table(write_parquet(tmp_path / "x.parquet", blocks, geometry)).to_pylist()
    written = write_geojson(tmp_path / "x.geojson", blocks, geometry).read_text(encoding="utf-8")
    outlines = json.loads(written)["features"]
    assert len(lines) == len(rows) == len(outlines) == sum(map(len, blocks))
    assert list(rows[0]) == list(lines[0]) == list(COLUMNS)
    for line, row, outline in zip(lines, rows, outlines, strict=True):
        assert {name: "" if value is None else str(value) for name, value in row.items()} == line
        assert row["id"] == outline["id"]
        assert row["class"] == outline["properties"]["classification"]["name"]
        measured = outline["properties"]["measurements"]
        assert row["area_um2"] == measured["Area µm^2"] and row["confidence"] == measured["Confidence"]
        assert row["scale_group"] == measured["Scale group"]
        assert row["scale_sigma_um"] == measured.get("Scale sigma µm")
        ring = np.array(outline["geometry"]["coordinates"][0])
        corners = [*ring.min(axis=0), *ring.max(axis=0)]
        assert np.allclose(corners, [row[f"box_{corner}_px"] for corner in ("x0", "y0", "x1", "y1")], atol=0.011)
    assert [row["label"] for row in rows] == list(range(1, len(rows) + 1))


def test_places_and_areas_are_those_of_the_slide(tmp_path, geometry):
    objects = find_nuclei(maps_of(discs((80, 80), (20, 50, 9))), RULES)
    (row,) = pq.read_table(write_parquet(tmp_path / "x.parquet", [objects], geometry)).to_pylist()
    assert (row["x_px"], row["y_px"]) == (round(50.5 / 0.4996, 2), 41.0)
    assert (row["x_um"], row["y_um"]) == (round(50.5 / 0.4996 * 0.2502, 2), 10.25)
    assert row["area_px"] == pytest.approx(objects.areas[0] / (0.5 * 0.4996), abs=0.01)
    assert row["perimeter_px"] == pytest.approx(2 * np.pi * 9 * 2, rel=0.04)
    assert row["perimeter_um"] == pytest.approx(row["perimeter_px"] * 0.2501, rel=1e-3)
    assert row["scale_sigma_px"] == pytest.approx(0.5 * 2, rel=1e-3)
    assert row["eccentricity"] < 0.1 and row["solidity"] > 0.95 and row["haematoxylin_od"] is None


def test_what_is_not_known_is_empty(tmp_path, unknown_frame):
    objects = find_nuclei(maps_of(discs((40, 40), (20, 20, 9)), group=255), RULES)
    (row,) = pq.read_table(write_parquet(tmp_path / "x.parquet", [objects], unknown_frame)).to_pylist()
    unknown = {name for name, value in row.items() if value is None}
    assert unknown == {
        *("x_um", "y_um", "area_um2", "perimeter_um", "haematoxylin_od"),
        *("scale_group", "scale_sigma_um", "scale_sigma_px"),
    }
    (line,) = read_csv(write_csv(tmp_path / "x.csv", [objects], unknown_frame))
    assert {name for name, value in line.items() if value == ""} == unknown


def test_no_nuclei_give_tables_without_rows(tmp_path, geometry):
    for number, parts in enumerate(([], [find_nuclei(maps_of(np.zeros((9, 9), bool)), RULES)])):
        table = pq.read_table(write_parquet(tmp_path / f"{number}.parquet", parts, geometry))
        assert table.num_rows == 0 and table.schema.names == list(COLUMNS)
        assert write_csv(tmp_path / f"{number}.csv", parts, geometry).read_text() == ",".join(COLUMNS) + "\n"
    assert len(list(tmp_path.iterdir())) == 4
