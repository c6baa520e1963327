"""HTML pages that embed their images in one file."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import monai_seunet

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(monai_seunet.__file__).parent),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)
_TEMPLATES.globals["bold"] = Markup("<b>{}</b>")  # form of a marked cell


def render(template: str, **values: Any) -> str:
    """Return the HTML of a template that extends `drawing/page.jinja`, by its path in the package; text is escaped."""
    return _TEMPLATES.get_template(template).render(values) + "\n"


def data_uri(picture: Figure | np.ndarray, photographic: bool) -> str:
    """Encode a figure or a picture (h, w, 3) uint8 as a data URI of a PNG, or of a JPEG if it is photographic."""
    buffer = io.BytesIO()
    encoding = "jpeg" if photographic else "png"
    if isinstance(picture, np.ndarray):
        from PIL import Image

        Image.fromarray(picture).save(buffer, encoding, quality=90)
    else:
        picture.savefig(buffer, format=encoding, dpi=150, pil_kwargs={"quality": 90} if photographic else None)
    return f"data:image/{encoding};base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
