// A folded U-Net with scale groups, run for all octaves and groups of a batch of images.
//
// Groups and octaves never exchange data: each group of each octave of each image is a small U-Net of its own, here a
// unit, whose maps stay in the cache. Threads take whole units. Those of the finest octave that are left over are run by
// all threads together, every layer in parts.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "image.h"
#include "interface.h"
#include "map.h"
#include "pointwise.h"
#include "scale_conv.h"
#include "softmax.h"
#include "source.h"
#include "team.h"

class Inference {
 public:
  Inference(const SeunetNetwork& net, const SeunetImage& image, const SeunetResult& result, int threads)
      : net_(net), image_(image), result_(result), threads_(std::clamp(threads, 1, Team::MOST)),
        units_(net.octaves * net.groups * image.batch) {
    int radius = 1;
    for (int s = 0; s < net.steps; s++)
      if (net.step[s].kind == SCALE_CONV)
        for (int k = 0; k < net.groups; k++) radius = std::max(radius, net.step[s].weights[k].radius);
    halo_ = rounded_up(radius, LANES);
    for (int octave = first_image(); octave <= last_octave(); octave++) image_size_ += whole_lines(image_map(octave).size());
    const int finest = net.octave[0];
    for (int n = 1; n < net.buffers; n++) {
      offsets_[n] = unit_size_;
      unit_size_ += whole_lines(shape(n, finest).size());
    }
    logits_ = unit_size_;  // of a unit at its own octave, and at all octaves between that and the image
    for (int n = 0; n < net.octaves; n++) {
      int64_t size = 0;
      for (int octave = net.octave[n]; octave != 0; octave += octave < 0 ? 1 : -1)
        size += whole_lines(logits_map(octave).size());
      logits_size_ = std::max(logits_size_, size);
    }
    unit_size_ += logits_size_;
    for (int s = 0; s < net.steps; s++)
      for (int n = 0; n < net.octaves; n++)
        scratch_size_ = std::max(scratch_size_, whole_lines(scratch_of(net.step[s], net.octave[n])));
    const int widest = image_map(std::min(first_image(), 0)).pixels();
    if (first_image() > 0) scratch_size_ = std::max(scratch_size_, whole_lines(two_rows().size() + 2 * LANES));
    scratch_size_ = std::max(scratch_size_, whole_lines(fetched_floats(widest, halo_) + doubling_scratch(widest, halo_)));
    scratch_size_ = std::max(scratch_size_, whole_lines(net_.classes * finished_pitch() + doubling_scratch(widest, halo_)));
  }

  // Whether the kernels can run that network on that image.
  static bool serves(const SeunetNetwork& net, const SeunetImage& image, const SeunetResult& result) {
    if (net.buffers < 1 || net.buffers > MOST_BUFFERS || net.groups < 1 || net.classes < 1) return false;
    if (net.levels < 1 || net.levels > 16 || image.batch < 1 || image.height < 1 || image.width < 1) return false;
    if (net.octaves < 1 || image.channels != net.buffer[0].channels) return false;
    for (int n = 0; n < net.octaves; n++)
      if (net.octave[n] < -1 || net.octave[n] > 16 || (n > 0 && net.octave[n] <= net.octave[n - 1])) return false;
    if (result.top < 0 || result.left < 0 || result.height < 1 || result.width < 1) return false;
    if (result.height > image.height - result.top || result.width > image.width - result.left) return false;
    if (result.foreground && (result.foreground < 2 || result.foreground > net.classes)) return false;
    const int64_t stride = int64_t{1} << std::max(net.levels - 1 + net.octave[net.octaves - 1], 0);
    if (image.height % stride || image.width % stride) return false;
    for (int s = 0; s < net.steps; s++) {
      const int orientations = net.step[s].orientations;
      if (orientations < 1 || net.buffer[net.step[s].source].channels % orientations) return false;
      if (orientations > 1 && net.step[s].kind != HEAD) return false;
    }
    for (int s = 0; s < net.steps; s++)
      for (int k = 0; k < net.groups; k++)
        if (net.step[s].weights[k].radius < 0 || net.step[s].weights[k].radius > MOST_RADIUS) return false;
    return true;
  }

  // Floats.
  int64_t workspace() const {
    return image_.batch * image_size_ + arenas() * unit_size_ + threads_ * scratch_size_ + LINE;
  }

  // The results on the grid of the image.
  void run(float* workspace) {
    images_ = workspace + (LINE - reinterpret_cast<uintptr_t>(workspace) / sizeof(float) % LINE) % LINE;
    arenas_ = images_ + image_.batch * image_size_;
    scratches_ = arenas_ + arenas() * unit_size_;
    Team::run(threads_, [this](Team& team, int thread) { work(team, thread); });
  }

