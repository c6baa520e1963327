import struct
import zlib
from functools import partial

import imagecodecs
import numpy as np
import pytest
import tifffile
import torch
from layouts import write_image, write_medical
from monai.data import DataLoader
from monai.transforms import LoadImaged
from PIL import Image
from slide_files import noise, png_chunks

from monai_seunet.reading.raster import read_image, read_raster
from monai_seunet.reading.reader import HistologyReader
from monai_seunet.utils.errors import InputError

SIZE = (7, 11)  # rows and columns differ, so no swap goes unseen
RGB = noise(*SIZE)


def write_tiff(path, pixels, **options):
    tifffile.imwrite(path, pixels, photometric="rgb" if pixels.ndim == 3 else "minisblack", **options)


FORMATS = [
    ("a.png", write_image),
    ("a.bmp", write_image),
    ("a.tif", write_tiff),
    ("a.TIFF", write_tiff),
    ("a.nii.gz", write_medical),
    ("a.nrrd", write_medical),
    ("a.mha", write_medical),
]


def load(path, **kwargs):
    reader = HistologyReader(**kwargs)
    return LoadImaged("image", reader=reader, image_only=True, ensure_channel_first=True)({"image": path})["image"]


@pytest.mark.parametrize(("name", "write"), FORMATS)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_format_gives_the_same_pixels_rows_first(tmp_path, name, write, channels):
    pixels = RGB if channels == 3 else RGB[:, :, 0]
    write(tmp_path / name, pixels)
    image = load(tmp_path / name)
    assert image.shape == (channels, *SIZE)
    assert torch.equal(image.as_tensor(), torch.from_numpy(np.atleast_3d(pixels)).permute(2, 0, 1).float())


def test_planar_ome_tiff_gives_its_pixels(tmp_path):
    tifffile.imwrite(tmp_path / "a.ome.tif", np.moveaxis(RGB, -1, 0), ome=True, metadata={"axes": "CYX"})
    assert np.array_equal(read_raster(tmp_path / "a.ome.tif").pixels, RGB)


@pytest.mark.parametrize(
    ("name", "write"),
    [("a.png", lambda path, pixels: path.write_bytes(imagecodecs.png_encode(pixels))), ("a.tif", write_tiff)],
)
def test_16_bit_labels_keep_their_numbers(tmp_path, name, write):
    label = np.arange(77, dtype=np.uint16).reshape(SIZE) * 800
    for pixels in (label, np.dstack([label] * 3)):  # three equal channels are one
        write(tmp_path / name, pixels)
        assert np.array_equal(load(tmp_path / name, labels=True).numpy()[0], label)


def test_16_bit_colour_comes_with_8_bits(tmp_path):
    write_tiff(tmp_path / "a.tif", RGB.astype(np.uint16) * 257)
    assert np.array_equal(read_image(tmp_path / "a.tif").pixels, RGB)


def test_alpha_is_laid_on_white_with_a_warning(tmp_path):
    alpha = np.full(SIZE, 255, np.uint8)
    write_image(tmp_path / "a.png", np.dstack([RGB, alpha]))
    assert np.array_equal(load(tmp_path / "a.png").numpy().transpose(1, 2, 0), RGB), "all of it is opaque"
    alpha[:3] = 0
    write_image(tmp_path / "a.png", np.dstack([RGB, alpha]))
    with pytest.warns(UserWarning, match=r"a\.png: alpha blended with white"):
        image = load(tmp_path / "a.png").numpy().transpose(1, 2, 0)
    assert (image[:3] == 255).all() and np.array_equal(image[3:], RGB[3:])


def test_palette_images_keep_their_indices(tmp_path):
    image = Image.fromarray(np.arange(77, dtype=np.uint8).reshape(SIZE) % 5).convert("P")
    image.putpalette([200, 10, 10] * 256)
    image.save(tmp_path / "a.png")
    assert np.array_equal(np.unique(read_raster(tmp_path / "a.png").pixels), np.arange(5))


def with_png_resolution(path):
    Image.fromarray(RGB).save(path, dpi=(25_400 / 0.5,) * 2)


