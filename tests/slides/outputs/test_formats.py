"""Every format of results has a writer."""

from monai_seunet.slides.outputs.results import FILES, LABEL_WRITERS, WRITERS

BY_THE_RUN = {"maps", "overlay", "summary", "objects"}  # written while the slide is segmented


def test_every_format_is_written_at_one_place():
    assert len(WRITERS) + len(LABEL_WRITERS) + len(BY_THE_RUN) == len(FILES)
    assert set(FILES) == WRITERS.keys() | LABEL_WRITERS.keys() | BY_THE_RUN
