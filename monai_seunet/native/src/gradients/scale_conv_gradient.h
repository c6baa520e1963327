// The gradients of a scale convolution of one map: those of its inputs, of its mix and of its sigma.
//
// Of the forward pass only the inputs are stored. The rows are filtered again. The image is divided into bands of rows,
// and a band into chunks that fit the cache.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "common/map.h"
#include "common/vector.h"
#include "gradients/chunks.h"
#include "gradients/column_adjoint.h"
#include "gradients/input_gradient.h"
#include "gradients/norm_gradient.h"
#include "gradients/outer_product.h"
#include "gradients/row_adjoint.h"
#include "interface.h"
#include "kernels/channel_mix.h"
#include "kernels/row_filter.h"
#include "kernels/source.h"

struct ScaleConvGradient {
  Source inputs[2];
  InputGradient gradients[2];
  Map output;           // before the norm
  Map output_gradient;  // of the map after the norm and its ReLU
  NormGradient norm;
  DifferentiableKernels kernels;
  const float* mix;      // in the order of `pack_mix`
  const float* adjoint;  // in the order of `pack_mix_adjoint`
  float* d_mix;          // three matrices (outputs, inputs) in tiles; the gradient is added to them
  double* d_sigma;       // the gradient is added to it

  int channels() const { return inputs[0].map.channels + inputs[1].map.channels; }
};

// Floats of scratch that `scale_conv_gradient` needs.
inline int64_t gradient_scratch(int inputs, int outputs, int radius, int halo, int pixels, int height) {
  const int64_t rows = chunk_rows(inputs, outputs, pixels, height), wide = pixels + halo;
  const int64_t forward = rows * pixels * (2 * inputs + 4 * outputs);
  const int64_t backward = rows * wide * 2 * inputs + halo;
  const int64_t ring = (2 * radius + rows) * outputs * pixels;
  const int64_t read = rows * inputs * row_floats(pixels, halo);
  return forward + backward + ring + pixels + read + upsampling_scratch(pixels, halo) + pixels;
}

// Compute the part of the gradients that comes from rows `begin` to `end` of the output.
inline void scale_conv_gradient(const ScaleConvGradient& conv, int begin, int end, float* scratch) {
  const Map& y = conv.output;
  const int height = y.height, pixels = y.pixels(), outputs = y.channels, inputs = conv.channels(), halo = y.halo;
  const int radius = conv.kernels.kernels.radius, rows = chunk_rows(inputs, outputs, pixels, height);
  const int live = 2 * radius + rows;
  const int64_t stride = static_cast<int64_t>(rows) * pixels, wide = pixels + halo, wide_stride = rows * wide;
  float* filtered = scratch;                                // [input][u, v][row][pixel]
  float* mixed = filtered + 2 * inputs * stride;            // [output][dp, dq][row][pixel]
  float* slopes = mixed + 2 * outputs * stride;             // [output][ep, eq][row][pixel]
  float* unmixed = slopes + 2 * outputs * stride;           // [input][du, dv][row][pixel and halo]
  float* ring = unmixed + 2 * inputs * wide_stride + halo;  // [row][output][pixel]: dy
  float* zeros = ring + static_cast<int64_t>(live) * outputs * pixels;
  float* fetched = zeros + pixels;                          // [row][input][pixel and halos]
  float* blended = fetched + static_cast<int64_t>(rows) * inputs * row_floats(pixels, halo);
  float* dx = blended + upsampling_scratch(pixels, halo);
  memset(zeros, 0, pixels * sizeof(float));
  memset(unmixed, 0, (2 * inputs * wide_stride + halo) * sizeof(float));
  unmixed += halo;

  auto slot = [&](int row) { return ring + static_cast<int64_t>(row % live) * outputs * pixels; };
  int taken = std::max(begin - radius, 0);  // the next row of dy that is put into the ring
  double sigma = 0;
  for (int from = begin; from < end; from += rows) {
    const int count = std::min(rows, end - from), n = count * pixels;
    for (; taken < std::min(from + count + radius, height); taken++)
      for (int o = 0; o < outputs; o++)
        norm_gradient_row(y, conv.output_gradient, conv.norm, taken, o, slot(taken) + static_cast<int64_t>(o) * pixels);
    for (int m = 0; m < count; m++) {  // in the order of the memory
      float *u = filtered + m * pixels, *to = fetched + m * inputs * row_floats(pixels, halo);
      for (const Source& input : conv.inputs)
        for (int c = 0; c < input.map.channels; c++, u += 2 * stride, to += row_floats(pixels, halo)) {
          const float* x = source_row(input, c, from + m, 0, pixels, halo, to, blended);
          filter_row(x, conv.kernels.kernels, u, u + stride, pixels);
        }
    }
    for (int m = 0; m < count; m++)
      for (int o = 0; o < outputs; o++) {
        const float* around[2 * MOST_RADIUS + 1];
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
      mix_row(mixed + m * pixels, stride, outputs, conv.adjoint, mix_block(inputs), inputs, unmixed + m * wide,
              wide_stride, pixels);
    Vec slope_of_rows = {};
    for (int m = 0; m < count; m++) {
      const float *du = unmixed + m * wide, *kept = fetched + m * inputs * row_floats(pixels, halo) + halo;
      for (int source = 0; source < 2; source++) {
        const Source& input = conv.inputs[source];
        const InputGradient& gradient = conv.gradients[source];
        const bool direct = gradient.is_direct(input.reading);
        for (int c = 0; c < input.map.channels; c++, du += 2 * wide_stride, kept += row_floats(pixels, halo)) {
          const float* x = input.reading == PLAIN ? input.map.row(from + m, c) : kept;
          float* to = direct ? gradient.map.row(from + m, c) : dx;
          slope_of_rows += rows_adjoint(du, du + wide_stride, x, conv.kernels, to, pixels);
          if (y.width < pixels)
            store(to + pixels - LANES, first_lanes(load(to + pixels - LANES), y.width - pixels + LANES));
          if (gradient.map.channels && !direct) put_input_gradient(gradient, input.reading, c, from + m, dx, pixels);
        }
      }
    }
    sigma += sum_of_lanes(slope_of_rows);
  }
  *conv.d_sigma += sigma;
}
