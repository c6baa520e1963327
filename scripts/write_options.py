"""Write `bundle/docs/options.md`: every option of the bundle's configs, with its default and a sentence.

The sentences are in the configs under `_desc_`, by groups; MONAI does not evaluate `_desc_`, since no id refers to it.
The table in the bundle's README determines the files, their order and their titles.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BUNDLE = Path(__file__).resolve().parents[1] / "bundle"
PAGE = BUNDLE / "docs" / "options.md"
INTERNAL = "Internal"  # the group of ids that are computed from others
WORDS = " Default: "  # separator before the description of a default that is not a plain value
COMMANDS = ("imports", "initialize", "run", "finalize")  # lists of expressions that a job runs
NO_CONFIGS = ("stain_target", "experiments/")

HEAD = """\
# Options

`scripts/write_options.py` writes this page from the configs. Every id here is an option of `python -m monai.bundle
run`, such as `--max_lr 0.01`. Commands with `--set` take it, too: `--set threshold=0.4`. A default may be an expression
of other options. A later overlay replaces what an earlier file sets, and the command line replaces both.
"""


def named_files() -> Iterator[tuple[str, str, list[Path]]]:
    """Yield the name, the description and the files of each config in the table of the bundle's README."""
    readme = (BUNDLE / "docs" / "README.md").read_text(encoding="utf-8")
    for name, description in re.findall(r"^\| `configs/([^`]+\.json)` \| (.*) \|$", readme, re.MULTILINE):
        if not name.startswith(NO_CONFIGS):
            yield name, description, sorted((BUNDLE / "configs").glob(name))


def read(file: Path) -> dict[str, Any]:
    """Read the ids of a config."""
    return json.loads(file.read_text(encoding="utf-8"))


def values(config: dict[str, Any]) -> dict[str, Any]:
    """Return the ids of a config with plain values, without components and lists of expressions."""
    plain: dict[str, Any] = {}
    for name, value in config.items():
        if name == "network_def":
            plain |= {f"{name}#{key}": argument for key, argument in value.items() if not is_code(argument)}
        elif name.startswith("network_def#") or re.fullmatch(r"\w+", name):
            parts = value if isinstance(value, list) else [value]
            plain |= {} if any(isinstance(part, dict) for part in parts) else {name: value}
    return {name: value for name, value in plain.items() if name not in COMMANDS}


def is_code(value: Any) -> bool:
    """Return whether MONAI evaluates a value."""
    return isinstance(value, str) and value.startswith(("$", "@"))


def sentences(config: dict[str, Any]) -> dict[str, dict[str, str]]:
    """Return the sentences of a config by group and id."""
    return config.get("_desc_", {})


def options(config: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Yield group, id and sentence of every option that a config describes."""
    for group, texts in sentences(config).items():
        if group != INTERNAL:
            yield from ((group, name, text) for name, text in texts.items())


def default(value: Any) -> str | None:
    """Return the text of a default on the page; None for an expression with calls or attributes."""
    if not is_code(value):
        return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = re.sub(r"[\w.]+\.parse_bool\((@\w+)\)", r"\1", value).lstrip("$").replace("@", "")
    if any(isinstance(node, ast.Call | ast.Attribute) for node in ast.walk(ast.parse(text, mode="eval"))):
        return None
    return re.sub(r"\bNone\b", "null", text)


def page() -> str:
    """Return the text of the page."""
    files = [(name, description, [(file, read(file)) for file in paths]) for name, description, paths in named_files()]
    described = [config for _, _, read_files in files for _, config in read_files]
    parts, overlays = [HEAD], ["## What overlays set\n"]
    for name, description, configs in files:
        (_, config) = configs[0]
        if len(configs) == 1 and sentences(config).keys() - {INTERNAL}:
            parts.append(f"## {name}\n\n{_sentence(description)}\n\n{_tables(config, described)}")
        else:
            rows = [f"| `{file.stem}` | {_settings(config, described)} |\n" for file, config in configs]
            overlays.append(f"### {name}\n\n| overlay | sets |\n|---|---|\n{''.join(rows)}")
    return "\n".join([*parts, *overlays, "## Names in defaults that are no options\n", _legend(described)])


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _tables(config: dict[str, Any], described: list[dict[str, Any]]) -> str:
    """Return a table for every group, with the sentences of the file, then of other files for ids that it contains."""
    present, shown = values(config), set[str]()
    groups: dict[str, dict[str, str]] = {}
    for source in (config, *described):
        for group, name, text in options(source):
            same_default = name in present and (WORDS not in text or values(source)[name] == present[name])
            if (source is config or same_default) and name not in shown:
                groups.setdefault(group, {})[name] = text
                shown.add(name)
    tables = []
    for group, texts in groups.items():
        rows = "".join(_row(name, text, present) for name, text in texts.items())
        tables.append(f"### {group}\n\n| option | default | |\n|---|---|---|\n{rows}")
    return "\n".join(tables)


def _row(name: str, text: str, present: dict[str, Any]) -> str:
    text, _, words = text.partition(WORDS)
    shown = words.rstrip(".") or f"`{default(present[name])}`"
    return f"| `{name}` | {shown} | {text} |\n"


def _legend(described: list[dict[str, Any]]) -> str:
    """Return a list of the internal ids in the expressions of defaults."""
    internal = {name: text for config in described for name, text in sentences(config).get(INTERNAL, {}).items()}
    shown = [value for config in described for name, value in values(config).items() if name not in internal]
    expressions = " ".join(value for value in shown if is_code(value) and default(value))
    return "".join(f"- `{name}`: {text}\n" for name, text in internal.items() if re.search(rf"@{name}\b", expressions))


def _settings(config: dict[str, Any], described: list[dict[str, Any]]) -> str:
    """Return the network and the options that an overlay sets."""
    names = {name for other in described for _, name, _ in options(other)}
    plain = values(config)
    network = [
        f"network `{value.rpartition('.')[2]}`" for name, value in plain.items() if name == "network_def#_target_"
    ]
    shown = {name: default(value) for name, value in plain.items() if name in names}
    return ", ".join(
        [*network, *(f"`{name}` {'computed' if text is None else f'`{text}`'}" for name, text in shown.items())]
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
