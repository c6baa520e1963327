"""Native kernels for the scale convolution: U-Nets with scale groups on a CPU, several times as fast as in torch."""
