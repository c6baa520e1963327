"""Segmentation of nuclei from pixels to numbered objects in operations that TorchScript takes."""
