// The gradient of a batch norm with its ReLU: z = relu(scale * y + offset).
#pragma once

#include "common/map.h"
#include "common/vector.h"

// The coefficients of one scale group, by channel: dy = scale * g + slope * y + shift. Here g is dz where the ReLU is
// not clipped, and 0 elsewhere.
struct NormGradient {
  const float* scale;
  const float* offset;
  const float* slope;
  const float* shift;
};

INLINE Vec unclipped(Vec dz, Vec y, Vec scale, Vec offset) { return scale * y + offset > Vec{} ? dz : Vec{}; }

// Add the sum of g to sums[2 * channel], and the sum of g * y to sums[2 * channel + 1], over some rows of one map.
inline void add_norm_sums(const Map& y, const Map& dz, const NormGradient& norm, int begin, int end, double* sums) {
  for (int row = begin; row < end; row++)
    for (int c = 0; c < y.channels; c++) {
      const Vec scale = broadcast(norm.scale[c]), offset = broadcast(norm.offset[c]);
      const float *values = y.row(row, c), *gradient = dz.row(row, c);
      Vec sum = {}, product = {};
      for (int x = 0; x < y.pixels(); x += LANES) {  // outside of the image dz is 0
        const Vec value = load(values + x), g = unclipped(load(gradient + x), value, scale, offset);
        sum += g;
        product += g * value;
      }
      sums[2 * c] += sum_of_lanes(sum);
      sums[2 * c + 1] += sum_of_lanes(product);
    }
}

// Compute a row of dy. It is zero outside of the image.
inline void norm_gradient_row(const Map& y, const Map& dz, const NormGradient& norm, int row, int c, float* dy) {
  const Vec scale = broadcast(norm.scale[c]), offset = broadcast(norm.offset[c]);
  const Vec slope = broadcast(norm.slope[c]), shift = broadcast(norm.shift[c]);
  const float *values = y.row(row, c), *gradient = dz.row(row, c);
  const int pixels = y.pixels();
  for (int x = 0; x < pixels; x += LANES) {
    const Vec value = load(values + x), g = unclipped(load(gradient + x), value, scale, offset);
    store(dy + x, scale * g + slope * value + shift);
  }
  if (y.width < pixels) store(dy + pixels - LANES, first_lanes(load(dy + pixels - LANES), y.width - pixels + LANES));
}
