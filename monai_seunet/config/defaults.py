"""What is taken where nobody chooses; imports nothing, since the command line shows it."""

DEFAULT_BUNDLE = "bundle"
DEFAULT_NETWORK = "seunet_octaves"  # of the configs without an overlay