 private:
  static constexpr int64_t LINE = 64 / sizeof(float);  // of the cache
  static constexpr int NOTHING = -1000;
  static constexpr int BAND = 8;                       // rows of a 1 x 1 convolution that are one task

  static int64_t whole_lines(int64_t floats) { return (floats + LINE - 1) / LINE * LINE; }
  static int at_octave(int side, int octave) { return octave < 0 ? side << -octave : side >> octave; }

  // Images exist from this octave to the last one; that of octave 0 is not kept where only halves of it are read.
  int first_image() const { return std::min(net_.octave[0], 1); }
  int last_octave() const { return std::max(net_.octave[net_.octaves - 1], 0); }
  int together() const { return net_.groups * image_.batch % threads_; }  // units that all threads run at once
  int arenas() const { return units_ > together() ? threads_ : together(); }

  Map sized(int channels, int octave, int level) const {
    const int height = at_octave(image_.height, octave), width = at_octave(image_.width, octave);
    return {nullptr, channels, height >> level, width >> level, halo_};
  }
  Map shape(int buffer, int octave) const {
    return sized(net_.buffer[buffer].channels, octave, net_.buffer[buffer].level);
  }
  Map image_map(int octave) const { return sized(net_.buffer[0].channels, octave, 0); }
  Map logits_map(int octave) const { return sized(net_.classes, octave, 0); }

  struct Unit {
    int octave, group, image, number;
    float* arena;
  };

  // Unit n of those of all octaves, from fine to coarse; of an octave the groups with the widest kernels come first, so
  // that threads which take them in turn end at about the same time.
  Unit unit(int n, int arena) const {
    const int place = n / (net_.groups * image_.batch), image = n % image_.batch;
    const int group = net_.groups - 1 - n / image_.batch % net_.groups;
    return {net_.octave[place], group, image, (place * net_.groups + group) * image_.batch + image,
            arenas_ + arena * unit_size_};
  }

  Map image_at(int image, int octave) const {
    int64_t offset = image * image_size_;
    for (int finer = first_image(); finer < octave; finer++) offset += whole_lines(image_map(finer).size());
    Map map = image_map(octave);
    map.data = images_ + offset;
    return map;
  }

  Map map(int buffer, const Unit& unit) const {
    if (buffer < 0) return {};
    if (buffer == 0) return image_at(unit.image, unit.octave);
    Map map = shape(buffer, unit.octave);
    map.data = unit.arena + offsets_[buffer];
    return map;
  }

  // The logits of a unit at an octave between its own and the image.
  Map logits_at(const Unit& unit, int octave) const {
    int64_t offset = logits_;
    for (int other = unit.octave; other != octave; other += other < 0 ? 1 : -1) offset += whole_lines(logits_map(other).size());
    Map map = logits_map(octave);
    map.data = unit.arena + offset;
    return map;
  }

  void work(Team& team, int thread) {
    float* scratch = scratches_ + thread * scratch_size_;
    team.share(image_.batch, [&](int n) { make_images(n, scratch); });
    const int together = this->together();
    const int first = net_.groups * image_.batch - together;  // of them: of the finest octave, with the narrowest kernels
    team.share(together, [&](int n) { clear(unit(first + n, n)); });
    for (int s = 0; s < net_.steps && together > 0; s++) {
      const SeunetStep& step = net_.step[s];
      int parts = 1;  // at most; the strips of the groups differ in width
      for (int n = 0; n < together; n++) parts = std::max(parts, parts_of(step, unit(first + n, n), threads_));
      team.share(together * parts, [&](int n) {
        const Unit one = unit(first + n / parts, n / parts);
        if (n % parts < parts_of(step, one, threads_)) run_part(step, one, threads_, n % parts, scratch);
      });
    }
    team.share(together, [&](int n) { finish(unit(first + n, n), scratch); });
    int lies = NOTHING;  // the octave whose unit lay in the arena of this thread before
    team.share(units_ - together, [&](int n) {
      const Unit one = unit(n < first ? n : n + together, thread);
      if (one.octave != lies) clear(one);
      lies = one.octave;
      for (int s = 0; s < net_.steps; s++) {
        const int parts = parts_of(net_.step[s], one, 1);
        for (int part = 0; part < parts; part++) run_part(net_.step[s], one, 1, part, scratch);
      }
      finish(one, scratch);
    });
  }

