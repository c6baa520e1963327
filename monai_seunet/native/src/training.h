// A training step of a U-Net with scale groups: logits with the norms of the batch, and the gradients of all weights.
//
// Kept for the gradients are the maps before the norms. Norms take their statistics over all octaves, images and groups
// (or over those of a group), so that all units, one for each of these, go through a layer before the next one begins.
// Sums over units are taken in an order that does not depend on the threads.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "image.h"
#include "interface.h"
#include "map.h"
#include "outer.h"
#include "pointwise.h"
#include "scale_conv.h"
#include "scale_conv_gradient.h"
#include "team.h"

class Training {
 public:
  Training(const SeunetTraining& net, int threads)
      : net_(net), threads_(std::clamp(threads, 1, Team::MOST)), batch_(net.image[0].batch),
        units_(net.octaves * net.groups * batch_) {
    int radius = 1;
    for (int s = 0; s < net.layers; s++)
      if (net.layer[s].kind == SCALE_CONV)
        for (int k = 0; k < net.groups; k++) radius = std::max(radius, net.layer[s].radius[k]);
    halo_ = rounded_up(radius, LANES);
    for (int octave = 0; octave < net.octaves; octave++) {
      octaves_[octave].images = total_;
      total_ += batch_ * whole_lines(shape(octave, net.buffer[0]).size());
      octaves_[octave].units = total_;
      total_ += net.groups * batch_ * unit_size(octave);
    }
    for (int s = 0; s < net.layers; s++) {
      const SeunetLayer& layer = net.layer[s];
      const int64_t matrix = matrices(layer) * static_cast<int64_t>(outputs(layer)) * inputs(layer);
      packed_[s] = total_;
      total_ += 2 * whole_lines(matrix) + whole_lines(4 * net.norms * outputs(layer));
      partial_ = std::max({partial_, whole_lines(lanes(layer) * lane_floats(layer)), whole_lines(4 * sums(layer))});
      for (int octave = 0; octave < net.octaves; octave++)
        scratch_ = std::max(scratch_, whole_lines(scratch_of(layer, octave)));
    }
    partials_ = total_;
    total_ += partial_;
    scratches_ = total_;
    total_ += threads_ * scratch_;
  }

  static bool serves(const SeunetTraining& net) {
    if (net.buffers < 1 || net.buffers > MOST_BUFFERS || net.gradients > MOST_BUFFERS) return false;
    if (net.layers < 1 || net.layers > MOST_BUFFERS || net.octaves < 1 || net.octaves > MOST_OCTAVES) return false;
    if (net.groups < 1 || net.levels < 1 || net.levels > 16 || (net.norms != 1 && net.norms != net.groups)) return false;
    const int stride = 1 << (net.levels - 1);
    for (int octave = 0; octave < net.octaves; octave++) {
      const SeunetImage& image = net.image[octave];
      if (image.batch < 1 || image.batch != net.image[0].batch || image.height < 1 || image.width < 1) return false;
      if (image.channels != net.buffer[0].channels) return false;
      if (image.height % stride || image.width % stride) return false;
    }
    for (int s = 0; s < net.layers; s++)
      for (int k = 0; k < net.groups && net.layer[s].kind == SCALE_CONV; k++)
        if (net.layer[s].radius[k] < 0 || net.layer[s].radius[k] > std::min<int>(MOST_RADIUS, net.layer[s].taps - 1))
          return false;
    return true;
  }

  int64_t workspace() const { return total_ + LINE; }

  void forward(float* const* logits, float* workspace) {
    start_ = aligned(workspace);
    Team::run(threads_, [&](Team& team, int thread) {
      float* scratch = start_ + scratches_ + thread * scratch_;
      prepare(team);
      for (int s = 0; s < net_.layers; s++) {
        const SeunetLayer& layer = net_.layer[s];
        if (layer.kind == SCALE_CONV) {
          team.share(count_parts(layer, false), [&](int n) { conv(layer, s, n, scratch); });
          team.share(1, [&](int) { settle_norm(layer, s); });
        } else {
          team.share(count_parts(layer, false), [&](int n) { pointwise(layer, s, n, logits, scratch); });
        }
      }
    });
  }

