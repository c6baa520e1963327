// The gradients of a scale convolution, of one map: of its inputs, its mix and its sigma.
//
// Nothing is kept of the forward pass but the inputs: filtered rows are computed again. The image is taken in bands of
// rows, and these in chunks that fit the cache.
#pragma once

#include <algorithm>
#include <cstring>

#include "filter_gradient.h"
#include "mix.h"
#include "norm_gradient.h"
#include "outer.h"
#include "source.h"

constexpr int64_t CHUNK_FLOATS = 96 * 1024;
constexpr int MOST_CHUNK_ROWS = 16;

// What becomes of the gradient of an input.
struct InputGradient {
  Map map;    // of the input as it lies, of its doubling where that is read; no channels where none is wanted
  bool adds;  // to what is there
};

struct ScaleConvGradient {
  Source inputs[2];
  InputGradient gradients[2];
  Map output, output_gradient;  // before and after the norm
  NormGradient norm;
  KernelSlopes kernels;
  const float* mix;      // packed
  const float* adjoint;  // packed
  float* d_mix;          // three tiled matrices (outputs, inputs), added to
  double* d_sigma;       // added to

  int channels() const { return inputs[0].map.channels + inputs[1].map.channels; }
};

inline int chunk_rows(int inputs, int outputs, int pixels, int height) {
  const int64_t row = static_cast<int64_t>(4) * (inputs + outputs) * pixels;
  return static_cast<int>(std::clamp<int64_t>(CHUNK_FLOATS / row, 1, std::min(MOST_CHUNK_ROWS, height)));
}

inline int64_t gradient_scratch(int inputs, int outputs, int radius, int halo, int pixels, int height) {
  const int64_t rows = chunk_rows(inputs, outputs, pixels, height), wide = pixels + halo;
  const int64_t forward = rows * pixels * (2 * inputs + 4 * outputs);
  const int64_t backward = rows * wide * 2 * inputs + halo;
  const int64_t ring = (2 * radius + rows) * outputs * pixels;
  const int64_t read = rows * inputs * fetched_floats(pixels, halo);
  return forward + backward + ring + pixels + read + doubling_scratch(pixels, halo) + pixels;
}

// A row of the gradient of what is read, zero beyond the image, to where it comes from.
inline void put_row(const InputGradient& gradient, Reading reading, int channel, int y, const float* dx, int pixels) {
  if (reading == POOLED) {  // a quarter to each of the four
    for (int row = 2 * y; row < 2 * y + 2; row++) {
      float* to = gradient.map.row(row, channel);
      for (int x = 0; x < gradient.map.width / 2; x += LANES) {
        const Vec quarter = broadcast(0.25f) * load(dx + x);
        float both[2 * LANES];
        store_interleaved(both, quarter, quarter);
        for (int part = 0; part < 2 && 2 * x + part * LANES < gradient.map.pixels(); part++) {
          float* at = to + 2 * x + part * LANES;
          store(at, gradient.adds ? load(at) + load(both + part * LANES) : load(both + part * LANES));
        }
      }
    }
    return;
  }
  float* to = gradient.map.row(y, channel);
  for (int x = 0; x < pixels; x += LANES) store(to + x, gradient.adds ? load(to + x) + load(dx + x) : load(dx + x));
}

