"""Facts about an exported model for people: its licence, authors, references and page."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from packaging.licenses import InvalidLicenseExpression, canonicalize_license_expression

from monai_seunet.config.models import find_model
from monai_seunet.utils.errors import InputError

LINKS = ((re.compile(r"arXiv:(\d{4}\.\d+)"), "https://arxiv.org/abs/"), (re.compile(r"doi:(\S+)"), "https://doi.org/"))


@dataclass(frozen=True)
class ModelCard:
    """Facts about a trained model for people.

    Attributes:
        name: name of the model.
        task: what it segments.
        licence: licence of the weights, such as `CC BY 4.0`.
        authors: authors.
        version: version of the bundle.
        references: papers, with `arXiv:` or `doi:` identifiers.
        data: training data and their licences; empty if they are not stated.
        intended_use: what it may be used for.
        scores: AJI, PQ and F1 in % by data set.
        classes: names of the classes; empty for `background` and `foreground`.
    """

    name: str
    task: str
    licence: str
    authors: str
    version: str
    references: Sequence[str] = ()
    data: str = ""
    intended_use: str = ""
    scores: Mapping[str, Sequence[float]] = field(default_factory=dict)
    classes: Sequence[str] = ()

    @property
    def sentence(self) -> str:
        """What the model does, and its training data."""
        data = f" Trained on {self.data}." if self.data else ""
        return f"Segmentation of {self.task}.{data}"

    def description(self, colour: bool, tags: Sequence[str]) -> dict[str, Any]:
        """Return the part of `rdf.yaml`, a description of BioImage.IO, that does not depend on axes and weights.

        Args:
            colour: whether the model takes RGB images.
            tags: more words by which the collection of BioImage.IO is searched.
        """
        light = ["transmission-light-microscopy", "histology"] if colour else ["fluorescence-light-microscopy"]
        content = ["nuclei"] if "nuclei" in self.task else []
        return {
            "name": re.sub(r"[^\w+() -]", " ", self.name, flags=re.ASCII),  # the format allows no other characters
            "description": self.sentence,
            "version": self.version,
            "authors": [{"name": self.authors}],
            "cite": [{"text": text, "url": url} for text, url in self.citations()],
            "license": self.spdx(),
            "tags": [*content, *light, *tags, "2d", "pytorch", "unet"],
        }

    def spdx(self) -> str:
        """Return the licence in the spelling of SPDX.

        Raises:
            InputError: the list of SPDX has no such licence.

        >>> ModelCard("nuclei", "nuclei", "CC BY 4.0", "", "1").spdx()
        'CC-BY-4.0'
        """
        name = self.licence.strip().replace(" ", "-")
        try:
            return str(canonicalize_license_expression("CC0-1.0" if name.upper() == "CC0" else name))
        except InvalidLicenseExpression as error:
            raise InputError(
                f"licence is '{self.licence}', and https://spdx.org/licenses has no such name; give one as CC-BY-4.0"
            ) from error

    def citations(self) -> list[tuple[str, str]]:
        """Return the references that have an address, with it."""
        matches = [(text, link, key.search(text)) for text in self.references for key, link in LINKS]
        return [(text, link + match[1]) for text, link, match in matches if match]

    def class_names(self, count: int) -> list[str]:
        """Return a name for each class.

        Raises:
            InputError: the network has another number of classes.
        """
        if self.classes and len(self.classes) != count:
            raise InputError(f"class_names has {len(self.classes)} names for {count} classes; correct it")
        foreground = ["foreground"] if count == 2 else [f"class {number}" for number in range(1, count)]
        return list(self.classes) or ["background", *foreground]

    def page(self, colour: bool, stain: bool, fusion: str | None, class_names: Sequence[str], halo: int) -> str:
        """Return the documentation of the model in Markdown.

        Args:
            colour: whether the model takes RGB images.
            stain: whether the stain is normalised inside the network.
            fusion: strategy that fuses the scale groups; None for a network without scale groups.
            class_names: name of every channel of the output, the background first.
            halo: pixels that programs discard at every border of a tile.
        """
        pixels = "RGB image of stained tissue, 0 to 255" if colour else "grey image with bright objects, of any range"
        composite = "An image of the type RGB Color first needs *Image > Color > Make Composite*. " if colour else ""
        scores = "".join(f"| {data} | {aji} | {pq} | {f1} |\n" for data, (aji, pq, f1) in self.scores.items())
        table = f"{SCORES}\n| data | AJI | PQ | F1 |\n|---|---|---|---|\n{scores}\n" if scores else ""
        channels = ", ".join(f"{number} `{name}`" for number, name in enumerate(class_names, start=1))
        return PAGE.format(
            card=self,
            pixels=pixels,
            composite=composite,
            scales=ONE_SCALE if fusion is None else SCALES.format(fusion=fusion),
            channels=channels,
            objects=" or ".join(f"`{name}`" for name in class_names[1:]),
            halo=halo,
            table=table,
            stain=STAIN if stain else "",
            data=self.data or "not stated",
            use=self.intended_use or "Not stated.",
            references="\n".join(f"- {text}" for text in self.references),
        )


def read_card(
    bundle: str | Path, model: str | None, name: str, licence: str = "", classes: Sequence[str] | None = None
) -> ModelCard:
    """Collect the facts about a model from its bundle: `configs/metadata.json` and `models/models.json`.

    Args:
        bundle: folder of the bundle.
        model: name of a trained model of the bundle; None for other weights.
        name: name of the exported model if `model` is None.
        licence: licence of the weights; empty for that of the trained model.
        classes: names of the classes; None for `background` and `foreground`.

    Raises:
        InputError: the licence is not known or not of SPDX, or the bundle has no metadata.

    >>> from monai_seunet.config.defaults import default_bundle
    >>> read_card(default_bundle(), "nuclei_fluorescence", "").spdx()
    'CC0-1.0'
    """
    path = Path(bundle).expanduser() / "configs" / "metadata.json"
    try:
        metadata = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); give the folder of a bundle") from error
    trained = find_model(model, bundle) if model else None
    if not (licence or trained):
        raise InputError("the licence of these weights is not known; give it as --licence, such as CC-BY-4.0")
    card = ModelCard(
        name=model or name,
        task=trained.task if trained else "objects",
        licence=licence or (trained.licence if trained else ""),
        authors=metadata.get("authors", "unknown"),
        version=metadata.get("version", "0.1.0"),
        references=metadata.get("references", ()),
        data=trained.data if trained else "",
        intended_use=metadata.get("intended_use", ""),
        scores=trained.scores if trained else {},
        classes=classes or (),
    )
    card.spdx()
    return card


SCORES = """The same network in `monai-seunet segment`, which also separates touching objects by their directions
(single objects, in %):
"""
SCALES = """Predictions of several scales are fused (`{fusion}`), so the µm per pixel of the image are not needed."""
ONE_SCALE = """The network has one scale: bring images to the µm per pixel of its training images first."""
STAIN = """- The stain (haematoxylin and eosin) is normalised inside the network, for every tile. Tiles with other
  tissue get slightly different colours, and tiles with little tissue keep their colours.
