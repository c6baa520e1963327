// The networks and images that the kernels can run.
#pragma once

#include <algorithm>
#include <cstdint>

#include "interface.h"

namespace inference {

inline bool supports_octaves(const SeunetNetwork& net) {
  if (net.octaves < 1) return false;
  for (int n = 0; n < net.octaves; n++)
    if (net.octave[n] < -1 || net.octave[n] > COARSEST_OCTAVE || (n > 0 && net.octave[n] <= net.octave[n - 1]))
      return false;
  return true;
}

inline bool supports_steps(const SeunetNetwork& net) {
  for (int s = 0; s < net.steps; s++) {
    const SeunetStep& step = net.step[s];
    if (step.orientations < 1 || net.buffer[step.source].channels % step.orientations) return false;
    if (step.orientations > 1 && step.kind != HEAD) return false;
    for (int k = 0; k < net.groups; k++)
      if (step.weights[k].radius < 0 || step.weights[k].radius > MOST_RADIUS) return false;
  }
  return true;
}

inline bool supports_result(const SeunetNetwork& net, const SeunetImage& image, const SeunetResult& result) {
  if (result.top < 0 || result.left < 0 || result.height < 1 || result.width < 1) return false;
  if (result.height > image.height - result.top || result.width > image.width - result.left) return false;
  return !result.foreground || (result.foreground >= 2 && result.foreground <= net.classes);
}

inline bool supports(const SeunetNetwork& net, const SeunetImage& image, const SeunetResult& result) {
  if (net.buffers < 1 || net.buffers > MOST_BUFFERS || net.groups < 1 || net.classes < 1) return false;
  if (net.levels < 1 || net.levels > MOST_LEVELS || !supports_octaves(net) || !supports_steps(net)) return false;
  if (image.batch < 1 || image.height < 1 || image.width < 1 || image.channels != net.buffer[0].channels) return false;
  const int64_t stride = int64_t{1} << std::max(net.levels - 1 + net.octave[net.octaves - 1], 0);
  return image.height % stride == 0 && image.width % stride == 0 && supports_result(net, image, result);
}

}  // namespace inference
