// One step of the network for one unit, in independent parts.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/map.h"
#include "common/vector.h"
#include "inference/layout.h"
#include "inference/results.h"
#include "interface.h"
#include "kernels/conv_parts.h"
#include "kernels/pointwise.h"
#include "kernels/scale_conv.h"
#include "kernels/source.h"

namespace inference {

class Steps {
 public:
  Steps(const Layout& layout, const Results& results) : layout_(layout), results_(results) {}

  // Parts of a step. A scale convolution has at least `least` parts where its map is large enough.
  int parts(const SeunetStep& step, const Unit& unit, int least) const {
    if (step.kind == SCALE_CONV) return conv_parts_of(step, unit.octave, unit.group, least).count();
    return (layout_.shape(step.source, unit.octave).height + BAND - 1) / BAND;
  }

  // Run part `part` of the parts that `parts` counts for the same `least`.
  void run(const SeunetStep& step, const Unit& unit, int least, int part, float* scratch) const {
    if (step.kind == SCALE_CONV) scale_conv(step, unit, least, part, scratch);
    else pointwise(step, unit, part, scratch);
  }

  int64_t scratch_floats(const SeunetStep& step, int octave) const {
    const Map source = layout_.shape(step.source, octave);
    const int64_t logits = static_cast<int64_t>(layout_.net.classes) * source.pixels();
    if (step.kind == HEAD) return source.pitch() * (source.channels / step.orientations) + logits;
    if (step.kind == POINTWISE) return 0;
    int64_t most = 0;
    const int inputs = source.channels + (step.coarse < 0 ? 0 : layout_.net.buffer[step.coarse].channels);
    const int outputs = layout_.net.buffer[step.target].channels;
    for (int k = 0; k < layout_.net.groups; k++) {
      const int pixels = conv_parts_of(step, octave, k, 1).pixels;
      most = std::max(most, strip_scratch(inputs, outputs, step.weights[k].radius, layout_.halo, pixels));
    }
    return most;
  }

 private:
  static constexpr int BAND = 8;  // rows of a part of a pointwise layer

  ConvParts conv_parts_of(const SeunetStep& step, int octave, int group, int least) const {
    const Map target = layout_.shape(step.target, octave);
    return conv_parts(target.height, target.width, target.channels, step.weights[group].radius, least);
  }

  void scale_conv(const SeunetStep& step, const Unit& unit, int least, int part, float* scratch) const {
    const SeunetWeights& w = step.weights[unit.group];
    const ScaleConv conv = {{{PLAIN, layout_.map(step.source, unit), nullptr, nullptr},
                             {UPSAMPLED, layout_.map(step.coarse, unit), nullptr, nullptr}},
                            w.weight,
                            w.bias,
                            {w.even, w.odd, w.radius},
                            layout_.map(step.target, unit),
                            true,
                            layout_.map(step.pooled, unit),
                            nullptr};
    filter_part(conv, conv_parts_of(step, unit.octave, unit.group, least), part, scratch);
  }

  void pointwise(const SeunetStep& step, const Unit& unit, int part, float* scratch) const {
    const Map source = layout_.map(step.source, unit);
    const SeunetWeights& w = step.weights[unit.group];
    const int pixels = source.pixels(), inputs = source.channels / step.orientations;
    const bool is_result = step.kind == HEAD && unit.octave == 0;
    for (int y = part * BAND; y < std::min((part + 1) * BAND, source.height); y++) {
      if (is_result && !results_.has_row(y)) continue;
      const float* x = source.row(y, 0);
      if (step.orientations > 1) {
        largest_rows(source, y, step.orientations, scratch);
        x = scratch;
      }
      if (is_result) {
        float* logits = scratch + source.pitch() * inputs;
        pointwise_row(x, source.pitch(), inputs, w.weight, w.bias, layout_.net.classes, logits, pixels, pixels);
        results_.write_row(unit, y, logits, pixels);
      } else {
        const Map target = step.kind == HEAD ? layout_.logits(unit, unit.octave) : layout_.map(step.target, unit);
        pointwise_row(x, source.pitch(), inputs, w.weight, w.bias, target.channels, target.row(y, 0), target.pitch(),
                      pixels);
        for (int c = 0; c < target.channels; c++)
          for (int beyond = target.width; beyond < pixels; beyond++) target.row(y, c)[beyond] = 0;
      }
    }
  }

  // The maximum of a row over the orientations. The orientation is the slow index of the channels.
  static void largest_rows(const Map& source, int y, int orientations, float* to) {
    const int channels = source.channels / orientations;
    for (int c = 0; c < channels; c++)
      for (int x = 0; x < source.pixels(); x += LANES) {
        Vec largest = load(source.row(y, c) + x);
        for (int n = 1; n < orientations; n++) {
          const Vec other = load(source.row(y, n * channels + c) + x);
          largest = largest > other ? largest : largest != largest ? largest : other;  // a NaN stays a NaN
        }
        store(to + c * source.pitch() + x, largest);
      }
  }

  const Layout& layout_;
  const Results& results_;
};

}  // namespace inference
