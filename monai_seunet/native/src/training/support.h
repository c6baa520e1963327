// The networks and images that the kernels can train.
#pragma once

#include <algorithm>

#include "interface.h"

namespace training {

inline bool supports_images(const SeunetTraining& net) {
  const int stride = 1 << (net.levels - 1);
  for (int octave = 0; octave < net.octaves; octave++) {
    const SeunetImage& image = net.image[octave];
    if (image.batch < 1 || image.batch != net.image[0].batch || image.height < 1 || image.width < 1) return false;
    if (image.channels != net.buffer[0].channels) return false;
    if (image.height % stride || image.width % stride) return false;
  }
  return true;
}

inline bool supports_kernels(const SeunetTraining& net) {
  for (int s = 0; s < net.layers; s++) {
    const SeunetLayer& layer = net.layer[s];
    for (int k = 0; k < net.groups && layer.kind == SCALE_CONV; k++)
      if (layer.radius[k] < 0 || layer.radius[k] > std::min<int>(MOST_RADIUS, layer.taps - 1)) return false;
  }
  return true;
}

inline bool supports(const SeunetTraining& net) {
  if (net.buffers < 1 || net.buffers > MOST_BUFFERS || net.gradients > MOST_BUFFERS) return false;
  if (net.layers < 1 || net.layers > MOST_LAYERS || net.octaves < 1 || net.octaves > MOST_OCTAVES) return false;
  if (net.groups < 1 || net.levels < 1 || net.levels > MOST_LEVELS) return false;
  if (net.norms != 1 && net.norms != net.groups) return false;
  return supports_images(net) && supports_kernels(net);
}

}  // namespace training
