"""The equivariance certificate of trained weights."""
