"""Docstrings for the site: remarks such as `Limits: text` become paragraphs, examples code, and formulas MathML."""

from __future__ import annotations

import re
from typing import Any

import griffe
from latex2mathml.converter import convert

REMARK = re.compile(r"^(Shapes?|Laws?|Invariants?|Limits?|Units?): (?=\S)", re.MULTILINE)
EXAMPLE = re.compile(r"^>>> .*?(?=\n\n|\Z)", re.MULTILINE | re.DOTALL)
FORMULA = re.compile(r"\$([^$`]+)\$")


class ReadableDocstrings(griffe.Extension):
    """Write in Markdown what the docstrings of the project write in their own way."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Change the docstring of one module, class, function or attribute."""
        if obj.docstring is None:
            return
        obj.docstring.value = REMARK.sub(r"\n**\1:** ", obj.docstring.value)
        obj.docstring.value = EXAMPLE.sub(r"```pycon\n\g<0>\n```", obj.docstring.value)
        obj.docstring.value = FORMULA.sub(_formula, obj.docstring.value)
        if isinstance(obj, griffe.Class) and not obj.parameters:
            # Another package defines the constructor, so its arguments cannot be compared.
            obj.docstring.parser_options = {"warnings": False}


def _formula(found: re.Match[str]) -> str:
    """A formula in the line: Markdown takes `<math>` at the beginning of a line for a paragraph."""
    return f"<span>{convert(found[1])}</span>"
