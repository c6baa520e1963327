"""Convolutions whose filters are mixtures of Gaussian derivatives."""
