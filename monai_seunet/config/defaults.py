"""Defaults of the command line, in a module without large imports, so help texts are fast."""

from pathlib import Path

DEFAULT_NETWORK = "seunet_octaves"  # network of the configs without an overlay
DEFAULT_MODEL = "nuclei_he_free"  # its licence allows any use
_PACKAGE = Path(__file__).parents[1]


def default_bundle() -> Path:
    """Return the bundle of the installed package, or the repository's for an installation in place."""
    installed = _PACKAGE / "bundle"
    return installed if installed.is_dir() else _PACKAGE.parent / "bundle"
