"""Networks that the native kernels run: plans, inference, steps of a training."""
