// Filter a row by an even and an odd kernel at once: u = even * x, v = odd * x.
//
// Pixels at the same distance on both sides share a tap (up to the sign), so that each pair takes one addition and one
// product. Neighbours come from registers: loading them again takes twice as long.
#pragma once

#include "vector.h"

constexpr int MOST_UNROLLED = 12;  // larger radii take a loop

// The kernels of one scale group: taps of 0, 1, ..., radius. odd[0] is 0, and odd(-t) = -odd(t), where u[x] takes
// odd(t) * x[x + t].
struct Kernels {
  const float* even;
  const float* odd;
  int32_t radius;
};

template <int RADIUS, int TAP, int REACH>
INLINE void add_taps(const Vec* window, const Kernels& k, Vec& u, Vec& v) {
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
void filter_row_unrolled(const float* x, const Kernels& k, float* u, float* v, int pixels) {
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

inline void filter_row_any(const float* x, const Kernels& k, float* u, float* v, int pixels) {
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

// x has to be readable for rounded_up(radius, LANES) pixels on both sides; `pixels` is a multiple of LANES.
inline void filter_row(const float* x, const Kernels& k, float* u, float* v, int pixels) {
  switch (k.radius) {
#define CASE(RADIUS) \
  case RADIUS:       \
    return filter_row_unrolled<RADIUS>(x, k, u, v, pixels);
    CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
#undef CASE
  }
  filter_row_any(x, k, u, v, pixels);
}