  // After `forward`, with the same workspace and nothing changed.
  void backward(const float* const* d_logits, float* workspace) {
    start_ = aligned(workspace);
    Team::run(threads_, [&](Team& team, int thread) {
      float* scratch = start_ + scratches_ + thread * scratch_;
      for (int s = net_.layers - 1; s >= 0; s--) {
        const SeunetLayer& layer = net_.layer[s];
        if (layer.kind == SCALE_CONV) {
          team.share(count_parts(layer, true), [&](int n) { norm_sums(layer, s, n); });
          team.share(1, [&](int) { settle_norm_gradient(layer, s); });
        }
        team.share(lanes(layer), [&](int lane) {
          float* sums = start_ + partials_ + lane * lane_floats(layer);
          memset(sums, 0, lane_floats(layer) * sizeof(float));
          for (int n = lane; n < count_parts(layer, true); n += lanes(layer)) {
            if (layer.kind == SCALE_CONV) conv_gradient(layer, s, n, sums, scratch);
            else pointwise_gradient(layer, s, n, d_logits, sums, scratch);
          }
        });
        team.share(outputs(layer), [&](int output) { gather(layer, output); });
        team.share(1, [&](int) { gather_numbers(layer); });
      }
    });
  }

 private:
  static constexpr int64_t LINE = 64 / sizeof(float);  // of the cache
  static constexpr int MOST_OCTAVES = 16;

  static int64_t whole_lines(int64_t floats) { return (floats + LINE - 1) / LINE * LINE; }
  static float* aligned(float* workspace) {
    return workspace + (LINE - reinterpret_cast<uintptr_t>(workspace) / sizeof(float) % LINE) % LINE;
  }

  // ---- where things lie

  Map shape(int octave, const SeunetBuffer& buffer) const {
    const SeunetImage& image = net_.image[octave];
    return {nullptr, buffer.channels, image.height >> buffer.level, image.width >> buffer.level, halo_};
  }

  int64_t unit_size(int octave) const {
    int64_t size = 0;
    for (int n = 1; n < net_.buffers; n++) size += whole_lines(shape(octave, net_.buffer[n]).size());
    for (int n = 0; n < net_.gradients; n++) size += whole_lines(shape(octave, net_.gradient[n]).size());
    return size;
  }

  struct Unit {
    int octave, group, image;
  };

  // Of an octave the groups with the widest kernels come first, so that threads end at about the same time.
  Unit unit(int n) const {
    return {n / (net_.groups * batch_), net_.groups - 1 - n / batch_ % net_.groups, n % batch_};
  }

  // The buffer, or with `gradient` that gradient, of a unit; a map without channels for -1.
  Map map(int number, const Unit& unit, bool gradient = false) const {
    if (number < 0) return {};
    Map map = shape(unit.octave, gradient ? net_.gradient[number] : net_.buffer[number]);
    if (number == 0 && !gradient) {
      map.data = start_ + octaves_[unit.octave].images + unit.image * whole_lines(map.size());
      return map;
    }
    int64_t offset = 0;
    for (int n = 1; n < (gradient ? net_.buffers : number); n++)
      offset += whole_lines(shape(unit.octave, net_.buffer[n]).size());
    for (int n = 0; gradient && n < number; n++) offset += whole_lines(shape(unit.octave, net_.gradient[n]).size());
    const int64_t place = unit.group * batch_ + unit.image;
    map.data = start_ + octaves_[unit.octave].units + place * unit_size(unit.octave) + offset;
    return map;
  }

  int outputs(const SeunetLayer& layer) const {
    return layer.kind == HEAD ? net_.classes : net_.buffer[layer.target].channels;
  }
  int inputs(const SeunetLayer& layer) const {
    return net_.buffer[layer.source].channels + (layer.coarse < 0 ? 0 : net_.buffer[layer.coarse].channels);
  }
  static int matrices(const SeunetLayer& layer) { return layer.kind == SCALE_CONV ? 3 : 1; }

  float* packed(const SeunetLayer& layer, int s, bool adjoint) const {
    const int64_t size = whole_lines(matrices(layer) * static_cast<int64_t>(outputs(layer)) * inputs(layer));
    return start_ + packed_[s] + adjoint * size;
  }

  // Scale, offset, slope and shift of the norm of layer s, for a group, by channel.
  enum NormPart { SCALE = 0, OFFSET = 1, SLOPE = 2, SHIFT = 3 };
  float* norm_part(int s, NormPart part, int group) const {
    const SeunetLayer& layer = net_.layer[s];
    const int64_t matrix = whole_lines(matrices(layer) * static_cast<int64_t>(outputs(layer)) * inputs(layer));
    const int norm = net_.norms == 1 ? 0 : group;
    return start_ + packed_[s] + 2 * matrix + (part * net_.norms + norm) * outputs(layer);
  }
  NormGradient norm_gradient(int s, int group) const {
    return {norm_part(s, SCALE, group), norm_part(s, OFFSET, group), norm_part(s, SLOPE, group), norm_part(s, SHIFT, group)};
  }

