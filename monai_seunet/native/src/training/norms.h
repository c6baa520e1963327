// The batch norms of all layers, and their gradients.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "common/map.h"
#include "common/workspace.h"
#include "gradients/norm_gradient.h"
#include "interface.h"
#include "training/network.h"
#include "training/partial_sums.h"
#include "training/parts.h"

namespace training {

// A norm takes its statistics over all octaves and images, and over all groups or one of them.
class Norms {
 public:
  Norms(const Network& network, const Parts& parts, const PartialSums& sums, Workspace& workspace)
      : network_(network), parts_(parts), sums_(sums), workspace_(workspace) {
    for (int s = 0; s < network.net.layers; s++) {
      const SeunetLayer& layer = network.net.layer[s];
      if (layer.kind == SCALE_CONV)
        coefficients_[s] = workspace.reserve(4 * static_cast<int64_t>(network.net.norms) * network.outputs(layer));
    }
  }

  // The coefficients of the norm after a scale convolution, for a group. Slope and shift are known in the backward
  // pass.
  NormGradient coefficients(const SeunetLayer& layer, int group) const {
    const int norm = network_.norm(group);
    return {coefficient(layer, SCALE, norm), coefficient(layer, OFFSET, norm), coefficient(layer, SLOPE, norm),
            coefficient(layer, SHIFT, norm)};
  }

  // Compute mean, variance, scale and offset. The moments of a part are the sums of the values and of their squares.
  void finish_forward(const SeunetLayer& layer) const {
    const int channels = network_.outputs(layer);
    for (int norm = 0; norm < network_.net.norms; norm++)
      for (int slot = 0; slot < layer.slots; slot++) {
        const Moments moments = total(layer, norm, slot, FORWARD);
        const double count = values(layer, norm), mean = moments.first / count;
        const double variance = std::max(moments.second / count - mean * mean, 0.0);
        const int at = norm * layer.slots + slot;
        layer.mean[at] = mean;
        layer.variance[at] = variance;
        const double scale = layer.gamma[at] / std::sqrt(variance + layer.eps);
        for (int c = slot; c < channels; c += layer.slots) {
          coefficient(layer, SCALE, norm)[c] = static_cast<float>(scale);
          coefficient(layer, OFFSET, norm)[c] = static_cast<float>(layer.beta[at] - mean * scale);
        }
      }
  }

  // Compute the gradients of gamma and beta, slope and shift. The moments of a part are those of `add_norm_sums`.
  void finish_backward(const SeunetLayer& layer) const {
    const int channels = network_.outputs(layer);
    for (int norm = 0; norm < network_.net.norms; norm++)
      for (int slot = 0; slot < layer.slots; slot++) {
        const Moments moments = total(layer, norm, slot, BACKWARD);
        const int at = norm * layer.slots + slot;
        const double inverse = 1 / std::sqrt(layer.variance[at] + layer.eps), scale = layer.gamma[at] * inverse;
        const double d_gamma = (moments.second - layer.mean[at] * moments.first) * inverse;
        const double count = values(layer, norm), slope = -scale * inverse * d_gamma / count;
        layer.d_gamma[at] = static_cast<float>(d_gamma);
        layer.d_beta[at] = static_cast<float>(moments.first);
        for (int c = slot; c < channels; c += layer.slots) {
          coefficient(layer, SLOPE, norm)[c] = static_cast<float>(slope);
          coefficient(layer, SHIFT, norm)[c] =
              static_cast<float>(-scale * moments.first / count - slope * layer.mean[at]);
        }
      }
  }

 private:
  enum Coefficient { SCALE = 0, OFFSET = 1, SLOPE = 2, SHIFT = 3 };

  struct Moments {
    double first, second;
  };

  float* coefficient(const SeunetLayer& layer, Coefficient which, int norm) const {
    const int64_t offset = coefficients_[network_.number(layer)];
    return workspace_.at(offset + (which * network_.net.norms + norm) * network_.outputs(layer));
  }

  // The moments of a slot over all parts that a norm sees.
  Moments total(const SeunetLayer& layer, int norm, int slot, Pass pass) const {
    const int channels = network_.outputs(layer);
    Moments total = {0, 0};
    parts_.for_parts_of_norm(layer, norm, pass, [&](int n) {
      const double* moments = sums_.moments(layer, n);
      for (int c = slot; c < channels; c += layer.slots) {
        total.first += moments[2 * c];
        total.second += moments[2 * c + 1];
      }
    });
    return total;
  }

  // The number of values that a norm sees for one slot.
  double values(const SeunetLayer& layer, int norm) const {
    double pixels = 0;
    for (int n = 0; n < network_.units; n++) {
      const Unit unit = network_.unit(n);
      const Map output = network_.output_shape(layer, unit.octave);
      if (network_.norm(unit.group) == norm) pixels += static_cast<double>(output.height) * output.width;
    }
    return pixels * (network_.outputs(layer) / layer.slots);
  }

  const Network& network_;
  const Parts& parts_;
  const PartialSums& sums_;
  const Workspace& workspace_;
  int64_t coefficients_[MOST_LAYERS] = {};  // offsets in the workspace
};

}  // namespace training
