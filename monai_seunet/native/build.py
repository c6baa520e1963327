"""Build the native library with the compiler that is there: `python -m monai_seunet.native.build`.

Compilers are tried in this order: that of the environment variable CXX, g++, clang++, and the one of the package
`ziglang`. Imports nothing of the package, since it runs before that can be imported.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
X86 = {
    "v4": ["-march=x86-64-v4", "-mprefer-vector-width=512"],
    "v3": ["-march=x86-64-v3"],
    "portable": [],
}
FLAGS = [
    *("-std=c++17", "-O3", "-fPIC", "-shared", "-fvisibility=hidden", "-pthread"),
    # nothing of the C++ run-time library is needed, and products and sums may be fused; everything else is IEEE
    *("-fno-exceptions", "-fno-rtti", "-fno-math-errno", "-ffp-contract=fast"),
    *("-Wall", "-Wextra", "-Wno-psabi", "-Wno-unknown-pragmas"),
]


def compiler() -> list[str] | None:
    """The command of a C++ compiler, or None."""
    if os.environ.get("CXX"):
        return shlex.split(os.environ["CXX"])
    for name in ("g++", "clang++"):
        if shutil.which(name):
            return [name]
    return [sys.executable, "-m", "ziglang", "c++"] if find_spec("ziglang") else None


def variants() -> dict[str, list[str]]:
    """The variants of this kind of processor, and the flags of each."""
    return X86 if platform.machine().lower() in ("x86_64", "amd64") else {"portable": []}


def build(command: list[str], more_flags: tuple[str, ...] = (), folder: Path = HERE / "lib") -> list[Path]:
    """Build all variants into a folder; a file that was in use is replaced, not written over.

    Raises:
        subprocess.CalledProcessError: where the compiler fails.
    """
    folder.mkdir(exist_ok=True)
    built = []
    for variant, flags in variants().items():
        target = folder / f"seunet-{platform.machine().lower()}-{variant}.so"
        new = target.with_suffix(f".{os.getpid()}")
        sources = [str(HERE / "src" / "library.cpp")]
        digest = f'-DSEUNET_DIGEST="{source_digest()}"'
        subprocess.run([*command, *FLAGS, *flags, *more_flags, digest, "-o", str(new), *sources], check=True)
        new.replace(target)
        built.append(target)
    return built


def source_digest() -> str:
    """What the sources of the library are known by."""
    digest = hashlib.sha256()
    for path in sorted((HERE / "src").iterdir()):
        if path.suffix in (".h", ".cpp"):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def main() -> None:
    """Build for this machine, or say why not."""
    command = compiler()
    if command is None:
        sys.exit("error: no C++ compiler; install g++ or clang++, or the package ziglang: pip install ziglang")
    for path in build(command):
        print(path)


if __name__ == "__main__":
    main()
