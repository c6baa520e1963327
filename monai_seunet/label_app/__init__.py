"""Annotation with MONAI Label: inference, labels, training and the choice of the next image.

It has its own environment (`scripts/label.sh`), because MONAI Label needs older packages than training.
"""
