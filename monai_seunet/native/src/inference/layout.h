// The maps of the network, and where they lie in the workspace.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/map.h"
#include "common/vector.h"
#include "common/workspace.h"
#include "interface.h"

namespace inference {

// One group of one octave of one image: a small U-Net that exchanges no data with the others.
struct Unit {
  int octave, group, image;
  int number;    // in the order of the results
  float* arena;  // the memory of its maps
};

// The octave after `octave` on the way to octave 0, the grid of the image.
inline int nearer(int octave) { return octave + (octave < 0 ? 1 : -1); }

// The images of all octaves are kept for the whole call. A unit has its maps in an arena. The next unit that runs in
// this arena replaces them.
class Layout {
 public:
  Layout(const SeunetNetwork& net, const SeunetImage& image, int threads, Workspace& workspace)
      : net(net), image(image), threads(threads), workspace_(workspace) {
    int radius = 1;
    for (int s = 0; s < net.steps; s++)
      if (net.step[s].kind == SCALE_CONV)
        for (int k = 0; k < net.groups; k++) radius = std::max(radius, net.step[s].weights[k].radius);
    halo = rounded_up(radius, LANES);
    for (int octave = first_image(); octave <= last_image(); octave++)
      image_size_ += Workspace::whole_lines(image_shape(octave).size());
    for (int n = 1; n < net.buffers; n++) {
      offsets_[n] = arena_size_;
      arena_size_ += Workspace::whole_lines(shape(n, net.octave[0]).size());
    }
    logits_ = arena_size_;
    int64_t most = 0;
    for (int n = 0; n < net.octaves; n++) {
      int64_t size = 0;
      for (int octave = net.octave[n]; octave != 0; octave = nearer(octave))
        size += Workspace::whole_lines(logits_shape(octave).size());
      most = std::max(most, size);
    }
    arena_size_ += most;
    images_ = workspace.reserve(image.batch * image_size_);
    arenas_ = workspace.reserve(arenas() * arena_size_);
  }

  const SeunetNetwork& net;
  const SeunetImage& image;
  const int threads;
  int halo = 0;

  int units_of_octave() const { return net.groups * image.batch; }
  int units() const { return net.octaves * units_of_octave(); }

  // The units that are left over where the threads share those of the finest octave. All threads run them together.
  int joint_units() const { return units_of_octave() % threads; }

  // Images exist from this octave to the last one. That of octave 0 does not exist where only coarser ones are read.
  int first_image() const { return std::min(net.octave[0], 1); }
  int last_image() const { return std::max(net.octave[net.octaves - 1], 0); }

  // The shapes of maps, without memory.
  Map image_shape(int octave) const { return sized(net.buffer[0].channels, octave, 0); }
  Map logits_shape(int octave) const { return sized(net.classes, octave, 0); }
  Map shape(int buffer, int octave) const {
    return sized(net.buffer[buffer].channels, octave, net.buffer[buffer].level);
  }

  // Unit n of all units, from the finest octave to the coarsest. In an octave the groups with the widest kernels come
  // first, so threads which take one unit after the other end at about the same time.
  Unit unit(int n, int arena) const {
    const int place = n / units_of_octave(), image_number = n % image.batch;
    const int group = net.groups - 1 - n / image.batch % net.groups;
    return {net.octave[place], group, image_number, (place * net.groups + group) * image.batch + image_number,
            workspace_.at(arenas_ + arena * arena_size_)};
  }

  Map image_at(int number, int octave) const {
    int64_t offset = images_ + number * image_size_;
    for (int finer = first_image(); finer < octave; finer++)
      offset += Workspace::whole_lines(image_shape(finer).size());
    Map map = image_shape(octave);
    map.data = workspace_.at(offset);
    return map;
  }

  // A buffer of a unit. The map of buffer -1 has no channels.
  Map map(int buffer, const Unit& unit) const {
    if (buffer < 0) return {};
    if (buffer == 0) return image_at(unit.image, unit.octave);
    Map map = shape(buffer, unit.octave);
    map.data = unit.arena + offsets_[buffer];
    return map;
  }

  // The logits of a unit at an octave between its own octave and octave 0.
  Map logits(const Unit& unit, int octave) const {
    int64_t offset = logits_;
    for (int other = unit.octave; other != octave; other = nearer(other))
      offset += Workspace::whole_lines(logits_shape(other).size());
    Map map = logits_shape(octave);
    map.data = unit.arena + offset;
    return map;
  }

  // Set the halos of all maps of a unit, since a unit of another octave may have used the arena. The layers do not
  // write to them.
  void clear_halos(const Unit& unit) const {
    for (int n = 1; n < net.buffers; n++) map(n, unit).clear_halo();
    for (int octave = unit.octave; octave != 0; octave = nearer(octave)) logits(unit, octave).clear_halo();
  }

 private:
  // One arena for each thread, and one for each joint unit where there are only those.
  int arenas() const { return units() > joint_units() ? threads : joint_units(); }

  static int at_octave(int side, int octave) { return octave < 0 ? side << -octave : side >> octave; }

  Map sized(int channels, int octave, int level) const {
    const int height = at_octave(image.height, octave), width = at_octave(image.width, octave);
    return {nullptr, channels, height >> level, width >> level, halo};
  }

  const Workspace& workspace_;
  int64_t offsets_[MOST_BUFFERS] = {};       // of the buffers in an arena
  int64_t logits_ = 0;                       // offset of the logits in an arena, from the octave of the unit on
  int64_t image_size_ = 0, arena_size_ = 0;  // floats
  int64_t images_ = 0, arenas_ = 0;          // offsets in the workspace
};

}  // namespace inference
