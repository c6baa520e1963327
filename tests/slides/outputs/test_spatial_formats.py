"""Without the extra `spatial`, its formats say what is missing before the slide is read."""

import pytest

from monai_seunet.slides.outputs import formats
from monai_seunet.slides.outputs.formats import EXTRA, check_formats
from monai_seunet.utils.errors import InputError


@pytest.mark.parametrize("name", EXTRA)
def test_a_missing_package_is_named(name, monkeypatch):
    monkeypatch.setattr(formats, "is_installed", lambda _: False)
    with pytest.raises(
        InputError,
        match=rf"format '{name}' needs the package {name}, which is not installed; pip install .*\[spatial\]",
    ):
        check_formats(["csv", name])
    assert check_formats(["csv", "parquet"]) == ("csv", "parquet")