  // What a layer reads of one of its inputs.
  Source source(int number, int reading, const Unit& unit) const {
    Source source = {static_cast<Reading>(reading), map(number, unit), nullptr, nullptr};
    for (int s = 0; s < net_.layers; s++)
      if (number > 0 && net_.layer[s].target == number && net_.layer[s].kind == SCALE_CONV) {
        source.scale = norm_part(s, SCALE, unit.group);
        source.offset = norm_part(s, OFFSET, unit.group);
      }
    return source;
  }

  KernelSlopes kernels(const SeunetLayer& layer, int group) const {
    const float* taps = layer.kernels + static_cast<int64_t>(group) * 4 * layer.taps;
    const int32_t radius = layer.radius[group];
    return {{taps, taps + layer.taps, radius}, {taps + 2 * layer.taps, taps + 3 * layer.taps, radius}};
  }

  // ---- the parts of a layer: strips of columns forward, bands of rows backward and where it is pointwise

  Map output_shape(const SeunetLayer& layer, int octave) const {
    return shape(octave, net_.buffer[layer.kind == HEAD ? layer.source : layer.target]);
  }

  ConvParts conv_parts_of(const SeunetLayer& layer, int octave, int group) const {
    const Map output = output_shape(layer, octave);
    return conv_parts(output.height, output.width, outputs(layer), layer.radius[group], 1);
  }

  // Rows that are one part.
  int band(const SeunetLayer& layer, const Unit& unit) const {
    return std::clamp(output_shape(layer, unit.octave).height / 2, 16, 64);
  }

  int parts_of(const SeunetLayer& layer, const Unit& unit, bool backward) const {
    if (!backward && layer.kind == SCALE_CONV) return conv_parts_of(layer, unit.octave, unit.group).count();
    const int rows = band(layer, unit);
    return (output_shape(layer, unit.octave).height + rows - 1) / rows;
  }

  int count_parts(const SeunetLayer& layer, bool backward) const {
    int count = 0;
    for (int n = 0; n < units_; n++) count += parts_of(layer, unit(n), backward);
    return count;
  }

  struct Part {
    Unit unit;
    int number;
  };

  Part part(const SeunetLayer& layer, int n, bool backward) const {
    int at = 0;
    for (; n >= parts_of(layer, unit(at), backward); at++) n -= parts_of(layer, unit(at), backward);
    return {unit(at), n};
  }

  struct Rows {
    int begin, end;
  };

  Rows rows_of(const SeunetLayer& layer, const Unit& unit, int number) const {
    const int rows = band(layer, unit);
    return {number * rows, std::min((number + 1) * rows, output_shape(layer, unit.octave).height)};
  }

  int64_t sums(const SeunetLayer& layer) const {  // doubles: two for each part and output
    if (layer.kind != SCALE_CONV) return 0;
    return 2 * static_cast<int64_t>(outputs(layer)) * std::max(count_parts(layer, false), count_parts(layer, true));
  }
  double* sums_of(const SeunetLayer& layer, int n) const {
    return reinterpret_cast<double*>(start_ + partials_) + 2 * static_cast<int64_t>(outputs(layer)) * n;
  }

  // Gradients of weights are summed in a few lanes, which do not depend on the threads: tiled matrices, and, as doubles,
  // the gradients of sigma or the bias.
  int lanes(const SeunetLayer& layer) const {
    const int most = matrices(layer) * tiled_floats(outputs(layer), inputs(layer)) > 64 * 1024 ? 4 : 16;
    return std::min(most, count_parts(layer, true));
  }
  int64_t lane_matrix(const SeunetLayer& layer) const {
    return whole_lines(matrices(layer) * tiled_floats(outputs(layer), inputs(layer)));
  }
  int64_t lane_floats(const SeunetLayer& layer) const {
    return lane_matrix(layer) + whole_lines(2 * (layer.kind == SCALE_CONV ? net_.groups : outputs(layer)));
  }

