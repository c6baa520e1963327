// A scale convolution of one map with all that follows it: rows, mix, columns, offset, ReLU and 2 x 2 average.
//
// The image is taken in vertical strips. A strip streams down the rows; the mixed rows that the columns still need live
// in a ring that fits the cache, so that nothing in between is written to memory. Strips do not depend on each other.
#pragma once

#include <algorithm>
#include <cstring>

#include "columns.h"
#include "map.h"
#include "mix.h"
#include "rows.h"
#include "source.h"
#include "vector.h"

constexpr int64_t RING_FLOATS = 96 * 1024;  // of a strip's ring; with the rows about half of a second-level cache
constexpr int MOST_PIXELS = 512;            // width of a strip

struct ScaleConv {
  Source inputs[2];   // their channels are joined; a map of no channels is no input
  const float* mix;   // packed
  const float* bias;  // null for none
  Kernels kernels;
  Map output;
  bool clip;      // negative values become 0
  Map pooled;     // its 2 x 2 average, or a map of no channels
  double* moments;  // sums of each output and of its square over the real pixels, added to; or null

  int channels() const { return inputs[0].map.channels + inputs[1].map.channels; }
};

// Pixels of a strip: all of the row if its ring fits, else parts alike, of a multiple of 2 * LANES, so that pooled pixels
// belong to one strip. At least `parts` strips where the row is wide enough.
inline int strip_pixels(int width, int outputs, int radius, int parts) {
  const int step = 2 * LANES;
  const int64_t fitting = RING_FLOATS / (2 * static_cast<int64_t>(outputs) * (2 * radius + ROWS));
  const int most = std::max<int>(step, static_cast<int>(std::min<int64_t>(fitting, MOST_PIXELS)) / step * step);
  const int strips = std::max((width + most - 1) / most, parts);
  return rounded_up((width + strips - 1) / strips, step);
}

inline int64_t strip_scratch(int inputs, int outputs, int radius, int halo, int pixels) {
  const int64_t rows = static_cast<int64_t>(inputs) * 2 * ROWS * pixels;
  const int64_t ring = static_cast<int64_t>(2 * radius + ROWS + 1) * outputs * 2 * pixels;  // and a row of zeros
  return rows + ring + fetched_floats(pixels, halo) + doubling_scratch(pixels, halo) + static_cast<int64_t>(ROWS) * pixels;
}

// Columns x0 to x0 + pixels of the output; x0 is a multiple of `pixels`.
inline void filter_strip(const ScaleConv& conv, int x0, int pixels, float* scratch) {
  const int height = conv.output.height, outputs = conv.output.channels, inputs = conv.channels();
  const int radius = conv.kernels.radius, halo = conv.output.halo;
  const int live = 2 * radius + ROWS;  // rows that the columns of one step reach
  const int here = std::min(pixels, conv.output.pixels() - x0);
  const int64_t slot = static_cast<int64_t>(outputs) * 2 * pixels, stride = static_cast<int64_t>(ROWS) * pixels;
  float* filtered = scratch;
  float* ring = filtered + inputs * 2 * stride;
  float* zeros = ring + live * slot;
  float* fetched = zeros + slot;
  float* blended = fetched + fetched_floats(pixels, halo);
  float* beyond = blended + doubling_scratch(pixels, halo);
  memset(zeros, 0, slot * sizeof(float));

  auto take = [&](int from, int to) {  // input rows to the ring
    for (int y = from; y < to; y++) {  // in the order of the memory
      float* u = filtered + (y - from) * pixels;
      for (const Source& input : conv.inputs)
        for (int c = 0; c < input.map.channels; c++, u += 2 * stride)
          filter_row(source_row(input, c, y, x0, here, halo, fetched, blended), conv.kernels, u, u + stride, here);
    }
    for (int y = from; y < to; y++)
      mix_row(filtered + (y - from) * pixels, stride, inputs, conv.mix, outputs, ring + y % live * slot, pixels, here);
  };

  const int tail = conv.output.width - x0;  // real pixels of the strip, where it is the last
  for (int from = 0; from < std::min(radius, height); from += ROWS) take(from, std::min({from + ROWS, radius, height}));
  for (int y = 0; y < height; y += ROWS) {
    if (y + radius < height) take(y + radius, std::min(y + radius + ROWS, height));
    const float* slots[2 * 32 + ROWS];
    for (int n = 0; n < live; n++) {
      const int row = y - radius + n;
      slots[n] = row < 0 || row >= height ? zeros : ring + row % live * slot;
    }
    const int rows = std::min(ROWS, height - y);
    for (int o = 0; o < outputs; o++) {
      const float* p[2 * 32 + ROWS];
      for (int n = 0; n < live; n++) p[n] = slots[n] + static_cast<int64_t>(o) * 2 * pixels;
      float* out[ROWS];
      for (int m = 0; m < ROWS; m++) out[m] = m < rows ? conv.output.row(y + m, o) + x0 : beyond + m * pixels;
      filter_columns(p, pixels, conv.kernels, conv.bias ? conv.bias[o] : 0, conv.clip, out, here);
      if (tail < here)
        for (int m = 0; m < rows; m++) store(out[m] + here - LANES, first_lanes(load(out[m] + here - LANES), tail - here + LANES));
      if (conv.moments) {
        Vec sum = {}, squares = {};
        for (int m = 0; m < rows; m++)
          for (int j = 0; j < here; j += LANES) {
            const Vec value = load(out[m] + j);
            sum += value;
            squares += value * value;
          }
        conv.moments[2 * o] += sum_of_lanes(sum);
        conv.moments[2 * o + 1] += sum_of_lanes(squares);
      }
      if (conv.pooled.channels)
        for (int m = 0; m + 1 < rows; m += 2) {
          float* to = conv.pooled.row((y + m) / 2, o) + x0 / 2;
          const float *a = out[m], *b = out[m + 1];
          for (int j = 0; j < here; j += 2 * LANES) {
            const Vec left = load(a + j) + load(b + j), right = load(a + j + LANES) + load(b + j + LANES);
            store(to + j / 2, broadcast(0.25f) * pair_sums(left, right));
          }
        }
    }
  }
}
