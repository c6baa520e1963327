// What the forward and the backward pass share.
#pragma once

#include <cstdint>
#include <cstring>

#include "common/workspace.h"
#include "interface.h"
#include "kernels/source.h"
#include "training/maps.h"
#include "training/network.h"
#include "training/norms.h"
#include "training/packed_weights.h"
#include "training/partial_sums.h"
#include "training/parts.h"

namespace training {

struct State {
  explicit State(const SeunetTraining& net)
      : network(net), parts(network), maps(network, workspace), weights(network, workspace),
        sums(network, parts, workspace), norms(network, parts, sums, workspace) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  // What a layer reads of buffer `number`. A norm belongs to the buffers that scale convolutions write.
  Source source(int number, Reading reading, const Unit& unit) const {
    Source source = {reading, maps.map(number, unit), nullptr, nullptr};
    for (int s = 0; s < network.net.layers; s++) {
      const SeunetLayer& layer = network.net.layer[s];
      if (number > 0 && layer.target == number && layer.kind == SCALE_CONV) {
        const NormGradient norm = norms.coefficients(layer, unit.group);
        source.scale = norm.scale;
        source.offset = norm.offset;
      }
    }
    return source;
  }
  Source source(const SeunetLayer& layer, const Unit& unit) const {
    return source(layer.source, static_cast<Reading>(layer.reading), unit);
  }
  Source coarse(const SeunetLayer& layer, const Unit& unit) const { return source(layer.coarse, UPSAMPLED, unit); }

  // Copy row y of all channels of the source of a pointwise layer to [channel][pixel].
  void copy_channels(const Source& source, int y, float* to, int64_t to_next, float* fetched) const {
    const int pixels = source.map.pixels();
    for (int c = 0; c < source.map.channels; c++)
      memcpy(to + c * to_next, source_row(source, c, y, 0, pixels, network.halo, fetched, nullptr),
             pixels * sizeof(float));
  }

  const Network network;
  const Parts parts;
  Workspace workspace;
  const Maps maps;
  const PackedWeights weights;
  const PartialSums sums;
  const Norms norms;
};

}  // namespace training
