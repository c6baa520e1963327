import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from monai_seunet.data.sets.archives import open_source
from monai_seunet.utils.errors import InputError

FILES = {"top/a/x.png": b"one", "top/b/x.png": b"two", "top/notes.txt": b"no image"}


def make_archive(path: Path, files: dict[str, bytes], link: str | None = None) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        return path
    with tarfile.open(path, "w:gz" if path.suffix == ".gz" else "w") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
        if link:
            info = tarfile.TarInfo(link)
            info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
            archive.addfile(info)
    return path


@pytest.mark.parametrize("name", ["a.tar.gz", "a.tar", "a.zip"])
def test_the_files_of_one_format_are_there_and_go(tmp_path, name):
    with open_source(make_archive(tmp_path / name, FILES), ".png") as folder:
        found = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.*")}
        assert found == {key: value for key, value in FILES.items() if key.endswith(".png")}
    assert not folder.exists() and sorted(path.name for path in tmp_path.iterdir()) == [name]


def test_a_folder_is_taken_as_it_is(tmp_path):
    with open_source(tmp_path, ".png") as folder:
        assert folder == tmp_path
    assert tmp_path.is_dir()


@pytest.mark.parametrize("name", ["a.tar.gz", "a.zip"])
@pytest.mark.parametrize("member", ["../evil.png", "/tmp/evil.png", "x/../../evil.png", "..\\evil.png", "C:\\evil.png"])
def test_members_that_leave_the_folder_are_refused(tmp_path, name, member):
    archive = make_archive(tmp_path / name, {"top/a.png": b"", member: b"evil"})
    with pytest.raises(InputError, match="outside its folder"), open_source(archive, ".png"):
        raise AssertionError("was opened")
    assert not list(tmp_path.parent.rglob("evil.png"))


def test_links_are_refused(tmp_path):
    archive = make_archive(tmp_path / "a.tar.gz", FILES, link="top/l.png")
    with pytest.raises(InputError, match="is a link"), open_source(archive, ".png"):
        raise AssertionError("was opened")


@pytest.mark.parametrize("damage", ["missing", "cut", "other"])
def test_damaged_archives_are_named(tmp_path, damage):
    archive = make_archive(tmp_path / "a.tar.gz", {"a.png": bytes(range(256)) * 100})
    content = {"missing": None, "cut": archive.read_bytes()[:-80], "other": b"rubbish" * 200}[damage]
    archive.unlink()
    if content:
        archive.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.tar\.gz: "), open_source(archive, ".png"):
        raise AssertionError("was opened")
