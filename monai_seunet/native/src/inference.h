// A folded U-Net with scale groups, run for all groups of a batch of images.
//
// Groups never exchange data: each group of each image is a small U-Net of its own, here a unit, whose maps stay in the
// cache. Threads take whole units; what is left over is run by all of them together, every layer in parts.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "image.h"
#include "interface.h"
#include "map.h"
#include "pointwise.h"
#include "scale_conv.h"
#include "team.h"

class Inference {
 public:
  Inference(const SeunetNetwork& net, const SeunetImage& image, int threads)
      : net_(net), image_(image), threads_(std::clamp(threads, 1, Team::MOST)), units_(net.groups * image.batch) {
    int radius = 1;
    for (int s = 0; s < net.steps; s++)
      if (net.step[s].kind == SCALE_CONV)
        for (int k = 0; k < net.groups; k++) radius = std::max(radius, net.step[s].weights[k].radius);
    const int halo = rounded_up(radius, LANES);
    for (int n = 0; n < net.buffers; n++) {
      const auto [channels, level] = net.buffer[n];
      maps_[n] = {nullptr, channels, image.height >> level, image.width >> level, halo};
      const int64_t size = whole_lines(maps_[n].size());
      if (n == 0) {
        image_size_ = size;
      } else {
        offsets_[n] = unit_size_;
        unit_size_ += size;
      }
    }
    for (int s = 0; s < net.steps; s++) scratch_size_ = std::max(scratch_size_, whole_lines(scratch_of(net.step[s])));
  }

  // Whether the kernels can run that network on that image.
  static bool serves(const SeunetNetwork& net, const SeunetImage& image) {
    if (net.buffers < 1 || net.buffers > MOST_BUFFERS || net.groups < 1 || net.classes < 1) return false;
    if (net.levels < 1 || net.levels > 16 || image.batch < 1 || image.height < 1 || image.width < 1) return false;
    const int stride = 1 << (net.levels - 1);
    if (image.height % stride || image.width % stride) return false;
    for (int s = 0; s < net.steps; s++)
      for (int k = 0; k < net.groups; k++)
        if (net.step[s].weights[k].radius < 0 || net.step[s].weights[k].radius > MOST_RADIUS) return false;
    return true;
  }

  // Floats.
  int64_t workspace() const {
    return image_.batch * image_size_ + arenas() * unit_size_ + threads_ * scratch_size_ + LINE;
  }

  void run(float* logits, float* workspace) {
    logits_ = logits;
    images_ = workspace + (LINE - reinterpret_cast<uintptr_t>(workspace) / sizeof(float) % LINE) % LINE;
    arenas_ = images_ + image_.batch * image_size_;
    scratches_ = arenas_ + arenas() * unit_size_;
    Team::run(threads_, [this](Team& team, int thread) { work(team, thread); });
  }

 private:
  static constexpr int64_t LINE = 64 / sizeof(float);  // of the cache
  static constexpr int BAND = 8;                       // rows of a 1 x 1 convolution that are one task

  static int64_t whole_lines(int64_t floats) { return (floats + LINE - 1) / LINE * LINE; }

  int arenas() const { return std::min(threads_, units_); }

  // The maps of one unit.
  struct Unit {
    int image, group, number, arena;
  };

  Unit unit(int number, int arena) const { return {number % image_.batch, number / image_.batch, number, arena}; }

  Map map(int buffer, const Unit& unit) const {
    Map map = maps_[buffer];
    map.data = buffer == 0 ? images_ + unit.image * image_size_ : arenas_ + unit.arena * unit_size_ + offsets_[buffer];
    return map;
  }