// The part of rows `begin` to `end` of the output.
inline void scale_conv_gradient(const ScaleConvGradient& conv, int begin, int end, float* scratch) {
  const Map& y = conv.output;
  const int height = y.height, pixels = y.pixels(), outputs = y.channels, inputs = conv.channels(), halo = y.halo;
  const int radius = conv.kernels.kernels.radius, rows = chunk_rows(inputs, outputs, pixels, height);
  const int live = 2 * radius + rows;
  const int64_t stride = static_cast<int64_t>(rows) * pixels, wide = pixels + halo, wide_stride = rows * wide;
  float* filtered = scratch;                          // [input][u, v][row][pixel]
  float* mixed = filtered + 2 * inputs * stride;      // [output][dp, dq][row][pixel]
  float* slopes = mixed + 2 * outputs * stride;       // [output][ep, eq][row][pixel]
  float* unmixed = slopes + 2 * outputs * stride;     // [input][du, dv][row][pixel and halo]
  float* ring = unmixed + 2 * inputs * wide_stride + halo;  // [row][output][pixel]: dy
  float* zeros = ring + static_cast<int64_t>(live) * outputs * pixels;
  float* fetched = zeros + pixels;  // [row][input][pixel and halos]
  float* blended = fetched + static_cast<int64_t>(rows) * inputs * fetched_floats(pixels, halo);
  float* dx = blended + doubling_scratch(pixels, halo);
  memset(zeros, 0, pixels * sizeof(float));
  memset(unmixed, 0, (2 * inputs * wide_stride + halo) * sizeof(float));
  unmixed += halo;

  auto slot = [&](int row) { return ring + static_cast<int64_t>(row % live) * outputs * pixels; };
  int taken = std::max(begin - radius, 0);  // rows of dy
  double sigma = 0;
  for (int from = begin; from < end; from += rows) {
    const int count = std::min(rows, end - from), n = count * pixels;
    for (; taken < std::min(from + count + radius, height); taken++)
      for (int o = 0; o < outputs; o++)
        norm_gradient_row(y, conv.output_gradient, conv.norm, taken, o, slot(taken) + static_cast<int64_t>(o) * pixels);
    for (int m = 0; m < count; m++) {  // in the order of the memory
      float *u = filtered + m * pixels, *to = fetched + m * inputs * fetched_floats(pixels, halo);
      for (const Source& input : conv.inputs)
        for (int c = 0; c < input.map.channels; c++, u += 2 * stride, to += fetched_floats(pixels, halo))
          filter_row(source_row(input, c, from + m, 0, pixels, halo, to, blended), conv.kernels.kernels, u, u + stride, pixels);
    }
    for (int m = 0; m < count; m++)
      for (int o = 0; o < outputs; o++) {
        const float* around[2 * 32 + 1];
        for (int t = -radius; t <= radius; t++) {
          const int row = from + m + t;
          around[radius + t] = row < 0 || row >= height ? zeros : slot(row) + static_cast<int64_t>(o) * pixels;
        }
        float *to = mixed + 2 * o * stride + m * pixels, *slope = slopes + 2 * o * stride + m * pixels;
        columns_adjoint(around, conv.kernels, to, to + stride, slope, slope + stride, pixels);
      }
    sigma += mix_dot(filtered, stride, inputs, conv.mix, outputs, slopes, stride, n);
    const int64_t matrix = tiled_floats(outputs, inputs);
    add_outer(mixed, 2 * stride, outputs, filtered, 2 * stride, inputs, n, conv.d_mix);
    add_outer(mixed, 2 * stride, outputs, filtered + stride, 2 * stride, inputs, n, conv.d_mix + matrix);
    add_outer(mixed + stride, 2 * stride, outputs, filtered, 2 * stride, inputs, n, conv.d_mix + 2 * matrix);
    for (int m = 0; m < count; m++)
      mix_row(mixed + m * pixels, stride, outputs, conv.adjoint, mix_block(inputs), inputs, unmixed + m * wide, wide_stride, pixels);
    Vec slope_of_rows = {};
    for (int m = 0; m < count; m++) {
      const float *du = unmixed + m * wide, *kept = fetched + m * inputs * fetched_floats(pixels, halo) + halo;
      for (int source = 0; source < 2; source++) {
        const Source& input = conv.inputs[source];
        const InputGradient& gradient = conv.gradients[source];
        const bool directly = gradient.map.channels && input.reading != POOLED && !gradient.adds;
        for (int c = 0; c < input.map.channels; c++, du += 2 * wide_stride, kept += fetched_floats(pixels, halo)) {
          const float* x = input.reading == PLAIN ? input.map.row(from + m, c) : kept;
          float* to = directly ? gradient.map.row(from + m, c) : dx;
          slope_of_rows += rows_adjoint(du, du + wide_stride, x, conv.kernels, to, pixels);
          if (y.width < pixels)
            store(to + pixels - LANES, first_lanes(load(to + pixels - LANES), y.width - pixels + LANES));
          if (gradient.map.channels && !directly) put_row(gradient, input.reading, c, from + m, dx, pixels);
        }
      }
    }
    sigma += sum_of_lanes(slope_of_rows);
  }
  *conv.d_sigma += sigma;
}
