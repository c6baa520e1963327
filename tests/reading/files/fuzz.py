"""Read valid files with fields changed at random.

Command: PYTHONPATH=tests/helpers python tests/reading/files/fuzz.py COUNT [SEED]

Each file has to be read, or refused by name in one line, within a time; a size that nobody changed stays. Child
processes read them, so a crash of a decoder is seen, too. Prints what broke the rules, with the seed of each.
"""

import os
import random
import re
import resource
import signal
import struct
import sys
import tempfile
import traceback
import warnings
from collections import Counter
from multiprocessing import get_context
from pathlib import Path

from annotation_files import Shape, asap, coco, collection, flat, imagescope, layer, polygon, region
from people_files import FILES
from slide_files import png_chunks

from monai_seunet.reading.annotations import read_annotations
from monai_seunet.reading.opening import open_slide
from monai_seunet.reading.raster import read_label, read_raster
from monai_seunet.utils.errors import InputError

SECONDS, MEMORY = 30, 6 << 30
LARGEST = 1 << 22  # pixels that are read of a file whose size was changed
VALUES = (0, 1, 2, 3, 7, 8, 16, 255, 256, 4096, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)
# Tags that may change the size of the image that is read, or which of several it is.
SIZE_TAGS = {
    *(254, 255, 256, 257, 258, 259, 262, 266, 270, 273, 274, 277, 278, 279, 284),
    *(322, 323, 324, 325, 330, 338, 339),
}
XML_SIZE = (
    *("Size", "Order", "Samples", "IFD", "Plane", "Type", "xmlns"),
    *("OME", "Image", "Pixels", "Channel", "TiffD", "Name"),
)
TRIANGLE = Shape([(1, 2), (30, 2), (30, 40)], [[(5, 5), (9, 5), (9, 9)]])
CROWD = {"segmentation": {"size": [50, 60], "counts": [100, 20, 2880]}, "iscrowd": 1}
ANNOTATIONS = {
    "a.xml": imagescope(layer(region(TRIANGLE.outer), region([(5, 5), (9, 9)], kind=2, negative=1))),
    "b.xml": asap(TRIANGLE),
    "c.geojson": collection(polygon(TRIANGLE)),
    "d.json": coco(
        [{"segmentation": [flat(TRIANGLE.outer)], "iscrowd": 0}, CROWD],
        [{"id": 1, "file_name": "d.png", "width": 60, "height": 50}],
    ),
}


def mutate(content: bytes, name: str, rng: random.Random) -> tuple[bytes, bool]:
    """Content with one to three fields changed, and whether its size is still that of the original."""
    keeps = True
    for _ in range(rng.randint(1, 3)):
        kind = rng.random()
        if kind < 0.1:
            content, kept = content[: rng.randrange(len(content))], False
        elif kind < 0.2:
            content, kept = _flip(content, rng), False
        elif content[:4] in (b"II*\0", b"MM\0*"):
            content, kept = _mutate_tiff(content, rng)
        elif content.startswith(b"\x89PNG"):
            content, kept = _mutate_png(content, rng)
        elif name.endswith((".xml", "json")):
            content, kept = _mutate_text(content, rng), False
        else:
            content, kept = _flip(content, rng, 600), False
        keeps = keeps and kept
    return content, keeps


def _flip(content: bytes, rng: random.Random, most: int | None = None) -> bytes:
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        if data:
            place = rng.randrange(min(len(data), most or len(data)))
            data[place] = rng.choice((0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)))
    return bytes(data)


def _mutate_tiff(content: bytes, rng: random.Random) -> tuple[bytes, bool]:
    """Another type, count or value of a tag of a page, or another attribute in its XML."""
    xml = re.search(rb"<OME.*</[\w:]*OME>", content, re.DOTALL)
    if xml and rng.random() < 0.5:
        return _mutate_xml(content, xml, rng)
    order = "<" if content[:2] == b"II" else ">"
    place, tags, pages = struct.unpack_from(f"{order}I", content, 4)[0], [], 0
    while place and place + 2 <= len(content) and pages < 20:
        count = struct.unpack_from(f"{order}H", content, place)[0]
        tags += [place + 2 + 12 * i for i in range(count) if place + 14 + 12 * i <= len(content)]
        following = place + 2 + 12 * count
        place = struct.unpack_from(f"{order}I", content, following)[0] if following + 4 <= len(content) else 0
        pages += 1
    if not tags:
        return _flip(content, rng), False
    data, entry = bytearray(content), rng.choice(tags)
    code = struct.unpack_from(f"{order}H", data, entry)[0]
    what, value = rng.random(), rng.choice(VALUES)
    if what < 0.15:
        struct.pack_into(f"{order}H", data, entry + 2, rng.randrange(20))
    elif what < 0.3:
        struct.pack_into(f"{order}I", data, entry + 4, value)
    elif what < 0.4:
        struct.pack_into(f"{order}H", data, entry, rng.choice((254, 262, 274, 282, 296, 320, 330, 338, 65000)))
        return bytes(data), False
    elif struct.unpack_from(f"{order}H", data, entry + 2)[0] == 3:
        struct.pack_into(f"{order}H", data, entry + 8, value & 0xFFFF)
    else:
        struct.pack_into(f"{order}I", data, entry + 8, value)
    return bytes(data), code not in SIZE_TAGS


