"""Networks for the native kernels: supported layers, inference and training."""
