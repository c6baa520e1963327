// The adjoint of the column filter, and what the columns need for the gradient of sigma.
#pragma once

#include "common/vector.h"
#include "kernels/kernel_pair.h"

// One vector of the row. A RADIUS of 0 stands for any radius.
template <int RADIUS>
INLINE void columns_adjoint_vector(const float* const* dy, int j, const DifferentiableKernels& k, int radius, float* dp,
                                   float* dq, float* ep, float* eq) {
  const int reach = RADIUS > 0 ? RADIUS : radius;
  const Vec middle = load(dy[reach] + j);
  Vec p = broadcast(k.kernels.even[0]) * middle, q = {}, sp = broadcast(k.derivatives.even[0]) * middle, sq = {};
#pragma GCC unroll 16
  for (int tap = 1; tap <= reach; tap++) {
    const Vec below = load(dy[reach + tap] + j), above = load(dy[reach - tap] + j);
    const Vec sum = above + below, difference = above - below;
    p += broadcast(k.kernels.even[tap]) * sum;
    q += broadcast(k.kernels.odd[tap]) * difference;
    sp += broadcast(k.derivatives.even[tap]) * sum;
    sq += broadcast(k.derivatives.odd[tap]) * difference;
  }
  store(dp + j, p);
  store(dq + j, q);
  store(ep + j, sp);
  store(eq + j, sq);
}

template <int RADIUS>
void columns_adjoint_row(const float* const* dy, const DifferentiableKernels& k, float* dp, float* dq, float* ep,
                         float* eq, int pixels) {
  for (int j = 0; j < pixels; j += LANES)
    columns_adjoint_vector<RADIUS>(dy, j, k, k.kernels.radius, dp, dq, ep, eq);
}

// Compute dp and dq, the gradients of a row of p and q, from the rows of dy around it. The inner products of `ep` with
// p and of `eq` with q are the part of this row in the gradient of sigma.
//
// dy[0] is `radius` rows above, and dy[2 * radius] is `radius` rows below. `pixels` is a multiple of LANES.
inline void columns_adjoint(const float* const* dy, const DifferentiableKernels& k, float* dp, float* dq, float* ep,
                            float* eq, int pixels) {
  switch (k.kernels.radius) {
#define CASE(RADIUS) \
  case RADIUS:       \
    return columns_adjoint_row<RADIUS>(dy, k, dp, dq, ep, eq, pixels);
    FOR_UNROLLED_RADII(CASE)
#undef CASE
  }
  columns_adjoint_row<0>(dy, k, dp, dq, ep, eq, pixels);
}
