// The backward pass of a training step.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "common/map.h"
#include "common/team.h"
#include "common/vector.h"
#include "gradients/chunks.h"
#include "gradients/norm_gradient.h"
#include "gradients/outer_product.h"
#include "gradients/scale_conv_gradient.h"
#include "interface.h"
#include "kernels/pointwise.h"
#include "kernels/source.h"
#include "kernels/upsampling.h"
#include "training/network.h"
#include "training/parts.h"
#include "training/state.h"

namespace training {

class Backward {
 public:
  explicit Backward(const State& state) : state_(state), network_(state.network) {}

  int64_t scratch_floats(const SeunetLayer& layer, int octave) const {
    const Map output = network_.output_shape(layer, octave);
    const int inputs = network_.inputs(layer), outputs = network_.outputs(layer), pixels = output.pixels();
    if (layer.kind != SCALE_CONV) {
      const int64_t rows = chunk_rows(inputs, outputs, pixels, output.height);
      return rows * pixels * (inputs + outputs) + inputs * pixels + inputs + row_floats(pixels, network_.halo) +
             upsampling_adjoint_scratch(2 * pixels + LANES);
    }
    int64_t most = 0;
    for (int k = 0; k < network_.net.groups; k++)
      most = std::max(
          most, gradient_scratch(inputs, outputs, layer.radius[k], network_.halo, pixels, output.height));
    return most;
  }

  // Every thread of the team runs this with its own scratch.
  void run(Team& team, const float* const* d_logits, float* scratch) const {
    for (int s = network_.net.layers - 1; s >= 0; s--) {
      const SeunetLayer& layer = network_.net.layer[s];
      const int parts = state_.parts.count(layer, BACKWARD), accumulators = state_.sums.accumulators(layer);
      if (layer.kind == SCALE_CONV) {
        team.share(parts, [&](int n) { norm_sums(layer, n); });
        team.share(1, [&](int) { state_.norms.finish_backward(layer); });
      }
      team.share(accumulators, [&](int accumulator) {
        state_.sums.clear(layer, accumulator);
        for (int n = accumulator; n < parts; n += accumulators) {
          if (layer.kind == SCALE_CONV) scale_conv(layer, n, accumulator, scratch);
          else pointwise(layer, n, d_logits, accumulator, scratch);
        }
      });
      team.share(network_.outputs(layer), [&](int output) { state_.sums.reduce_weights(layer, output); });
      team.share(1, [&](int) { state_.sums.reduce_numbers(layer); });
    }
  }

 private:
  void norm_sums(const SeunetLayer& layer, int n) const {
    const Part part = state_.parts.part(layer, n, BACKWARD);
    const Map y = state_.maps.map(layer.target, part.unit);
    const auto [begin, end] = state_.parts.rows(layer, part);
    double* sums = state_.sums.moments(layer, n);
    std::fill(sums, sums + 2 * y.channels, 0.0);
    add_norm_sums(y, state_.maps.gradient(layer.target_gradient, part.unit),
                  state_.norms.coefficients(layer, part.unit.group), begin, end, sums);
  }

  void scale_conv(const SeunetLayer& layer, int n, int accumulator, float* scratch) const {
    const Part part = state_.parts.part(layer, n, BACKWARD);
    const Unit& unit = part.unit;
    const ScaleConvGradient gradient = {
        {state_.source(layer, unit), state_.coarse(layer, unit)},
        {{state_.maps.gradient(layer.source_gradient, unit), layer.source_adds != 0},
         {state_.maps.gradient(layer.coarse_gradient, unit), false}},
        state_.maps.map(layer.target, unit),
        state_.maps.gradient(layer.target_gradient, unit),
        state_.norms.coefficients(layer, unit.group),
        network_.kernels(layer, unit.group),
        state_.weights.forward(layer),
        state_.weights.adjoint(layer),
        state_.sums.matrices(layer, accumulator),
        state_.sums.numbers(layer, accumulator) + unit.group};
    const auto [begin, end] = state_.parts.rows(layer, part);
    scale_conv_gradient(gradient, begin, end, scratch);
  }

  void pointwise(const SeunetLayer& layer, int n, const float* const* d_logits, int accumulator,
                 float* scratch) const {
    const Part part = state_.parts.part(layer, n, BACKWARD);
    const Source input = state_.source(layer, part.unit);
    const Map d_input = state_.maps.gradient(layer.source_gradient, part.unit);
    const Map d_upsampled = state_.maps.gradient(layer.target_gradient, part.unit);
    const int inputs = network_.inputs(layer), outputs = network_.outputs(layer), pixels = input.map.pixels();
    const int rows = chunk_rows(inputs, outputs, pixels, input.map.height);
    const int64_t stride = static_cast<int64_t>(rows) * pixels;
    float *x = scratch, *d = x + inputs * stride, *dx = d + outputs * stride;
    float *zeros = dx + static_cast<int64_t>(inputs) * pixels, *fetched = zeros + inputs;
    float* summed = fetched + row_floats(pixels, network_.halo);
    const float* adjoint = state_.weights.adjoint(layer);
    float* d_weight = state_.sums.matrices(layer, accumulator);
    double* d_bias = state_.sums.numbers(layer, accumulator);
    std::fill(zeros, zeros + inputs, 0.0f);
    const auto [begin, end] = state_.parts.rows(layer, part);
    for (int from = begin; from < end; from += rows) {
      const int count = std::min(rows, end - from);
      for (int m = 0; m < count; m++) {
        state_.copy_channels(input, from + m, x + m * pixels, stride, fetched);
        for (int c = 0; c < outputs; c++) {
          float* row = d + c * stride + m * pixels;
          if (layer.kind == POINTWISE) upsampled_row_adjoint(d_upsampled, c, from + m, row, summed);
          else copy_logits_gradient(part.unit, d_logits, c, from + m, input.map, row);
          Vec sum = {};
          for (int j = 0; j < pixels; j += LANES) sum += load(row + j);
          d_bias[c] += sum_of_lanes(sum);
        }
        pointwise_row(d + m * pixels, stride, outputs, adjoint, zeros, inputs, dx, pixels, pixels);
        for (int c = 0; c < inputs; c++)
          memcpy(d_input.row(from + m, c), dx + static_cast<int64_t>(c) * pixels, pixels * sizeof(float));
      }
      add_outer(d, stride, outputs, x, stride, inputs, count * pixels, d_weight);
    }
  }

  // Copy row y of the gradient of the logits of class c to a row with the shape of the map. Zeros fill the row behind
  // the image.
  void copy_logits_gradient(const Unit& unit, const float* const* d_logits, int c, int y, const Map& shape,
                            float* row) const {
    memcpy(row, d_logits[unit.octave] + network_.logits_offset(unit, c, y), shape.width * sizeof(float));
    std::fill(row + shape.width, row + shape.pixels(), 0.0f);
  }

  const State& state_;
  const Network& network_;
};

}  // namespace training
