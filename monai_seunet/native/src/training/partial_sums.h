// The sums over parts that the statistics of the norms and the gradients of the weights are made of.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "common/workspace.h"
#include "gradients/outer_product.h"
#include "interface.h"
#include "training/network.h"
#include "training/parts.h"

namespace training {

// The sums are added in an order that does not depend on the number of threads. One block of memory serves all layers,
// since a layer is finished before the next one begins.
class PartialSums {
 public:
  PartialSums(const Network& network, const Parts& parts, Workspace& workspace)
      : network_(network), parts_(parts), workspace_(workspace) {
    int64_t most = 0;
    for (int s = 0; s < network.net.layers; s++) {
      const SeunetLayer& layer = network.net.layer[s];
      most = std::max({most, accumulators(layer) * accumulator_floats(layer), moment_floats(layer)});
    }
    start_ = workspace.reserve(most);
  }

  // Two sums for each output channel, over part n of a scale convolution.
  double* moments(const SeunetLayer& layer, int n) const {
    return reinterpret_cast<double*>(workspace_.at(start_)) + 2 * static_cast<int64_t>(network_.outputs(layer)) * n;
  }

  // The number of accumulators for the gradients of a layer. Accumulator a adds up the parts a, a + accumulators and so
  // on.
  int accumulators(const SeunetLayer& layer) const {
    const int64_t matrices = Network::matrices(layer) * tiled_floats(network_.outputs(layer), network_.inputs(layer));
    return std::min(matrices > 64 * 1024 ? 4 : 16, parts_.count(layer, BACKWARD));
  }

  // The gradients of the matrices of a layer, in tiles.
  float* matrices(const SeunetLayer& layer, int accumulator) const {
    return workspace_.at(start_ + accumulator * accumulator_floats(layer));
  }

  // The gradients of the sigmas of a scale convolution, or those of the bias of a pointwise layer.
  double* numbers(const SeunetLayer& layer, int accumulator) const {
    return reinterpret_cast<double*>(matrices(layer, accumulator) + matrix_floats(layer));
  }

  void clear(const SeunetLayer& layer, int accumulator) const {
    memset(matrices(layer, accumulator), 0, accumulator_floats(layer) * sizeof(float));
  }

  // Add all accumulators to the gradient of the weights of one output.
  void reduce_weights(const SeunetLayer& layer, int output) const {
    const int outputs = network_.outputs(layer), inputs = network_.inputs(layer), count = accumulators(layer);
    const int64_t matrix = tiled_floats(outputs, inputs);
    for (int filter = 0; filter < Network::matrices(layer); filter++) {
      float* to = layer.d_weight + (static_cast<int64_t>(filter) * outputs + output) * inputs;
      std::fill(to, to + inputs, 0.0f);
      for (int a = 0; a < count; a++) {
        const float* sums = matrices(layer, a) + filter * matrix;
        for (int input = 0; input < inputs; input++) to[input] += tiled_element(sums, inputs, output, input);
      }
    }
  }

  // Add all accumulators to the gradients of the sigmas or of the bias.
  void reduce_numbers(const SeunetLayer& layer) const {
    for (int n = 0; n < count_numbers(layer); n++) {
      double sum = 0;
      for (int a = 0; a < accumulators(layer); a++) sum += numbers(layer, a)[n];
      if (layer.kind == SCALE_CONV) layer.d_sigma[n] = sum;
      else layer.d_bias[n] = static_cast<float>(sum);
    }
  }

 private:
  int count_numbers(const SeunetLayer& layer) const {
    return layer.kind == SCALE_CONV ? network_.net.groups : network_.outputs(layer);
  }

  int64_t matrix_floats(const SeunetLayer& layer) const {
    const int64_t matrix = tiled_floats(network_.outputs(layer), network_.inputs(layer));
    return Workspace::whole_lines(Network::matrices(layer) * matrix);
  }
  int64_t accumulator_floats(const SeunetLayer& layer) const {
    return matrix_floats(layer) + Workspace::whole_lines(2 * count_numbers(layer));
  }
  int64_t moment_floats(const SeunetLayer& layer) const {
    if (layer.kind != SCALE_CONV) return 0;
    const int parts = std::max(parts_.count(layer, FORWARD), parts_.count(layer, BACKWARD));
    return 4 * static_cast<int64_t>(network_.outputs(layer)) * parts;
  }

  const Network& network_;
  const Parts& parts_;
  const Workspace& workspace_;
  int64_t start_ = 0;  // offset in the workspace
};

}  // namespace training