  int64_t scratch_of(const SeunetLayer& layer, int octave) const {
    const Map output = output_shape(layer, octave);
    const int pixels = output.pixels();
    if (layer.kind != SCALE_CONV) {
      const int64_t rows = chunk_rows(inputs(layer), outputs(layer), pixels, output.height);
      return rows * pixels * (inputs(layer) + outputs(layer)) + inputs(layer) * pixels + inputs(layer) +
             fetched_floats(pixels, halo_) + halving_scratch(2 * pixels + LANES);
    }
    int64_t most = 0;
    for (int k = 0; k < net_.groups; k++) {
      const int radius = layer.radius[k];
      const int strip = conv_parts_of(layer, octave, k).pixels;
      most = std::max({most, strip_scratch(inputs(layer), outputs(layer), radius, halo_, strip),
                       gradient_scratch(inputs(layer), outputs(layer), radius, halo_, pixels, output.height)});
    }
    return most;
  }

  // ---- forward

  void prepare(Team& team) {
    team.share(net_.layers, [&](int s) {
      const SeunetLayer& layer = net_.layer[s];
      const int o = outputs(layer), i = inputs(layer);
      if (layer.kind == SCALE_CONV) {
        pack_mix(layer.weight, o, i, packed(layer, s, false));
        pack_mix_adjoint(layer.weight, o, i, packed(layer, s, true));
      } else {
        pack_pointwise(layer.weight, o, i, packed(layer, s, false));
        pack_pointwise_adjoint(layer.weight, o, i, packed(layer, s, true));
      }
    });
    team.share(net_.octaves * batch_, [&](int n) {
      const int octave = n / batch_, number = n % batch_;
      const SeunetImage& image = net_.image[octave];
      const Map to = map(0, {octave, 0, number});
      to.clear_halo();
      for (int y = 0; y < to.height; y++) copy_image_row(image, number, y, to, y);
    });
  }

  void conv(const SeunetLayer& layer, int s, int n, float* scratch) const {
    const auto [unit, number] = part(layer, n, false);
    double* moments = sums_of(layer, n);
    std::fill(moments, moments + 2 * outputs(layer), 0.0);
    const ScaleConv conv = {{source(layer.source, layer.reading, unit), source(layer.coarse, DOUBLED, unit)},
                            packed(layer, s, false),
                            nullptr,
                            kernels(layer, unit.group).kernels,
                            map(layer.target, unit),
                            false,
                            {},
                            moments};
    filter_part(conv, conv_parts_of(layer, unit.octave, unit.group), number, scratch);
  }

  // From the sums of all parts to mean and variance, and the scale and offset of every channel.
  void settle_norm(const SeunetLayer& layer, int s) const {
    const int channels = outputs(layer);
    for (int norm = 0; norm < net_.norms; norm++)
      for (int slot = 0; slot < layer.slots; slot++) {
        double sum = 0, squares = 0, count = 0;
        for_parts(layer, norm, false, [&](int n, const Unit&) {
          for (int c = slot; c < channels; c += layer.slots) {
            sum += sums_of(layer, n)[2 * c];
            squares += sums_of(layer, n)[2 * c + 1];
          }
        });
        count = pixels_of(layer, norm);
        const double mean = sum / count, variance = std::max(squares / count - mean * mean, 0.0);
        const int at = norm * layer.slots + slot;
        layer.mean[at] = mean;
        layer.variance[at] = variance;
        const double scale = layer.gamma[at] / std::sqrt(variance + layer.eps);
        for (int c = slot; c < channels; c += layer.slots) {
          norm_part(s, SCALE, norm)[c] = static_cast<float>(scale);
          norm_part(s, OFFSET, norm)[c] = static_cast<float>(layer.beta[at] - mean * scale);
        }
      }
  }

  // Pixels that a norm sees, over the channels of a slot.
  double pixels_of(const SeunetLayer& layer, int norm) const {
    double count = 0;
    for (int n = 0; n < units_; n++) {
      const Map output = output_shape(layer, unit(n).octave);
      if (net_.norms == 1 || unit(n).group == norm) count += static_cast<double>(output.height) * output.width;
    }
    return count * (outputs(layer) / layer.slots);
  }

  template <typename Use>
  void for_parts(const SeunetLayer& layer, int norm, bool backward, Use use) const {
    int first = 0;
    for (int n = 0; n < units_; n++) {
      const int parts = parts_of(layer, unit(n), backward);
      if (net_.norms == 1 || unit(n).group == norm)
        for (int part = 0; part < parts; part++) use(first + part, unit(n));
      first += parts;
    }
  }

