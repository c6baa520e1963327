// The network that is trained: the shapes of its maps and layers.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/map.h"
#include "common/vector.h"
#include "interface.h"
#include "kernels/kernel_pair.h"

namespace training {

// One group of one octave of one image.
struct Unit {
  int octave, group, image;
};

class Network {
 public:
  explicit Network(const SeunetTraining& net)
      : net(net), batch(net.image[0].batch), units(net.octaves * net.groups * batch),
        halo(widest_halo(net)) {}

  const SeunetTraining& net;
  const int batch, units, halo;

  // Unit n of all units. In an octave the groups with the widest kernels come first, so threads which take one
  // part after the other end at about the same time.
  Unit unit(int n) const {
    return {n / (net.groups * batch), net.groups - 1 - n / batch % net.groups, n % batch};
  }

  int number(const SeunetLayer& layer) const { return static_cast<int>(&layer - net.layer); }
  int outputs(const SeunetLayer& layer) const {
    return layer.kind == HEAD ? net.classes : net.buffer[layer.target].channels;
  }
  int inputs(const SeunetLayer& layer) const {
    return net.buffer[layer.source].channels + (layer.coarse < 0 ? 0 : net.buffer[layer.coarse].channels);
  }

  // The matrices (outputs, inputs) of a layer.
  static int matrices(const SeunetLayer& layer) { return layer.kind == SCALE_CONV ? 3 : 1; }

  DifferentiableKernels kernels(const SeunetLayer& layer, int group) const {
    const float* taps = layer.kernels + static_cast<int64_t>(group) * 4 * layer.taps;
    const int32_t radius = layer.radius[group];
    return {{taps, taps + layer.taps, radius}, {taps + 2 * layer.taps, taps + 3 * layer.taps, radius}};
  }

  // The norm of a group.
  int norm(int group) const { return net.norms == 1 ? 0 : group; }

  // The shapes of maps, without memory.
  Map shape(int octave, const SeunetBuffer& buffer) const {
    const SeunetImage& image = net.image[octave];
    return {nullptr, buffer.channels, image.height >> buffer.level, image.width >> buffer.level, halo};
  }
  // The shape whose height and width the output of a layer has.
  Map output_shape(const SeunetLayer& layer, int octave) const {
    return shape(octave, net.buffer[layer.kind == HEAD ? layer.source : layer.target]);
  }

  // The offset of a row in the logits of its octave, which are (groups, batch, classes, height, width).
  int64_t logits_offset(const Unit& unit, int c, int y) const {
    const SeunetImage& image = net.image[unit.octave];
    const int64_t place = (static_cast<int64_t>(unit.group) * batch + unit.image) * net.classes + c;
    return (place * image.height + y) * image.width;
  }

 private:
  static int widest_halo(const SeunetTraining& net) {
    int radius = 1;
    for (int s = 0; s < net.layers; s++)
      if (net.layer[s].kind == SCALE_CONV)
        for (int k = 0; k < net.groups; k++) radius = std::max(radius, net.layer[s].radius[k]);
    return rounded_up(radius, LANES);
  }
};

}  // namespace training
