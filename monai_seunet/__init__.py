"""Segment nuclei and tissue at any magnification and in any orientation, as MONAI components."""