  // The channels of a row of the source of a pointwise layer, [channel][pixel].
  void fetch_channels(const Source& source, int y, float* to, int64_t to_next, float* fetched) const {
    const int pixels = source.map.pixels();
    for (int c = 0; c < source.map.channels; c++)
      memcpy(to + c * to_next, source_row(source, c, y, 0, pixels, halo_, fetched, nullptr), pixels * sizeof(float));
  }

  void pointwise(const SeunetLayer& layer, int s, int n, float* const* logits, float* scratch) const {
    const auto [unit, number] = part(layer, n, false);
    const Source input = source(layer.source, layer.reading, unit);
    const int i = inputs(layer), o = outputs(layer), pixels = input.map.pixels(), width = input.map.width;
    float *x = scratch, *out = x + static_cast<int64_t>(i) * pixels, *fetched = out + static_cast<int64_t>(o) * pixels;
    const auto [begin, end] = rows_of(layer, unit, number);
    for (int y = begin; y < end; y++) {
      fetch_channels(input, y, x, pixels, fetched);
      if (layer.kind == POINTWISE) {
        const Map target = map(layer.target, unit);
        pointwise_row(x, pixels, i, packed(layer, s, false), layer.bias, o, target.row(y, 0), target.pitch(), pixels);
      } else {
        pointwise_row(x, pixels, i, packed(layer, s, false), layer.bias, o, out, pixels, pixels);
        for (int c = 0; c < o; c++)
          memcpy(logits_row(logits, unit, c, y), out + static_cast<int64_t>(c) * pixels, width * sizeof(float));
      }
    }
  }

  // Logits of an octave are (groups, batch, classes, height, width).
  template <typename Float>
  Float* logits_row(Float* const* logits, const Unit& unit, int c, int y) const {
    const SeunetImage& image = net_.image[unit.octave];
    const int64_t place = (static_cast<int64_t>(unit.group) * batch_ + unit.image) * net_.classes + c;
    return logits[unit.octave] + (place * image.height + y) * image.width;
  }

  // ---- backward

  void norm_sums(const SeunetLayer& layer, int s, int n) const {
    const auto [unit, number] = part(layer, n, true);
    const Map y = map(layer.target, unit);
    const auto [begin, end] = rows_of(layer, unit, number);
    double* sums = sums_of(layer, n);
    std::fill(sums, sums + 2 * y.channels, 0.0);
    add_norm_sums(y, map(layer.target_gradient, unit, true), norm_gradient(s, unit.group), begin, end, sums);
  }

  void settle_norm_gradient(const SeunetLayer& layer, int s) const {
    const int channels = outputs(layer);
    for (int norm = 0; norm < net_.norms; norm++)
      for (int slot = 0; slot < layer.slots; slot++) {
        double sum = 0, product = 0;
        for_parts(layer, norm, true, [&](int n, const Unit&) {
          for (int c = slot; c < channels; c += layer.slots) {
            sum += sums_of(layer, n)[2 * c];
            product += sums_of(layer, n)[2 * c + 1];
          }
        });
        const int at = norm * layer.slots + slot;
        const double deviation = 1 / std::sqrt(layer.variance[at] + layer.eps), scale = layer.gamma[at] * deviation;
        const double d_gamma = (product - layer.mean[at] * sum) * deviation, count = pixels_of(layer, norm);
        layer.d_gamma[at] = static_cast<float>(d_gamma);
        layer.d_beta[at] = static_cast<float>(sum);
        const double slope = -scale * deviation * d_gamma / count;
        for (int c = slot; c < channels; c += layer.slots) {
          norm_part(s, SLOPE, norm)[c] = static_cast<float>(slope);
          norm_part(s, SHIFT, norm)[c] = static_cast<float>(-scale * sum / count - slope * layer.mean[at]);
        }
      }
  }

  void conv_gradient(const SeunetLayer& layer, int s, int n, float* sums, float* scratch) const {
    const auto [unit, number] = part(layer, n, true);
    const Map y = map(layer.target, unit);
    const ScaleConvGradient gradient = {
        {source(layer.source, layer.reading, unit), source(layer.coarse, DOUBLED, unit)},
        {{map(layer.source_gradient, unit, true), layer.source_adds != 0}, {map(layer.coarse_gradient, unit, true), false}},
        y,
        map(layer.target_gradient, unit, true),
        norm_gradient(s, unit.group),
        kernels(layer, unit.group),
        packed(layer, s, false),
        packed(layer, s, true),
        sums,
        reinterpret_cast<double*>(sums + lane_matrix(layer)) + unit.group};
    const auto [begin, end] = rows_of(layer, unit, number);
    scale_conv_gradient(gradient, begin, end, scratch);
  }

