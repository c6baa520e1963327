"""Choices of options that the command line lists before it imports the segmentation."""

LABELS_AT = ("image", "network")
# QuPath's type of the nuclei in GeoJSON. 10x Genomics' programs import only features of the type `cell`.
OBJECT_TYPES = ("detection", "cell")
TISSUE_METHODS = ("otsu", "all")  # a threshold on the colour, or the whole slide
