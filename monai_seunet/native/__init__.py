"""Native kernels, which run U-Nets with scale groups on a CPU several times as fast as torch."""
