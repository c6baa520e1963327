// The forward pass of a training step.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "common/map.h"
#include "common/team.h"
#include "interface.h"
#include "kernels/pointwise.h"
#include "kernels/scale_conv.h"
#include "kernels/source.h"
#include "training/network.h"
#include "training/parts.h"
#include "training/state.h"

namespace training {

class Forward {
 public:
  explicit Forward(const State& state) : state_(state), network_(state.network) {}

  int64_t scratch_floats(const SeunetLayer& layer, int octave) const {
    const int inputs = network_.inputs(layer), outputs = network_.outputs(layer);
    const int pixels = network_.output_shape(layer, octave).pixels();
    if (layer.kind != SCALE_CONV)
      return static_cast<int64_t>(inputs + outputs) * pixels + row_floats(pixels, network_.halo);
    int64_t most = 0;
    for (int k = 0; k < network_.net.groups; k++) {
      const int strip = state_.parts.conv_parts_of(layer, octave, k).pixels;
      most = std::max(most, strip_scratch(inputs, outputs, layer.radius[k], network_.halo, strip));
    }
    return most;
  }

  // Every thread of the team runs this with its own scratch.
  void run(Team& team, float* const* logits, float* scratch) const {
    const SeunetTraining& net = network_.net;
    team.share(net.layers, [&](int s) { state_.weights.pack(net.layer[s]); });
    team.share(net.octaves * network_.batch,
               [&](int n) { state_.maps.copy_image(n / network_.batch, n % network_.batch); });
    for (int s = 0; s < net.layers; s++) {
      const SeunetLayer& layer = net.layer[s];
      const int parts = state_.parts.count(layer, FORWARD);
      if (layer.kind == SCALE_CONV) {
        team.share(parts, [&](int n) { scale_conv(layer, n, scratch); });
        team.share(1, [&](int) { state_.norms.finish_forward(layer); });
      } else {
        team.share(parts, [&](int n) { pointwise(layer, n, logits, scratch); });
      }
    }
  }

 private:
  void scale_conv(const SeunetLayer& layer, int n, float* scratch) const {
    const auto [unit, number] = state_.parts.part(layer, n, FORWARD);
    double* moments = state_.sums.moments(layer, n);
    std::fill(moments, moments + 2 * network_.outputs(layer), 0.0);
    const ScaleConv conv = {{state_.source(layer, unit), state_.coarse(layer, unit)},
                            state_.weights.forward(layer),
                            nullptr,
                            network_.kernels(layer, unit.group).kernels,
                            state_.maps.map(layer.target, unit),
                            false,
                            {},
                            moments};
    filter_part(conv, state_.parts.conv_parts_of(layer, unit.octave, unit.group), number, scratch);
  }

  void pointwise(const SeunetLayer& layer, int n, float* const* logits, float* scratch) const {
    const Part part = state_.parts.part(layer, n, FORWARD);
    const Source input = state_.source(layer, part.unit);
    const int inputs = network_.inputs(layer), outputs = network_.outputs(layer);
    const int pixels = input.map.pixels(), width = input.map.width;
    const float* weights = state_.weights.forward(layer);
    float *x = scratch, *out = x + static_cast<int64_t>(inputs) * pixels;
    float* fetched = out + static_cast<int64_t>(outputs) * pixels;
    const Map target = state_.maps.map(layer.target, part.unit);
    const auto [begin, end] = state_.parts.rows(layer, part);
    for (int y = begin; y < end; y++) {
      state_.copy_channels(input, y, x, pixels, fetched);
      if (layer.kind == POINTWISE) {
        pointwise_row(x, pixels, inputs, weights, layer.bias, outputs, target.row(y, 0), target.pitch(), pixels);
      } else {
        pointwise_row(x, pixels, inputs, weights, layer.bias, outputs, out, pixels, pixels);
        for (int c = 0; c < outputs; c++)
          memcpy(logits[part.unit.octave] + network_.logits_offset(part.unit, c, y),
                 out + static_cast<int64_t>(c) * pixels, width * sizeof(float));
      }
    }
  }

  const State& state_;
  const Network& network_;
};

}  // namespace training
