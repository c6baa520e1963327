"""Annotation with MONAI Label: inference, labels, training and the choice of what to label next.

Runs in an environment of its own (`scripts/label.sh`), since MONAI Label needs older packages than training.
"""
