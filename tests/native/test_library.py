"""Which native library is loaded, and what is said where there is none."""

import ctypes
import logging
import shutil
import subprocess
import sys

import pytest
import torch

from monai_seunet.native import build
from monai_seunet.native import library as native
from monai_seunet.utils.errors import InputError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A copy of the package's folder, and a library that is chosen anew."""
    shutil.copytree(native.HERE / "src", tmp_path / "src")
    (tmp_path / "lib").mkdir()
    monkeypatch.setattr(native, "HERE", tmp_path)
    monkeypatch.delenv(native.SETTING, raising=False)
    native._load_variant.cache_clear()
    yield tmp_path
    native._load_variant.cache_clear()


def built(folder):
    command = build.compiler()
    if command is None:
        pytest.skip("no C++ compiler")
    return build.build(command, ("-O0",), folder / "lib")


def test_the_library_is_there_where_it_could_be_built():
    """Without it, the tests of the kernels are skipped."""
    assert native.library() is not None or build.compiler() is None


def test_the_fastest_variant_is_taken_unless_one_is_named(folder, monkeypatch):
    paths = built(folder)
    assert {path.stem.rsplit("-", 1)[1] for path in paths} <= set(native.VARIANTS)
    fastest = next(v for v in native.VARIANTS if v in native.library()._name)
    capability = torch.backends.cpu.get_cpu_capability()
    assert fastest == {"AVX512": "v4", "AVX2": "v3"}.get(capability, "portable")
    for variant in ("portable", "off"):
        native._load_variant.cache_clear()
        monkeypatch.setenv(native.SETTING, variant)
        loaded = native.library()
        assert loaded is None if variant == "off" else str(loaded._name).endswith("-portable.so")


def test_a_setting_that_cannot_be_is_refused(folder, monkeypatch):
    for setting, problem in (("avx", "is 'avx'; choose one of v4, v3, portable or off"), ("portable", "is missing or")):
        monkeypatch.setenv(native.SETTING, setting)
        with pytest.raises(InputError, match=problem):
            native.library()


def test_no_library_is_no_mistake(folder, caplog):
    with caplog.at_level(logging.INFO):
        assert native.library() is None
    assert "networks run in torch" in caplog.text


def test_a_damaged_library_is_named_and_not_run(folder):
    native.library_path("portable").write_bytes(b"\x7fELF no more")
    with pytest.warns(UserWarning, match=r"seunet-.*-portable\.so: not a library of native kernels"):
        assert native.library() is None


def test_a_library_of_other_sources_is_named_and_not_run(folder):
    built(folder)
    (folder / "src" / "kernels" / "channel_mix.h").write_text("// changed since\n")
    with pytest.warns(UserWarning, match=r"\.so: built from other sources"):
        assert native.library() is None


def test_builder_and_loader_know_the_same_files():
    by_gcc, by_zig = (set(build.variants(command)) for command in (["g++"], ["python", "-m", "ziglang", "c++"]))
    assert by_gcc == by_zig <= set(native.VARIANTS)


def test_only_compilers_that_know_the_vectors_are_taken(monkeypatch, tmp_path):
    old = tmp_path / "g++"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("CXX", str(tmp_path / "missing"))
    monkeypatch.setattr(build, "find_spec", lambda _: None)
    assert build.compiler() is None
    old.write_text("#!/bin/sh\nexit 0\n")
    assert build.compiler() == ["g++"]


def test_structures_are_as_large_as_those_of_the_library():
    library = native.library()
    if library is None:
        pytest.skip("no native library for this machine")
    sizes = [library.seunet_structure_bytes(number) for number in range(len(native.STRUCTURES) + 1)]
    assert sizes == [*map(ctypes.sizeof, native.STRUCTURES), 0]


def test_what_is_not_built_is_removed(folder):
    native.library_path("other").write_bytes(b"of a former version")
    paths = built(folder)
    assert set((folder / "lib").iterdir()) == set(paths)


def test_without_a_compiler_the_builder_says_what_to_install(monkeypatch, capsys):
    monkeypatch.setattr(build, "compiler", lambda: None)
    with pytest.raises(SystemExit, match="no C\\+\\+ compiler; install"):
        build.main()


def test_the_builder_needs_nothing_of_the_package():
    code = f"import sys; sys.path.insert(0, {str(native.HERE)!r}); import build; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
