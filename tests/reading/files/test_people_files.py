import numpy as np
import pytest
from people_files import FILES

from monai_seunet.reading.opening import open_slide


@pytest.mark.parametrize("name", FILES)
@pytest.mark.filterwarnings("error")
def test_files_of_people_are_read_as_people_see_them(tmp_path, name):
    write, shown, mpp, note, tolerance = FILES[name]
    write(tmp_path / name)
    with open_slide(tmp_path / name) as slide:
        read = slide.read(0, 0, 0, slide.height, slide.width)
        assert read.shape == shown.shape
        difference = np.abs(read.astype(int) - shown)
        assert difference.max() <= tolerance
        assert slide.mpp == (None if mpp is None else pytest.approx(mpp, rel=1e-6))
        assert any(note in one for one in slide.notes) if note else slide.notes == ()
        assert np.array_equal(slide.read(0, 13, 29, 40, 50), read[13:53, 29:79]), "a part is a part of the whole"