  // The image at all octaves.
  void make_images(int n, float* scratch) const {
    if (first_image() > 0) {
      const Map half = image_at(n, 1);
      Map pair = two_rows();
      pair.data = scratch;
      pair.clear_halo();
      half.clear_halo();
      for (int y = 0; y < half.height; y++) {
        for (int row = 0; row < 2; row++) copy_image_row(image_, n, 2 * y + row, pair, row);
        halve_row(pair, 0, half, y);
      }
    } else {
      const Map own = image_at(n, 0);
      own.clear_halo();
      for (int y = 0; y < own.height; y++) copy_image_row(image_, n, y, own, y);
    }
    if (first_image() < 0) {
      const Map fine = image_at(n, -1);
      fine.clear_halo();
      double_map(image_at(n, 0), fine, scratch);
    }
    for (int octave = std::max(first_image(), 0) + 1; octave <= last_octave(); octave++) {
      const Map fine = image_at(n, octave - 1), coarse = image_at(n, octave);
      coarse.clear_halo();
      for (int y = 0; y < coarse.height; y++) halve_row(fine, 2 * y, coarse, y);
    }
  }

  void double_map(const Map& coarse, const Map& fine, float* scratch) const {
    const Source source = {DOUBLED, coarse, nullptr, nullptr};
    float* blended = scratch + fetched_floats(fine.pixels(), halo_);
    for (int y = 0; y < fine.height; y++)
      for (int c = 0; c < fine.channels; c++)
        memcpy(fine.row(y, c), source_row(source, c, y, 0, fine.pixels(), halo_, scratch, blended),
               fine.pixels() * sizeof(float));
  }

  // The averages of rows `from` and `from` + 1 of a map are row y of the other.
  static void halve_row(const Map& fine, int from, const Map& coarse, int y) {
    for (int c = 0; c < coarse.channels; c++) {
      float* to = coarse.row(y, c);
      const float *a = fine.row(from, c), *b = fine.row(from + 1, c);
      for (int x = 0; x < coarse.pixels(); x += LANES)
        store(to + x, broadcast(0.25f) * (pair_sums(load(a + 2 * x), load(a + 2 * x + LANES)) +
                                          pair_sums(load(b + 2 * x), load(b + 2 * x + LANES))));
      for (int x = coarse.width; x < coarse.pixels(); x++) to[x] = 0;
    }
  }

  // Room for two rows of the image.
  Map two_rows() const {
    Map map = image_map(0);
    map.height = 2;
    return map;
  }

  // What is beyond the rows of all maps of a unit; one of another octave may have lain there. Nobody else writes to it.
  void clear(const Unit& unit) const {
    for (int n = 1; n < net_.buffers; n++) map(n, unit).clear_halo();
    for (int octave = unit.octave; octave != 0; octave += octave < 0 ? 1 : -1) logits_at(unit, octave).clear_halo();
  }

  // The logits of a unit from its octave to the grid of the image.
  void finish(const Unit& unit, float* scratch) const {
    if (unit.octave == 0) return;
    int octave = unit.octave;
    for (; octave > 1; octave--) double_map(logits_at(unit, octave), logits_at(unit, octave - 1), scratch);
    const Map last = logits_at(unit, octave);
    const Source doubled = {DOUBLED, last, nullptr, nullptr};
    const int64_t pitch = finished_pitch();
    const int first = result_.left / LANES * LANES, pixels = finished_pixels();
    for (int y = result_.top; y < result_.top + result_.height; y++) {
      for (int c = 0; c < net_.classes; c++) {
        float* row = scratch + c * pitch;
        if (octave > 0) {
          source_row(doubled, c, y, first, pixels, 0, row, scratch + net_.classes * pitch);
        } else {
          const float *a = last.row(2 * y, c) + 2 * first, *b = last.row(2 * y + 1, c) + 2 * first;
          for (int x = 0; x < pixels; x += LANES)
            store(row + x, broadcast(0.25f) * (pair_sums(load(a + 2 * x), load(a + 2 * x + LANES)) +
                                               pair_sums(load(b + 2 * x), load(b + 2 * x + LANES))));
        }
      }
      write_row(unit, y, scratch, pitch, first);
    }
  }

  // Columns of the result, from a multiple of LANES on.
  int finished_pixels() const {
    return rounded_up(result_.left + result_.width - result_.left / LANES * LANES, LANES);
  }
  int64_t finished_pitch() const { return fetched_floats(finished_pixels(), 0); }

  // Row y of the result from the rows of its logits, which begin at column `first`; they are lost.
  void write_row(const Unit& unit, int y, float* logits, int64_t pitch, int first) const {
    if (result_.foreground)
      foreground_rows(logits + result_.left / LANES * LANES - first, pitch, result_.foreground, net_.classes,
                      finished_pixels());
    const int rows = net_.classes - (result_.foreground ? 1 : 0);
    for (int c = 0; c < rows; c++)
      memcpy(result_.data + ((static_cast<int64_t>(unit.number) * rows + c) * result_.height + y - result_.top) * result_.width,
             logits + c * pitch + result_.left - first, result_.width * sizeof(float));
  }

