// The even and the odd 1-D kernel of a scale group.
#pragma once

#include <cstdint>

// Taps 0, 1, ..., radius of both kernels. The even kernel is symmetric. The odd one is antisymmetric: odd[0] is 0, and
// its tap at -t is -odd[t]. A filter takes odd[t] times the pixel at +t.
struct KernelPair {
  const float* even;
  const float* odd;
  int32_t radius;
};

// The kernels of a scale group and their derivatives by its sigma.
struct DifferentiableKernels {
  KernelPair kernels, derivatives;
};

// CASE(radius) for every radius that has unrolled code. Larger radii take a loop.
#define FOR_UNROLLED_RADII(CASE) \
  CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
