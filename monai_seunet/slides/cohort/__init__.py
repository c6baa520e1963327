"""Segmentation of many slides, on one machine or on a cluster."""