"""
PAGE = """# {card.name}

{card.sentence}

- **Input:** {pixels}. The programs normalise the intensities as `rdf.yaml` says.
- **Output:** probabilities of the classes, 0 to 1, of the same size. Channels: {channels}.
- **Scale:** {scales}
- **Licence of the weights:** {card.licence}
- **Training data:** {data}
- **Use:** {use}

## How to use it

**Fiji with deepImageJ:** copy this folder into `models` of Fiji, then *Plugins > DeepImageJ > DeepImageJ Run*.
{composite}For single objects: threshold the channel {objects} at 0.5, then *Analyze > Analyze Particles*.

**ilastik:** pack the folder (`bioimageio package FOLDER model.zip`) and load it in *Neural Network Classification*.

**Python:** `pip install bioimageio.core onnxruntime "pydantic<2.14"`, then, for images whose sides are valid sizes in
`rdf.yaml`:

```python
from bioimageio.core import predict

sample = predict(model="FOLDER", inputs={{"image": "image.tif"}})
probabilities = sample.members["probabilities"]
```

## Validation

`bioimageio test FOLDER` compares both weight formats with the test tensors. To validate the model on your own images,
compare its output to annotations of some images that represent all stains, scanners and magnifications.

{table}## Limits

- Touching objects are one object in these probabilities. A watershed separates many of them and splits some others.
- An object of few pixels is not found.
- Programs that cut an image into tiles discard {halo} pixels at every border of a tile (`halo`). Tiles of 1024 pixels
  or more are efficient.
{stain}
## References

{references}
"""
