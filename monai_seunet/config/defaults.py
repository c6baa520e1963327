"""Defaults of the command line, in a module without imports, so help texts are fast."""

DEFAULT_BUNDLE = "bundle"
DEFAULT_NETWORK = "seunet_octaves"  # network of the configs without an overlay