def _mutate_xml(content: bytes, xml: re.Match[bytes], rng: random.Random) -> tuple[bytes, bool]:
    """Keeps the length of the file, since offsets point behind the XML."""
    found = list(re.finditer(rb"[\w:]+=\"[^\"]*\"|</?[\w:]+", xml.group()))
    one = rng.choice(found)
    text, length = one.group(), len(one.group())
    key = text.partition(b"=")[0].decode()
    new = rng.choice(
        (
            text[:-1][: length // 2] + b'"' if b"=" in text else b"<x",
            key.encode() + b'="' + rng.choice((b"-1", b"0", b"nan", b"1e99", b"&lt;", b"&#0;", b"1,5", b"")) + b'"',
            text.swapcase(),
            b" ",
        )
    )[:length].ljust(length)
    start = xml.start() + one.start()
    keeps = not any(word in key for word in XML_SIZE)
    return content[:start] + new + content[start + length :], keeps


def _mutate_png(content: bytes, rng: random.Random) -> tuple[bytes, bool]:
    """Another byte in a chunk that is not of pixels, with a right checksum; or a chunk twice, or away."""
    chunks, place = [], 8
    while place + 12 <= len(content):
        length = struct.unpack_from(">I", content, place)[0]
        chunks.append((content[place + 4 : place + 8], content[place + 8 : place + 8 + length]))
        place += 12 + length
    if not chunks:
        return _flip(content, rng), False
    number = rng.randrange(len(chunks))
    name, data = chunks[number]
    what = rng.random()
    if what < 0.1:
        chunks.insert(number, chunks[number])
    elif what < 0.2:
        del chunks[number]
    elif data:
        changed = bytearray(data)
        changed[rng.randrange(len(data))] = rng.choice((0, 1, 3, 16, 0x7F, 0xFF))
        chunks[number] = (name, bytes(changed))
    return content[:8] + png_chunks(*chunks), name not in (b"IHDR", b"IDAT", b"eXIf")


def _mutate_text(content: bytes, rng: random.Random) -> bytes:
    found = list(re.finditer(rb"\"[^\"]*\"|-?\d+\.?\d*|[\w:]+|[\[\]{}<>/=,]", content))
    if not found:
        return _flip(content, rng)
    one = rng.choice(found)
    others = b'0 -1 1e999 NaN "x" null [] {} &#0; 1,5'.split()
    new = rng.choice((*others, b"", b"<!DOCTYPE x>", one.group() * 2, rng.choice(found).group()))
    return content[: one.start()] + new + content[one.end() :]


def read(path: Path, size: tuple[int, int] | None) -> str:
    """What became of a file, `read` or `refused`; the size that it has to have is None where that was changed."""
    if path.name in ANNOTATIONS:
        found = _or_refused(lambda: read_annotations(path, path.stem).annotations, path)
        return "read" if found and repr(found) else "refused"
    outcome = "refused"
    slide = _or_refused(lambda: open_slide(path), path)
    if slide is not None:
        outcome = "read"
        with slide:
            assert size is None or (slide.height, slide.width) == size, f"size {slide.height, slide.width}"
            assert slide.mpp is None or all(0.02 <= side <= 20 for side in slide.mpp), f"mpp {slide.mpp}"
            height, width = min(slide.height, 2048), min(slide.width, 2048)
            pixels = _or_refused(lambda: slide.read(0, 0, 0, height, width), path)
            assert pixels is None or pixels.shape == (height, width, 3)
            small = slide.height * slide.width <= LARGEST
    for other in (read_raster, read_label) if slide is None or small else ():
        _or_refused(lambda other=other: other(path), path)
    return outcome


def _or_refused(run, path):
    try:
        return run()
    except InputError as error:
        text = str(error)
        assert "\n" not in text and path.name in text and len(text) < 1000, f"not one line: {text!r}"
        return None


def check(seed: int) -> tuple[int, str, str]:
    """Make a file of a seed, and read it."""
    rng = random.Random(seed)
    name = rng.choice([*FILES, *ANNOTATIONS] if rng.random() < 0.8 else list(ANNOTATIONS))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_text(ANNOTATIONS[name]) if name in ANNOTATIONS else FILES[name].write(path)
        content, keeps = mutate(path.read_bytes(), name, rng)
        path.write_bytes(content)
        signal.alarm(SECONDS)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                outcome = read(path, FILES[name].shown.shape[:2] if keeps and name in FILES else None)
            return seed, name, outcome
        except BaseException as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            return seed, name, f"BROKEN {type(error).__name__}: {error} at {last.filename}:{last.lineno}"[:600]
        finally:
            signal.alarm(0)


def _child(seeds: range, results) -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])  # of the process that was forked
    own = pages * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (own + MEMORY, own + MEMORY))
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, 2)  # what libraries write to the log
    for seed in seeds:
        results.put((seed, "", "begun"))
        results.put(check(seed))
    results.put(None)


def run(count: int, first: int = 0, at_once: int = 100) -> tuple[Counter[str], list[tuple[int, str, str]]]:
    """Read so many files; returns how many were read and refused, and what broke the rules."""
    outcomes, broken, context = Counter[str](), list[tuple[int, str, str]](), get_context("fork")
    seed = first
    while seed < first + count:
        results = context.Queue()
        end = min(seed + at_once, first + count)
        child = context.Process(target=_child, args=(range(seed, end), results))
        child.start()
        begun = seed
        while True:
            try:
                one = results.get(timeout=SECONDS + 10)
            except Exception:
                broken.append((begun, "", f"BROKEN crash, exit code {child.exitcode}"))
                outcomes["broken"] += 1
                child.kill()
                end = begun + 1
                break
            if one is None:
                break
            begun, _, outcome = one
            if outcome.startswith("BROKEN"):
                broken.append(one)
                outcomes["broken"] += 1
            elif outcome != "begun":
                outcomes[outcome] += 1
        child.join()
        seed = end
    return outcomes, broken


if __name__ == "__main__":
    outcomes, broken = run(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    for one in broken:
        print(*one)
    print(dict(outcomes))
