"""Build backend for pip: it builds the native library, adds the bundle to a wheel, and then calls setuptools.

If the machine has no compiler, the build installs the compiler of the package `ziglang`. If this also fails, the
package is built without kernels, and torch runs everything.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import build as kernels  # build.py beside this file
from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403 (all other hooks)

Settings = dict[str, Any] | None
PACKAGE = Path(__file__).parents[1]
LEFT_OUT = ("eval", "last.pt", "plain_unet.pt", "*.ts", "*.onnx")  # the plain U-Net is 11 MB and only for comparisons


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """Return the requirements of setuptools, with a compiler if the machine has none."""
    compiler = [] if kernels.compiler() else ["ziglang>=0.13"]
    return [*build_meta.get_requires_for_build_wheel(config_settings), *compiler]


get_requires_for_build_editable = get_requires_for_build_wheel  # as in setuptools


def build_wheel(wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None) -> str:
    """Build a wheel with the native library and the bundle, tagged for this platform."""
    built = _build_library()
    with _bundle_in_package(), _clean_tree():
        name = build_meta.build_wheel(wheel_directory, config_settings, metadata_directory)
    if not built:
        return name
    platform_tag = sysconfig.get_platform().replace("-", "_").replace(".", "_")
    command = [sys.executable, "-m", "wheel", "tags", "--remove", "--platform-tag", platform_tag]
    printed = subprocess.run([*command, str(Path(wheel_directory) / name)], check=True, capture_output=True, text=True)
    return printed.stdout.split()[-1]


def build_editable(
    wheel_directory: str, config_settings: Settings = None, metadata_directory: str | None = None
) -> str:
    """Build an editable installation with the native library."""
    _build_library()
    return build_meta.build_editable(wheel_directory, config_settings, metadata_directory)


def build_sdist(sdist_directory: str, config_settings: Settings = None) -> str:
    """Build a source distribution without a native library."""
    kernels.remove()
    return build_meta.build_sdist(sdist_directory, config_settings)


@contextmanager
def _bundle_in_package() -> Iterator[None]:
    """Copy the bundle into the package while a wheel is built."""
    inside = PACKAGE / "bundle"
    shutil.rmtree(inside, ignore_errors=True)
    shutil.copytree(PACKAGE.parent / "bundle", inside, ignore=shutil.ignore_patterns(*LEFT_OUT))
    try:
        yield
    finally:
        shutil.rmtree(inside)


@contextmanager
def _clean_tree() -> Iterator[None]:
    """Remove the folder in which setuptools builds: a later wheel would hold its files, and `import build` find it."""
    folder = PACKAGE.parent / "build"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        yield
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _build_library() -> bool:
    kernels.remove()
    command = kernels.compiler()
    try:
        if command is not None:
            kernels.build(command)
            return True
        print("no C++ compiler: the package is built without native kernels", file=sys.stderr)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"the native kernels cannot be built ({error}): the package is built without them", file=sys.stderr)
    return False
