"""HTML pages that embed their images in one file."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Mapping
from html import escape
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from monai_seunet.drawing.table import Table

STYLE = """
body { font: 15px/1.45 "Helvetica Neue", Arial, sans-serif; color: #1a1a1a; max-width: 1080px; margin: 2em auto;
  padding: 0 1.5em; }
h1 { font-size: 1.6em; margin: 0; overflow-wrap: anywhere; } h2 { font-size: 1.1em; margin: 0 0 .4em; }
.lead { color: #555; margin: .2em 0 1.2em; }
.numbers { display: flex; flex-wrap: wrap; gap: .6em 2.4em; border-top: 2px solid #0072B2;
  border-bottom: 1px solid #d9d9d9; padding: .8em 0; margin-bottom: 1.2em; }
.numbers div { min-width: 7em; } .numbers b { display: block; font-size: 1.5em; font-weight: 600; }
.numbers span { color: #555; font-size: .87em; }
.warnings { border-left: 6px solid #D55E00; background: #fbe3d6; padding: .8em 1em; margin-bottom: 1.2em; }
.notes { border-left: 4px solid #7f7f7f; background: #f5f5f5; padding: .6em 1em; margin-bottom: 1.2em; }
.warnings h2, .notes h2 { margin-top: 0; }
.warnings ul, .notes ul { margin: .2em 0 0; padding-left: 1.2em; }
.grid { display: grid; grid-template-columns: 1fr 1fr; gap: 1.4em 2em; align-items: start; }
.grid figure:first-child:nth-last-child(odd) { grid-column: 1 / -1; }
figure { margin: 0 0 1em; break-inside: avoid; } img { max-width: 100%; max-height: 26em; }
figcaption { color: #555; font-size: .87em; }
h2 { margin-top: 1.2em; } figure h2 { margin-top: 0; }
summary { cursor: pointer; font-weight: 600; margin: 1em 0 .6em; }
img.large { max-height: none; }
table { border-collapse: collapse; width: 100%; font-size: .9em; } td { padding: .15em .8em .15em 0;
  border-bottom: 1px solid #e6e6e6; vertical-align: top; overflow-wrap: anywhere; } td:first-child { color: #555;
  white-space: nowrap; }
.wide { overflow-x: auto; } table.figures { width: auto; white-space: nowrap; } .figures th { font-weight: 600;
  text-align: right; padding: .15em .8em .15em 0; border-bottom: 1px solid #7f7f7f; }
.figures td { text-align: right; } .figures td:first-child, .figures th:first-child { text-align: left; }
code { font-size: .82em; overflow-wrap: anywhere; }
section, .grid + .grid { margin-top: 1.6em; } section { break-inside: avoid; }
@media (max-width: 700px) { .grid { grid-template-columns: 1fr; } }
@media print { body { margin: 0; max-width: none; font-size: 11px; } img { max-height: 22em; } @page { margin: 14mm; } }
"""


def page(title: str, parts: Iterable[str]) -> str:
    """Return the HTML of a page.

    Args:
        title: title of the window.
        parts: HTML of the parts of the body; empty parts are left out.
    """
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{escape(title)}</title><style>{STYLE}</style>"
    )
    body = "\n".join(part for part in parts if part)
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>\n{body}\n</body></html>\n'


def figure(title: str, source: str, caption: str = "", large: bool = False) -> str:
    """Return the HTML of an image with its title above and its caption below.

    Args:
        title: title in plain text.
        source: URL of the image, such as the result of `data_uri`.
        caption: caption in plain text.
        large: whether the image fills the width of the page without a limit of its height.
    """
    attribute = ' class="large"' if large else ""
    note = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure><h2>{escape(title)}</h2><img{attribute} alt="{escape(title)}" src="{source}">{note}</figure>\n'


def facts_table(title: str, rows: Mapping[str, object]) -> str:
    """Return the HTML of a table of names and values, or an empty text without rows."""
    if not rows:
        return ""
    lines = "".join(f"<tr><td>{escape(name)}</td><td>{escape(str(value))}</td></tr>" for name, value in rows.items())
    return f"<section><h2>{escape(title)}</h2><table>{lines}</table></section>"


def numbers_table(table: Table) -> str:
    """Return the HTML of a table of numbers, with the best cell of each column in bold."""
    head = "".join(f"<th>{escape(name)}</th>" for name in (table.corner, *table.columns))
    lines = []
    for i, name in enumerate(table.rows):
        cells = [
            f"<td><b>{table.cell(i, j)}</b></td>" if table.best[i, j] else f"<td>{table.cell(i, j)}</td>"
            for j in range(len(table.columns))
        ]
        lines.append(f"<tr><td>{escape(name)}</td>{''.join(cells)}</tr>")
    return f'<div class="wide"><table class="figures"><tr>{head}</tr>{"".join(lines)}</table></div>'


def data_uri(picture: Figure | np.ndarray, photographic: bool) -> str:
    """Encode a picture as a data URI.

    Args:
        picture: figure, or an array (h, w, 3) uint8.
        photographic: whether JPEG is used instead of PNG.
    """
    buffer = io.BytesIO()
    encoding = "jpeg" if photographic else "png"
    if isinstance(picture, np.ndarray):
        from PIL import Image

        Image.fromarray(picture).save(buffer, encoding, quality=90)
    else:
        picture.savefig(buffer, format=encoding, dpi=150, pil_kwargs={"quality": 90} if photographic else None)
    return f"data:image/{encoding};base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