  void pointwise_gradient(const SeunetLayer& layer, int s, int n, const float* const* d_logits, float* sums,
                          float* scratch) const {
    const auto [unit, number] = part(layer, n, true);
    const Source input = source(layer.source, layer.reading, unit);
    const Map d_input = map(layer.source_gradient, unit, true), d_doubled = map(layer.target_gradient, unit, true);
    const int i = inputs(layer), o = outputs(layer), pixels = input.map.pixels(), width = input.map.width;
    const int rows = chunk_rows(i, o, pixels, input.map.height);
    const int64_t stride = static_cast<int64_t>(rows) * pixels;
    float *x = scratch, *d = x + i * stride, *dx = d + o * stride, *zeros = dx + static_cast<int64_t>(i) * pixels;
    float *fetched = zeros + i, *halving = fetched + fetched_floats(pixels, halo_);
    double* d_bias = reinterpret_cast<double*>(sums + lane_matrix(layer));
    std::fill(zeros, zeros + i, 0.0f);
    const auto [begin, end] = rows_of(layer, unit, number);
    for (int from = begin; from < end; from += rows) {
      const int count = std::min(rows, end - from);
      for (int m = 0; m < count; m++) {
        fetch_channels(input, from + m, x + m * pixels, stride, fetched);
        for (int c = 0; c < o; c++) {
          float* row = d + c * stride + m * pixels;
          if (layer.kind == POINTWISE) {
            halved_row(d_doubled, c, from + m, row, halving);
          } else {
            memcpy(row, logits_row(d_logits, unit, c, from + m), width * sizeof(float));
            std::fill(row + width, row + pixels, 0.0f);
          }
          Vec sum = {};
          for (int j = 0; j < pixels; j += LANES) sum += load(row + j);
          d_bias[c] += sum_of_lanes(sum);
        }
        pointwise_row(d + m * pixels, stride, o, packed(layer, s, true), zeros, i, dx, pixels, pixels);
        for (int c = 0; c < i; c++)
          memcpy(d_input.row(from + m, c), dx + static_cast<int64_t>(c) * pixels, pixels * sizeof(float));
      }
      add_outer(d, stride, o, x, stride, i, count * pixels, sums);
    }
  }

  // The sums of all lanes to where the caller wants them: the weights of one output.
  void gather(const SeunetLayer& layer, int output) const {
    const int o = outputs(layer), i = inputs(layer), count = lanes(layer);
    const int64_t matrix = tiled_floats(o, i);
    for (int filter = 0; filter < matrices(layer); filter++) {
      float* to = layer.d_weight + (static_cast<int64_t>(filter) * o + output) * i;
      std::fill(to, to + i, 0.0f);
      for (int lane = 0; lane < count; lane++) {
        const float* sums = start_ + partials_ + lane * lane_floats(layer) + filter * matrix;
        for (int input = 0; input < i; input++) to[input] += tiled_element(sums, i, output, input);
      }
    }
  }

  // And the gradients of sigma, or of the bias.
  void gather_numbers(const SeunetLayer& layer) const {
    const int numbers = layer.kind == SCALE_CONV ? net_.groups : outputs(layer);
    for (int n = 0; n < numbers; n++) {
      double sum = 0;
      for (int lane = 0; lane < lanes(layer); lane++)
        sum += reinterpret_cast<const double*>(start_ + partials_ + lane * lane_floats(layer) + lane_matrix(layer))[n];
      if (layer.kind == SCALE_CONV) layer.d_sigma[n] = sum;
      else layer.d_bias[n] = static_cast<float>(sum);
    }
  }

  struct Octave {
    int64_t images, units;  // offsets in the workspace
  };

  const SeunetTraining& net_;
  const int threads_, batch_, units_;
  int halo_ = 0;
  Octave octaves_[MOST_OCTAVES];
  int64_t packed_[MOST_BUFFERS];
  int64_t partial_ = 0, partials_ = 0, scratch_ = 0, scratches_ = 0, total_ = 0;
  float* start_ = nullptr;
};
