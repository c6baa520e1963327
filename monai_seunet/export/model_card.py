"""Facts about an exported model for people: its licence, authors, references and page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from monai.bundle import ConfigParser

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
    def description(self) -> str:
        """One sentence about the model."""
        data = f" Trained on {self.data}." if self.data else ""
        return f"Probabilities of {self.task}.{data}"

    def spdx(self) -> str:
        """Return the licence in the spelling of SPDX.

        >>> ModelCard("nuclei", "nuclei", "CC BY 4.0", "", "1").spdx()
        'CC-BY-4.0'
        """
        name = self.licence.strip().replace(" ", "-")
        return "CC0-1.0" if name.upper() == "CC0" else name

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

    def tags(self, colour: bool) -> list[str]:
        """Return the tags by which the collection of BioImage.IO is searched."""
        kind = ["transmission-light-microscopy", "histology"] if colour else ["fluorescence-light-microscopy"]
        content = ["nuclei"] if "nuclei" in self.task else []
        programs = ["fiji", "imagej", "deepimagej", "ilastik"]
        return [*content, *kind, *programs, "2d", "pytorch", "unet", "semantic-segmentation"]

    def page(self, colour: bool, fusion: str) -> str:
        """Return the documentation of the model in Markdown.

        Args:
            colour: whether the model takes RGB images.
            fusion: strategy that fuses the scale groups.
        """
        pixels = "RGB image of stained tissue, 0 to 255" if colour else "grey image with bright objects, of any range"
        composite = "An image of the type RGB Color first needs *Image > Color > Make Composite*. " if colour else ""
        scores = "".join(f"| {data} | {aji} | {pq} | {f1} |\n" for data, (aji, pq, f1) in self.scores.items())
        table = f"{SCORES}\n| data | AJI | PQ | F1 |\n|---|---|---|---|\n{scores}\n" if scores else ""
        return PAGE.format(
            card=self,
            pixels=pixels,
            composite=composite,
            fusion=fusion,
            table=table,
            stain=STAIN if colour else "",
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
        InputError: the licence is not known, or the bundle has no metadata.

    >>> from monai_seunet.config.defaults import default_bundle
    >>> read_card(default_bundle(), "nuclei_fluorescence", "").spdx()
    'CC0-1.0'
    """
    path = Path(bundle).expanduser() / "configs" / "metadata.json"
    try:
        metadata = ConfigParser.load_config_file(path)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); give the folder of a bundle") from error
    trained = find_model(model, bundle) if model else None
    if not (licence or trained):
        raise InputError("the licence of these weights is not known; give it as --licence, such as CC-BY-4.0")
    return ModelCard(
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


SCORES = """The same network in `monai-seunet segment`, which also separates touching objects by their directions
(single objects, in %):
"""
STAIN = """- The stain (haematoxylin and eosin) is normalised inside the network, for every tile. Tiles with other
  tissue get slightly different colours, and tiles with little tissue keep their colours.
"""
PAGE = """# {card.name}

{card.description}

- **Input:** {pixels}. The programs normalise the intensities as `rdf.yaml` says.
- **Output:** probabilities of the classes, 0 to 1, of the same size. Predictions of several scales are fused
  (`{fusion}`), so no µm per pixel are needed.
- **Licence of the weights:** {card.licence}
- **Training data:** {data}
- **Use:** {use}

## How to use it

**Fiji with deepImageJ:** copy this folder into `models` of Fiji, then *Plugins > DeepImageJ > DeepImageJ Run*.
{composite}For single objects: threshold the second channel at 0.5, then *Analyze > Analyze Particles*.

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
- The network reads up to 192 pixels around a pixel. Programs that cut an image into tiles discard this border (`halo`);
  tiles of 1024 pixels or more are efficient.
{stain}
## References

{references}
"""
