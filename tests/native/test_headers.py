"""The C++ headers of the native library: no circle of includes, and each one compiles without the others before it."""

import re
import subprocess
from graphlib import TopologicalSorter

import pytest

from monai_seunet.native import build

HEADERS = sorted(path.relative_to(build.SOURCES).as_posix() for path in build.SOURCES.rglob("*.h"))


def included(header: str) -> list[str]:
    return re.findall(r'^#include "(.+)"', (build.SOURCES / header).read_text(), re.MULTILINE)


def test_no_header_includes_itself():
    graph = {header: included(header) for header in HEADERS}
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError, which names the headers of the circle
    assert sorted(order) == HEADERS  # each header that is included exists


def test_each_header_compiles_alone(tmp_path):
    command = build.compiler()
    if command is None:
        pytest.skip("no C++ compiler")
    files = [tmp_path / f"{header.replace('/', '-')}.cpp" for header in HEADERS]
    for header, file in zip(HEADERS, files, strict=True):
        file.write_text(f'#include "{header}"\n')
    flags = ["-std=c++17", "-fsyntax-only", "-Wno-psabi", f"-I{build.SOURCES}"]
    done = subprocess.run([*command, *flags, *map(str, files)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
