// The images, the feature maps and their gradients in the workspace.
#pragma once

#include <cstdint>

#include "common/image.h"
#include "common/map.h"
#include "common/workspace.h"
#include "interface.h"
#include "training/network.h"

namespace training {

class Maps {
 public:
  Maps(const Network& network, Workspace& workspace) : network_(network), workspace_(workspace) {
    const SeunetTraining& net = network.net;
    for (int octave = 0; octave < net.octaves; octave++) {
      Octave& place = octaves_[octave];
      place.image_size = Workspace::whole_lines(network.shape(octave, net.buffer[0]).size());
      place.unit_size = buffers_size(octave, net.buffers) + gradients_size(octave, net.gradients);
      place.images = workspace.reserve(network.batch * place.image_size);
      place.units = workspace.reserve(net.groups * network.batch * place.unit_size);
    }
  }

  // A buffer of a unit. The map of buffer -1 has no channels.
  Map map(int number, const Unit& unit) const {
    if (number < 0) return {};
    Map map = network_.shape(unit.octave, network_.net.buffer[number]);
    if (number == 0) map.data = workspace_.at(image_offset(unit.octave, unit.image));
    else map.data = workspace_.at(unit_offset(unit) + buffers_size(unit.octave, number));
    return map;
  }

  // A gradient of a unit. The map of gradient -1 has no channels.
  Map gradient(int number, const Unit& unit) const {
    if (number < 0) return {};
    Map map = network_.shape(unit.octave, network_.net.gradient[number]);
    const int64_t before = buffers_size(unit.octave, network_.net.buffers) + gradients_size(unit.octave, number);
    map.data = workspace_.at(unit_offset(unit) + before);
    return map;
  }

  // Copy an image of the caller.
  void copy_image(int octave, int number) const {
    const Map to = map(0, {octave, 0, number});
    to.clear_halo();
    for (int y = 0; y < to.height; y++) copy_image_row(network_.net.image[octave], number, y, to, y);
  }

 private:
  struct Octave {
    int64_t images, units;          // offsets in the workspace
    int64_t image_size, unit_size;  // floats of one image, and of all maps and gradients of one unit
  };

  // Floats of the first `count` buffers of a unit. Buffer 0 is the image, which belongs to no unit.
  int64_t buffers_size(int octave, int count) const {
    int64_t size = 0;
    for (int n = 1; n < count; n++)
      size += Workspace::whole_lines(network_.shape(octave, network_.net.buffer[n]).size());
    return size;
  }
  int64_t gradients_size(int octave, int count) const {
    int64_t size = 0;
    for (int n = 0; n < count; n++)
      size += Workspace::whole_lines(network_.shape(octave, network_.net.gradient[n]).size());
    return size;
  }

  int64_t image_offset(int octave, int number) const {
    return octaves_[octave].images + number * octaves_[octave].image_size;
  }
  int64_t unit_offset(const Unit& unit) const {
    const int64_t place = unit.group * network_.batch + unit.image;
    return octaves_[unit.octave].units + place * octaves_[unit.octave].unit_size;
  }

  const Network& network_;
  const Workspace& workspace_;
  Octave octaves_[MOST_OCTAVES] = {};
};

}  // namespace training
