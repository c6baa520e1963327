// A scale convolution of one map with all that follows it: rows, mix, columns, offset, ReLU and 2 x 2 average.
//
// The image is taken in strips. A strip streams down the rows; the mixed rows that the columns still need live
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

// The parts of the output that are computed by themselves, whatever the others do: strips of columns, bands of rows, and
// pieces of the channels.
struct ConvParts {
  int strips, pixels;    // of a strip
  int bands, rows;       // of a band
  int pieces, channels;  // of a piece; the last ones may have fewer

  int count() const { return strips * bands * pieces; }
};

// Strips are all of the row if its ring fits, else parts alike, of a multiple of 2 * LANES, so that pooled pixels belong to
// one strip. At least `least` parts where the map is large enough: bands, which filter some rows of their neighbours once
// more, and of low maps pieces, which filter all rows once more.
inline ConvParts conv_parts(int height, int width, int outputs, int radius, int least) {
  const int step = 2 * LANES;
  const int64_t fitting = RING_FLOATS / (2 * static_cast<int64_t>(outputs) * (2 * radius + ROWS));
  const int most = std::max<int>(step, static_cast<int>(std::min<int64_t>(fitting, MOST_PIXELS)) / step * step);
  int strips = (width + most - 1) / most;
  const int pixels = rounded_up((width + strips - 1) / strips, step);
  strips = (width + pixels - 1) / pixels;
  int wanted = (least + strips - 1) / strips;
  int bands = std::clamp(height / (8 * std::max(radius, ROWS)), 1, wanted);
  const int rows = rounded_up((height + bands - 1) / bands, ROWS);
  bands = (height + rows - 1) / rows;
  wanted = (wanted + bands - 1) / bands;
  const int block = mix_block(outputs), blocks = (outputs + block - 1) / block;
  const int channels = (blocks + wanted - 1) / wanted * block;
  return {strips, pixels, bands, rows, (outputs + channels - 1) / channels, channels};
}

inline int64_t strip_scratch(int inputs, int outputs, int radius, int halo, int pixels) {
  const int64_t rows = static_cast<int64_t>(inputs) * 2 * ROWS * pixels;
  const int64_t ring = static_cast<int64_t>(2 * radius + ROWS + 1) * outputs * 2 * pixels;  // and a row of zeros
  return rows + ring + fetched_floats(pixels, halo) + doubling_scratch(pixels, halo) + static_cast<int64_t>(ROWS) * pixels;
}

// One of the parts of the output.
inline void filter_part(const ScaleConv& conv, const ConvParts& parts, int number, float* scratch) {
  const int pixels = parts.pixels, x0 = number % parts.strips * pixels;
  const int begin = number / parts.strips % parts.bands * parts.rows, end = std::min(begin + parts.rows, conv.output.height);
  const int first = number / (parts.strips * parts.bands) * parts.channels;
  const int height = conv.output.height, inputs = conv.channels();
  const int outputs = std::min(parts.channels, conv.output.channels - first), block = mix_block(conv.output.channels);
  const float* mix = conv.mix + static_cast<int64_t>(3) * inputs * first;
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
      mix_row(filtered + (y - from) * pixels, stride, inputs, mix, block, outputs, ring + y % live * slot, pixels, here);
  };

  const int tail = conv.output.width - x0;  // real pixels of the strip, where it is the last
  const int last = std::min(end + radius, height);  // of the input
  for (int from = std::max(begin - radius, 0); from < std::min(begin + radius, height); from += ROWS)
    take(from, std::min({from + ROWS, begin + radius, height}));
  for (int y = begin; y < end; y += ROWS) {
    if (y + radius < last) take(y + radius, std::min(y + radius + ROWS, last));
    const float* slots[2 * 32 + ROWS];
    for (int n = 0; n < live; n++) {
      const int row = y - radius + n;
      slots[n] = row < 0 || row >= height ? zeros : ring + row % live * slot;
    }
    const int rows = std::min(ROWS, end - y);
    for (int o = 0; o < outputs; o++) {
      float* out[ROWS];
      for (int m = 0; m < ROWS; m++) out[m] = m < rows ? conv.output.row(y + m, first + o) + x0 : beyond + m * pixels;
      filter_columns(slots, static_cast<int64_t>(o) * 2 * pixels, pixels, conv.kernels, conv.bias ? conv.bias[first + o] : 0,
                     conv.clip, out, here);
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
        conv.moments[2 * (first + o)] += sum_of_lanes(sum);
        conv.moments[2 * (first + o) + 1] += sum_of_lanes(squares);
      }
      if (conv.pooled.channels)
        for (int m = 0; m + 1 < rows; m += 2) {
          float* to = conv.pooled.row((y + m) / 2, first + o) + x0 / 2;
          const float *a = out[m], *b = out[m + 1];
          for (int j = 0; j < here; j += 2 * LANES) {
            const Vec left = load(a + j) + load(b + j), right = load(a + j + LANES) + load(b + j + LANES);
            store(to + j / 2, broadcast(0.25f) * pair_sums(left, right));
          }
        }
    }
  }
}