  void work(Team& team, int thread) {
    float* scratch = scratches_ + thread * scratch_size_;
    const int rows = image_.height, together = units_ % threads_, alone = units_ - together;
    team.share(image_.batch, [&](int n) { map(0, unit(n, 0)).clear_halo(); });
    team.share(image_.batch * rows, [&](int n) { copy_image_row(image_, n / rows, n % rows, map(0, unit(n / rows, 0))); });
    team.share(arenas() * (net_.buffers - 1), [&](int n) { map(1 + n / arenas(), unit(0, n % arenas())).clear_halo(); });
    // the last groups have the widest kernels: they come first, so that the threads end at about the same time
    team.share(alone, [&](int n) {
      const Unit one = unit(units_ - 1 - n, thread);
      for (int s = 0; s < net_.steps; s++) {
        const int parts = parts_of(net_.step[s], one.group, 1);
        for (int part = 0; part < parts; part++) run_part(net_.step[s], one, 1, part, scratch);
      }
    });
    for (int s = 0; s < net_.steps && together > 0; s++) {
      const SeunetStep& step = net_.step[s];
      int parts = 1;  // at most; the strips of the groups differ in width
      for (int n = 0; n < together; n++) parts = std::max(parts, parts_of(step, unit(n, n).group, threads_));
      team.share(together * parts, [&](int n) {
        const Unit one = unit(n / parts, n / parts);
        if (n % parts < parts_of(step, one.group, threads_)) run_part(step, one, threads_, n % parts, scratch);
      });
    }
  }

  // ---- one step of one unit, in parts

  int strip(const SeunetStep& step, int group, int least) const {
    const Map& target = maps_[step.target];
    return strip_pixels(target.width, target.channels, step.weights[group].radius, least);
  }

  int parts_of(const SeunetStep& step, int group, int least) const {
    if (step.kind != SCALE_CONV) return (maps_[step.source].height + BAND - 1) / BAND;
    const int pixels = strip(step, group, least);
    return (maps_[step.target].width + pixels - 1) / pixels;
  }

  int64_t scratch_of(const SeunetStep& step) const {
    if (step.kind == HEAD) return static_cast<int64_t>(net_.classes) * maps_[step.source].pixels();
    if (step.kind == POINTWISE) return 0;
    int64_t most = 0;
    const int inputs = maps_[step.source].channels + (step.coarse < 0 ? 0 : maps_[step.coarse].channels);
    for (int k = 0; k < net_.groups; k++)
      most = std::max(most, strip_scratch(inputs, maps_[step.target].channels, step.weights[k].radius, maps_[0].halo,
                                          strip(step, k, 1)));
    return most;
  }

  void run_part(const SeunetStep& step, const Unit& unit, int least, int part, float* scratch) const {
    const Map source = map(step.source, unit);
    const SeunetWeights& w = step.weights[unit.group];
    if (step.kind == SCALE_CONV) {
      const Map coarse = step.coarse < 0 ? Map{} : map(step.coarse, unit);
      const Map pooled = step.pooled < 0 ? Map{} : map(step.pooled, unit);
      const Kernels kernels = {w.even, w.odd, w.radius};
      const Source inputs[2] = {{PLAIN, source, nullptr, nullptr}, {DOUBLED, coarse, nullptr, nullptr}};
      const ScaleConv conv = {{inputs[0], inputs[1]}, w.weight, w.bias, kernels, map(step.target, unit), true, pooled,
                              nullptr};
      const int pixels = strip(step, unit.group, least);
      filter_strip(conv, part * pixels, pixels, scratch);
      return;
    }
    for (int y = part * BAND; y < std::min((part + 1) * BAND, source.height); y++) {
      const float* x = source.row(y, 0);
      if (step.kind == POINTWISE) {
        const Map target = map(step.target, unit);
        pointwise_row(x, source.pitch(), source.channels, w.weight, w.bias, target.channels, target.row(y, 0),
                      target.pitch(), source.pixels());
        for (int o = 0; o < target.channels; o++)
          for (int beyond = target.width; beyond < target.pixels(); beyond++) target.row(y, o)[beyond] = 0;
      } else {
        pointwise_row(x, source.pitch(), source.channels, w.weight, w.bias, net_.classes, scratch, source.pixels(),
                      source.pixels());
        for (int o = 0; o < net_.classes; o++) {
          const int64_t row = (static_cast<int64_t>(unit.number) * net_.classes + o) * image_.height + y;
          memcpy(logits_ + row * image_.width, scratch + o * source.pixels(), image_.width * sizeof(float));
        }
      }
    }
  }

  const SeunetNetwork& net_;
  const SeunetImage& image_;
  const int threads_, units_;
  Map maps_[MOST_BUFFERS];
  int64_t offsets_[MOST_BUFFERS] = {};
  int64_t image_size_ = 0, unit_size_ = 0, scratch_size_ = 0;
  float *logits_ = nullptr, *images_ = nullptr, *arenas_ = nullptr, *scratches_ = nullptr;
};