  // ---- one step of one unit, in parts

  ConvParts conv_parts_of(const SeunetStep& step, int octave, int group, int least) const {
    const Map target = shape(step.target, octave);
    return conv_parts(target.height, target.width, target.channels, step.weights[group].radius, least);
  }

  int parts_of(const SeunetStep& step, const Unit& unit, int least) const {
    if (step.kind != SCALE_CONV) return (shape(step.source, unit.octave).height + BAND - 1) / BAND;
    return conv_parts_of(step, unit.octave, unit.group, least).count();
  }

  int64_t scratch_of(const SeunetStep& step, int octave) const {
    const Map source = shape(step.source, octave);
    if (step.kind == HEAD)
      return source.pitch() * (source.channels / step.orientations) + static_cast<int64_t>(net_.classes) * source.pixels();
    if (step.kind == POINTWISE) return 0;
    int64_t most = 0;
    const int inputs = source.channels + (step.coarse < 0 ? 0 : net_.buffer[step.coarse].channels);
    const int outputs = net_.buffer[step.target].channels;
    for (int k = 0; k < net_.groups; k++)
      most = std::max(most, strip_scratch(inputs, outputs, step.weights[k].radius, halo_, conv_parts_of(step, octave, k, 1).pixels));
    return most;
  }

  void run_part(const SeunetStep& step, const Unit& unit, int least, int part, float* scratch) const {
    const Map source = map(step.source, unit);
    const SeunetWeights& w = step.weights[unit.group];
    if (step.kind == SCALE_CONV) {
      const Source inputs[2] = {{PLAIN, source, nullptr, nullptr}, {DOUBLED, map(step.coarse, unit), nullptr, nullptr}};
      const Kernels kernels = {w.even, w.odd, w.radius};
      const ScaleConv conv = {{inputs[0], inputs[1]}, w.weight, w.bias, kernels, map(step.target, unit), true,
                              map(step.pooled, unit), nullptr};
      filter_part(conv, conv_parts_of(step, unit.octave, unit.group, least), part, scratch);
      return;
    }
    const int pixels = source.pixels(), inputs = source.channels / step.orientations;
    for (int y = part * BAND; y < std::min((part + 1) * BAND, source.height); y++) {
      const bool finished = step.kind == HEAD && unit.octave == 0;
      if (finished && (y < result_.top || y >= result_.top + result_.height)) continue;
      const float* x = source.row(y, 0);
      if (step.orientations > 1) {
        largest_rows(source, y, step.orientations, scratch);
        x = scratch;
      }
      if (finished) {
        float* logits = scratch + source.pitch() * inputs;
        pointwise_row(x, source.pitch(), inputs, w.weight, w.bias, net_.classes, logits, pixels, pixels);
        write_row(unit, y, logits, pixels, 0);
      } else {
        const Map target = step.kind == HEAD ? logits_at(unit, unit.octave) : map(step.target, unit);
        pointwise_row(x, source.pitch(), inputs, w.weight, w.bias, target.channels, target.row(y, 0), target.pitch(), pixels);
        for (int c = 0; c < target.channels; c++)
          for (int beyond = target.width; beyond < pixels; beyond++) target.row(y, c)[beyond] = 0;
      }
    }
  }

  // The maximum over the orientations, the outer part of the channels, of a row.
  static void largest_rows(const Map& source, int y, int orientations, float* to) {
    const int channels = source.channels / orientations;
    for (int c = 0; c < channels; c++)
      for (int x = 0; x < source.pixels(); x += LANES) {
        Vec largest = load(source.row(y, c) + x);
        for (int n = 1; n < orientations; n++) {
          const Vec other = load(source.row(y, n * channels + c) + x);
          largest = largest > other ? largest : largest != largest ? largest : other;  // NaN if one of them is
        }
        store(to + c * source.pitch() + x, largest);
      }
  }

  const SeunetNetwork& net_;
  const SeunetImage& image_;
  const SeunetResult& result_;
  const int threads_, units_;
  int halo_ = 0;
  int64_t offsets_[MOST_BUFFERS] = {};
  int64_t image_size_ = 0, unit_size_ = 0, logits_ = 0, logits_size_ = 0, scratch_size_ = 0;
  float *images_ = nullptr, *arenas_ = nullptr, *scratches_ = nullptr;
};
