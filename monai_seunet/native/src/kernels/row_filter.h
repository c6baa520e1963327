// Filter a row by the even and the odd kernel at once: u = even * x, v = odd * x.
//
// The pixels at the same distance on both sides share a tap, up to its sign. So each pair takes one addition and one
// product. The neighbours are shifted in registers, since a second load of them takes twice as long.
#pragma once

#include "common/vector.h"
#include "kernels/kernel_pair.h"

template <int RADIUS, int TAP, int REACH>
INLINE void add_taps(const Vec* window, const KernelPair& k, Vec& u, Vec& v) {
  if constexpr (TAP <= RADIUS) {
    constexpr int after = REACH * LANES + TAP, before = REACH * LANES - TAP;
    Vec right = shifted<after % LANES>(window[after / LANES], window[after / LANES + (after % LANES != 0)]);
    Vec left = shifted<before % LANES>(window[before / LANES], window[before / LANES + (before % LANES != 0)]);
    u += broadcast(k.even[TAP]) * (right + left);
    v += broadcast(k.odd[TAP]) * (right - left);
    add_taps<RADIUS, TAP + 1, REACH>(window, k, u, v);
  }
}

template <int RADIUS>
void filter_row_unrolled(const float* x, const KernelPair& k, float* u, float* v, int pixels) {
  constexpr int REACH = (RADIUS + LANES - 1) / LANES;
  Vec window[2 * REACH + 1];
#pragma GCC unroll 16
  for (int n = 0; n < 2 * REACH; n++) window[n] = load(x + (n - REACH) * LANES);
  for (int j = 0; j < pixels; j += LANES) {
    window[2 * REACH] = load(x + j + REACH * LANES);
    Vec even = broadcast(k.even[0]) * window[REACH], odd = {};
    add_taps<RADIUS, 1, REACH>(window, k, even, odd);
    store(u + j, even);
    store(v + j, odd);
#pragma GCC unroll 16
    for (int n = 0; n < 2 * REACH; n++) window[n] = window[n + 1];
  }
}

inline void filter_row_any(const float* x, const KernelPair& k, float* u, float* v, int pixels) {
  for (int j = 0; j < pixels; j += LANES) {
    Vec even = broadcast(k.even[0]) * load(x + j), odd = {};
    for (int tap = 1; tap <= k.radius; tap++) {
      Vec right = load(x + j + tap), left = load(x + j - tap);
      even += broadcast(k.even[tap]) * (right + left);
      odd += broadcast(k.odd[tap]) * (right - left);
    }
    store(u + j, even);
    store(v + j, odd);
  }
}

// `x` has to be readable for rounded_up(radius, LANES) pixels on both sides. `pixels` is a multiple of LANES.
inline void filter_row(const float* x, const KernelPair& k, float* u, float* v, int pixels) {
  switch (k.radius) {
#define CASE(RADIUS) \
  case RADIUS:       \
    return filter_row_unrolled<RADIUS>(x, k, u, v, pixels);
    FOR_UNROLLED_RADII(CASE)
#undef CASE
  }
  filter_row_any(x, k, u, v, pixels);
}
