"""Every format of results has a writer, and the command refuses others before it starts."""

import pytest

from monai_seunet.cli import main
from monai_seunet.slides.options import SlideOptions
from monai_seunet.slides.outputs.formats import FILES
from monai_seunet.slides.outputs.results import LABEL_WRITERS, WRITERS
from monai_seunet.utils.errors import InputError

BY_THE_RUN = {"maps", "overlay", "summary", "objects", "spatialdata"}  # written while the slide is segmented


def test_every_format_is_written_at_one_place():
    assert len(WRITERS) + len(LABEL_WRITERS) + len(BY_THE_RUN) == len(FILES)
    assert set(FILES) == WRITERS.keys() | LABEL_WRITERS.keys() | BY_THE_RUN


def test_the_command_names_the_formats_it_knows(tmp_path, capsys):
    assert main(["segment", str(tmp_path), "--formats", "csv, shapefile"]) == 2
    said = capsys.readouterr().err
    assert "format 'shapefile' is unknown" in said and all(name in said for name in FILES)


def test_types_of_nuclei_are_those_of_qupath():
    assert SlideOptions(object_type="cell").object_type == "cell"
    with pytest.raises(InputError, match="object_type is 'cells'; choose detection or cell"):
        SlideOptions(object_type="cells")
