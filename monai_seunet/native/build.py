"""Build the native library: `python -m monai_seunet.native.build`.

Compilers are tried in this order: the environment variable CXX, g++, clang++, and the compiler of the package
`ziglang`. This module imports nothing of the package, because it runs before the package can be imported.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Collection
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = HERE / "src"
X86 = {"v4": ["-march=x86-64-v4", "-mprefer-vector-width=512"], "v3": ["-march=x86-64-v3"], "portable": []}
# zig has other names of processors and builds for this machine by default
X86_OF_ZIG = {"v4": ["-mcpu=x86_64_v4"], "v3": ["-mcpu=x86_64_v3"], "portable": ["-mcpu=baseline"]}
FLAGS = [
    *("-std=c++17", "-O3", "-fPIC", "-shared", "-fvisibility=hidden", "-pthread"),
    # The kernels need no C++ run-time library. Products and sums may be fused; all other arithmetic follows IEEE.
    *("-fno-exceptions", "-fno-rtti", "-fno-math-errno", "-ffp-contract=fast"),
    *("-Wall", "-Wextra", "-Wno-psabi", "-Wno-unknown-pragmas"),
]


def compiler() -> list[str] | None:
    """Return the command of the first C++ compiler that can build the kernels, or None."""
    candidates = [shlex.split(os.environ["CXX"])] if os.environ.get("CXX") else []
    candidates += [[name] for name in ("g++", "clang++") if shutil.which(name)]
    if find_spec("ziglang"):
        candidates.append([sys.executable, "-m", "ziglang", "c++"])
    return next(filter(_works, candidates), None)


def _works(command: list[str]) -> bool:
    """Return whether a compiler knows the vector types of the kernels, as g++ does from version 12."""
    program = """
        typedef float Vec __attribute__((vector_size(16)));
        Vec reversed(Vec a) { return __builtin_shufflevector(a, a, 3, 2, 1, 0); }
    """
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "vectors.cpp"
        source.write_text(program, encoding="utf-8")
        compilation = [*command, "-std=c++17", "-c", str(source), "-o", str(source.with_suffix(".o"))]
        try:
            return subprocess.run(compilation, capture_output=True).returncode == 0
        except OSError:
            return False


def variants(command: list[str]) -> dict[str, list[str]]:
    """Return the variants for this type of processor with their compiler flags."""
    zig = "ziglang" in command
    if platform.machine().lower() in ("x86_64", "amd64"):
        return X86_OF_ZIG if zig else X86
    return {"portable": ["-mcpu=baseline"] if zig else []}


def build(command: list[str], more_flags: tuple[str, ...] = (), folder: Path = HERE / "lib") -> list[Path]:
    """Build all variants into a folder, and remove all other variants.

    A variant that the compiler cannot build is reported and left out. Files are replaced atomically, because a process
    may use them.

    Raises:
        subprocess.CalledProcessError: if no variant can be built.
    """
    folder.mkdir(exist_ok=True)
    built: list[Path] = []
    failure = None
    for variant, flags in variants(command).items():
        target = folder / f"seunet-{platform.machine().lower()}-{variant}.so"
        new = target.with_suffix(f".{socket.gethostname()}-{os.getpid()}")
        digest = f'-DSEUNET_DIGEST="{source_digest()}"'
        source = [f"-I{SOURCES}", str(SOURCES / "library.cpp")]  # headers include each other by paths from this folder
        try:
            subprocess.run([*command, *FLAGS, *flags, *more_flags, digest, "-o", str(new), *source], check=True)
        except subprocess.CalledProcessError as error:
            print(f"{target.name} cannot be built", file=sys.stderr)
            failure = error
            continue
        new.replace(target)
        built.append(target)
    remove(folder, built)
    if failure is not None and not built:
        raise failure
    return built


def remove(folder: Path = HERE / "lib", kept: Collection[Path] = ()) -> None:
    """Remove all variants but those to keep."""
    for old in {*folder.glob("seunet-*")} - {*kept}:
        old.unlink()


def source_digest(sources: Path = SOURCES) -> str:
    """Return the digest of all source files; a variant of other sources is not loaded."""
    digest = hashlib.sha256()
    for path in sorted(sources.rglob("*")):
        if path.suffix in (".h", ".cpp"):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def main() -> None:
    """Build for this machine, or print the reason for the failure."""
    command = compiler()
    if command is None:
        sys.exit("error: no C++ compiler; install g++ or clang++, or the package ziglang: pip install ziglang")
    for path in build(command):
        print(path)


if __name__ == "__main__":
    main()
