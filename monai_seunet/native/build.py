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
import socket
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

HERE = Path(__file__).parent
SOURCES = HERE / "src"
X86 = {
    "v4": ["-march=x86-64-v4", "-mprefer-vector-width=512"],
    "v3": ["-march=x86-64-v3"],
    "portable": [],
}
# zig builds for the machine that it runs on unless it is told another, and has other names
X86_OF_ZIG = {"v4": ["-mcpu=x86_64_v4"], "v3": ["-mcpu=x86_64_v3"], "portable": ["-mcpu=baseline"]}
FLAGS = [
    *("-std=c++17", "-O3", "-fPIC", "-shared", "-fvisibility=hidden", "-pthread"),
    # nothing of the C++ run-time library is needed, and products and sums may be fused; everything else is IEEE
    *("-fno-exceptions", "-fno-rtti", "-fno-math-errno", "-ffp-contract=fast"),
    *("-Wall", "-Wextra", "-Wno-psabi", "-Wno-unknown-pragmas"),
]


def compiler() -> list[str] | None:
    """The command of the first C++ compiler that builds what the kernels need, or None."""
    candidates = [shlex.split(os.environ["CXX"])] if os.environ.get("CXX") else []
    candidates += [[name] for name in ("g++", "clang++") if shutil.which(name)]
    if find_spec("ziglang"):
        candidates.append([sys.executable, "-m", "ziglang", "c++"])
    return next(filter(_works, candidates), None)


def _works(command: list[str]) -> bool:
    """Whether a compiler knows the vectors that the kernels are made of; g++ does from version 12 on."""
    program = """
        typedef float Vec __attribute__((vector_size(16)));
        Vec reversed(Vec a) { return __builtin_shufflevector(a, a, 3, 2, 1, 0); }
    """
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "vectors.cpp"
        source.write_text(program, encoding="utf-8")
        asked = [*command, "-std=c++17", "-c", str(source), "-o", str(source.with_suffix(".o"))]
        try:
            return subprocess.run(asked, capture_output=True).returncode == 0
        except OSError:
            return False


def variants(command: list[str]) -> dict[str, list[str]]:
    """The variants of this kind of processor, and the flags of each."""
    zig = "ziglang" in command
    if platform.machine().lower() in ("x86_64", "amd64"):
        return X86_OF_ZIG if zig else X86
    return {"portable": ["-mcpu=baseline"] if zig else []}


def build(command: list[str], more_flags: tuple[str, ...] = (), folder: Path = HERE / "lib") -> list[Path]:
    """Build all variants into a folder, and remove what is not built.

    A variant that the compiler cannot build is left out, and said. A file in use is replaced, not written over.

    Raises:
        subprocess.CalledProcessError: where the compiler builds none.
    """
    folder.mkdir(exist_ok=True)
    built: list[Path] = []
    failure = None
    for variant, flags in variants(command).items():
        target = folder / f"seunet-{platform.machine().lower()}-{variant}.so"
        new = target.with_suffix(f".{socket.gethostname()}-{os.getpid()}")
        digest = f'-DSEUNET_DIGEST="{source_digest()}"'
        source = [f"-I{SOURCES}", str(SOURCES / "library.cpp")]  # headers name each other from that folder on
        try:
            subprocess.run([*command, *FLAGS, *flags, *more_flags, digest, "-o", str(new), *source], check=True)
        except subprocess.CalledProcessError as error:
            print(f"{target.name} cannot be built", file=sys.stderr)
            failure = error
            continue
        new.replace(target)
        built.append(target)
    for old in folder.glob("seunet-*"):
        if old not in built:
            old.unlink()
    if failure is not None and not built:
        raise failure
    return built


def remove(folder: Path = HERE / "lib") -> None:
    """Remove all variants."""
    for old in folder.glob("seunet-*"):
        old.unlink()


def source_digest(sources: Path = SOURCES) -> str:
    """The digest of all source files. A variant that was built from other sources is not loaded."""
    digest = hashlib.sha256()
    for path in sorted(sources.rglob("*")):
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