OME = {"axes": "YXS", "PhysicalSizeX": 500, "PhysicalSizeXUnit": "nm"}
APERIO = "Aperio Image Library\n7x11 |AppMag = 20|MPP = 0.5000|Top = 1"


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.png", with_png_resolution),
        ("a.tif", partial(write_tiff, pixels=RGB, resolution=(20_000, 20_000), resolutionunit="CENTIMETER")),
        ("a.ome.tif", partial(write_tiff, pixels=RGB, ome=True, metadata=OME)),
        ("a.svs", partial(write_tiff, pixels=RGB, description=APERIO, metadata=None)),
        ("a.nii", partial(write_medical, pixels=RGB[:, :, 0], mm=0.0005)),
        ("a.mha", partial(write_medical, pixels=RGB[:, :, 0], mm=0.0005)),
    ],
)
def test_mpp_of_the_file_goes_into_the_affine(tmp_path, name, write):
    write(tmp_path / name)
    image = load(tmp_path / name)
    assert image.meta["mpp"] == pytest.approx(0.5, rel=1e-4)
    assert torch.allclose(image.affine, torch.diag(torch.tensor([0.5, 0.5, 1, 1], dtype=image.affine.dtype)), rtol=1e-4)


@pytest.mark.parametrize("dpi", [72, 96, 300, 1200])
def test_resolution_of_screens_and_printers_is_no_mpp(tmp_path, dpi):
    Image.fromarray(RGB).save(tmp_path / "a.jpg", dpi=(dpi, dpi))
    image = load(tmp_path / "a.jpg")
    assert "mpp" not in image.meta
    assert torch.equal(image.affine, torch.eye(4, dtype=image.affine.dtype))


def test_given_mpp_is_above_that_of_the_file(tmp_path):
    with_png_resolution(tmp_path / "a.png")
    assert load(tmp_path / "a.png", mpp=0.25).affine[0, 0] == 0.25


def test_images_with_and_without_mpp_go_through_one_loader(tmp_path):
    with_png_resolution(tmp_path / "a.png")
    write_image(tmp_path / "b.png", RGB)
    images = [{"image": load(tmp_path / name)} for name in ("a.png", "b.png")]
    assert next(iter(DataLoader(images, batch_size=2)))["image"].shape == (2, 3, *SIZE)


def test_several_files_become_channels_of_one_image(tmp_path):
    paths = [write_image(tmp_path / f"{channel}.png", RGB[:, :, channel]) for channel in range(2)]
    pixels, _ = HistologyReader().get_data(paths)
    assert np.array_equal(pixels, RGB[:, :, :2])
    write_image(paths[1], RGB[:-1, :, 0])
    with pytest.raises(InputError, match="differ in size"):
        HistologyReader().get_data(paths)


@pytest.mark.parametrize("name", ["a.docx", "a"])
def test_a_picture_is_known_by_its_content_whatever_its_suffix(tmp_path, name):
    Image.fromarray(RGB).save(tmp_path / name, "PNG")
    assert np.array_equal(read_raster(tmp_path / name).pixels, RGB)
    (tmp_path / name).write_text("no picture")
    with pytest.raises(InputError, match=rf"{name}: unknown image format"):
        read_raster(tmp_path / name)


def write_huge_png(path):
    header = struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0)
    chunks = png_chunks((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("missing.png", lambda path: None, "no such file"),
        ("broken.png", lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\nrubbish"), "cannot be read"),
        ("huge.png", write_huge_png, "convert it to a tiled TIFF"),
        ("empty.tif", lambda path: path.write_bytes(b""), "the file is empty"),
        ("broken.nii.gz", lambda path: path.write_bytes(b"rubbish"), "cannot be read"),
        ("broken.nrrd", lambda path: path.write_bytes(b"rubbish"), "ITK does not recognise the format"),
        ("notes.txt", lambda path: path.write_text("x"), "unknown image format"),
        (
            "channels.tif",
            lambda path: tifffile.imwrite(path, np.zeros((5, 8, 9), np.uint8), imagej=True, metadata={"axes": "CYX"}),
            "channels are no colours",
        ),
    ],
)
def test_what_cannot_be_read_is_refused_by_name(tmp_path, name, write, message):
    write(tmp_path / name)
    with pytest.raises(InputError, match=message) as error:
        load(tmp_path / name)  # through LoadImage, which would fall back on readers that swap the axes
    assert name in str(error.value)


@pytest.mark.parametrize("mpp", [0, -0.5, float("nan")])
def test_wrong_mpp_is_refused(mpp):
    with pytest.raises(ValueError, match="mpp is"):
        HistologyReader(mpp=mpp)
