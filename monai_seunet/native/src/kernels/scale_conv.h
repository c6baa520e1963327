// A scale convolution with the operations that follow it: offset, ReLU and 2 x 2 average.
//
// The output is computed in strips. A strip moves down the rows. It keeps the mixed rows that the columns still need in
// a ring, which fits the cache. So no intermediate map is written to memory.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "common/map.h"
#include "common/vector.h"
#include "interface.h"
#include "kernels/average_pool.h"
#include "kernels/channel_mix.h"
#include "kernels/column_filter.h"
#include "kernels/conv_parts.h"
#include "kernels/row_filter.h"
#include "kernels/source.h"

struct ScaleConv {
  Source inputs[2];   // their channels are concatenated; a map without channels is no input
  const float* mix;   // in the order of `pack_mix`
  const float* bias;  // null for no bias
  KernelPair kernels;
  Map output;
  bool clip;        // negative values become 0
  Map pooled;       // the 2 x 2 average of the output; a map without channels where it is not wanted
  double* moments;  // the sums of each output channel and of its squares are added to these; may be null

  int channels() const { return inputs[0].map.channels + inputs[1].map.channels; }
};

// Floats of scratch that `filter_part` needs.
inline int64_t strip_scratch(int inputs, int outputs, int radius, int halo, int pixels) {
  const int64_t rows = static_cast<int64_t>(inputs) * 2 * ROWS * pixels;
  const int64_t ring = static_cast<int64_t>(2 * radius + ROWS + 1) * outputs * 2 * pixels;  // and a row of zeros
  const int64_t read = row_floats(pixels, halo) + upsampling_scratch(pixels, halo);
  return rows + ring + read + static_cast<int64_t>(ROWS) * pixels;
}

// Add the sums of some rows and of their squares to moments[0] and moments[1].
INLINE void add_moments(float* const* out, int rows, int pixels, double* moments) {
  Vec sum = {}, squares = {};
  for (int m = 0; m < rows; m++)
    for (int j = 0; j < pixels; j += LANES) {
      const Vec value = load(out[m] + j);
      sum += value;
      squares += value * value;
    }
  moments[0] += sum_of_lanes(sum);
  moments[1] += sum_of_lanes(squares);
}

// Compute part `number` of the output.
inline void filter_part(const ScaleConv& conv, const ConvParts& parts, int number, float* scratch) {
  const int height = conv.output.height, inputs = conv.channels();
  const int pixels = parts.pixels, x0 = number % parts.strips * pixels;
  const int begin = number / parts.strips % parts.bands * parts.rows, end = std::min(begin + parts.rows, height);
  const int first = number / (parts.strips * parts.bands) * parts.channels;
  const int outputs = std::min(parts.channels, conv.output.channels - first), block = mix_block(conv.output.channels);
  const float* mix = conv.mix + static_cast<int64_t>(3) * inputs * first;
  const int radius = conv.kernels.radius, halo = conv.output.halo;
  const int live = 2 * radius + ROWS;  // rows that the columns of one step read
  const int here = std::min(pixels, conv.output.pixels() - x0);
  const int64_t slot = static_cast<int64_t>(outputs) * 2 * pixels, stride = static_cast<int64_t>(ROWS) * pixels;
  float* filtered = scratch;
  float* ring = filtered + inputs * 2 * stride;
  float* zeros = ring + live * slot;
  float* fetched = zeros + slot;
  float* blended = fetched + row_floats(pixels, halo);
  float* beyond = blended + upsampling_scratch(pixels, halo);  // for output rows behind the last one
  memset(zeros, 0, slot * sizeof(float));

  auto take = [&](int from, int to) {  // put rows of the input into the ring
    for (int y = from; y < to; y++) {  // in the order of the memory
      float* u = filtered + (y - from) * pixels;
      for (const Source& input : conv.inputs)
        for (int c = 0; c < input.map.channels; c++, u += 2 * stride)
          filter_row(source_row(input, c, y, x0, here, halo, fetched, blended), conv.kernels, u, u + stride, here);
    }
    for (int y = from; y < to; y++)
      mix_row(filtered + (y - from) * pixels, stride, inputs, mix, block, outputs, ring + y % live * slot, pixels,
              here);
  };

  const int tail = conv.output.width - x0;          // columns of the image in the strip, where it is the last one
  const int last = std::min(end + radius, height);  // row of the input behind the last one that is read
  for (int from = std::max(begin - radius, 0); from < std::min(begin + radius, height); from += ROWS)
    take(from, std::min({from + ROWS, begin + radius, height}));
  for (int y = begin; y < end; y += ROWS) {
    if (y + radius < last) take(y + radius, std::min(y + radius + ROWS, last));
    const float* slots[2 * MOST_RADIUS + ROWS];
    for (int n = 0; n < live; n++) {
      const int row = y - radius + n;
      slots[n] = row < 0 || row >= height ? zeros : ring + row % live * slot;
    }
    const int rows = std::min(ROWS, end - y);
    for (int o = 0; o < outputs; o++) {
      float* out[ROWS];
      for (int m = 0; m < ROWS; m++) out[m] = m < rows ? conv.output.row(y + m, first + o) + x0 : beyond + m * pixels;
      filter_columns(slots, static_cast<int64_t>(o) * 2 * pixels, pixels, conv.kernels,
                     conv.bias ? conv.bias[first + o] : 0, conv.clip, out, here);
      if (tail < here)
        for (int m = 0; m < rows; m++)
          store(out[m] + here - LANES, first_lanes(load(out[m] + here - LANES), tail - here + LANES));
      if (conv.moments) add_moments(out, rows, here, conv.moments + 2 * (first + o));
      if (conv.pooled.channels)
        for (int m = 0; m + 1 < rows; m += 2)
          average_pool_row(0, here / 2, conv.pooled.row((y + m) / 2, first + o) + x0 / 2,
                           [&](int x) { return load(out[m] + x) + load(out[m + 1] + x); });
    }
  }
}
