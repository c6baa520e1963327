// The weights of all layers in the order in which the kernels read them.
#pragma once

#include <cstdint>

#include "common/workspace.h"
#include "interface.h"
#include "kernels/mix_packing.h"
#include "kernels/pointwise.h"
#include "training/network.h"

namespace training {

class PackedWeights {
 public:
  PackedWeights(const Network& network, Workspace& workspace) : network_(network), workspace_(workspace) {
    for (int s = 0; s < network.net.layers; s++) {
      const SeunetLayer& layer = network.net.layer[s];
      const int64_t weights = static_cast<int64_t>(network.outputs(layer)) * network.inputs(layer);
      forward_[s] = workspace.reserve(Network::matrices(layer) * weights);
      adjoint_[s] = workspace.reserve(Network::matrices(layer) * weights);
    }
  }

  float* forward(const SeunetLayer& layer) const { return workspace_.at(forward_[network_.number(layer)]); }
  float* adjoint(const SeunetLayer& layer) const { return workspace_.at(adjoint_[network_.number(layer)]); }

  // Copy the weights of a layer.
  void pack(const SeunetLayer& layer) const {
    const int outputs = network_.outputs(layer), inputs = network_.inputs(layer);
    if (layer.kind == SCALE_CONV) {
      pack_mix(layer.weight, outputs, inputs, forward(layer));
      pack_mix_adjoint(layer.weight, outputs, inputs, adjoint(layer));
    } else {
      pack_pointwise(layer.weight, outputs, inputs, forward(layer));
      pack_pointwise_adjoint(layer.weight, outputs, inputs, adjoint(layer));
    }
  }

 private:
  const Network& network_;
  const Workspace& workspace_;
  int64_t forward_[MOST_LAYERS] = {}, adjoint_[MOST_LAYERS] = {};  // offsets in the workspace
};

}  // namespace training
