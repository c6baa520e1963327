// The parts of a layer that the threads process independently.
#pragma once

#include <algorithm>

#include "interface.h"
#include "kernels/conv_parts.h"
#include "training/network.h"

namespace training {

enum Pass { FORWARD, BACKWARD };

struct Part {
  Unit unit;
  int number;  // of the part, in its unit
};

struct RowRange {
  int begin, end;
};

// The parts of a scale convolution in the forward pass are those of `conv_parts`. All other parts are bands of rows.
class Parts {
 public:
  explicit Parts(const Network& network) : network_(network) {}

  ConvParts conv_parts_of(const SeunetLayer& layer, int octave, int group) const {
    const Map output = network_.output_shape(layer, octave);
    return conv_parts(output.height, output.width, network_.outputs(layer), layer.radius[group], 1);
  }

  // The parts of all units.
  int count(const SeunetLayer& layer, Pass pass) const {
    int count = 0;
    for (int n = 0; n < network_.units; n++) count += parts_of(layer, network_.unit(n), pass);
    return count;
  }

  // Part n of all units.
  Part part(const SeunetLayer& layer, int n, Pass pass) const {
    int at = 0;
    for (; n >= parts_of(layer, network_.unit(at), pass); at++) n -= parts_of(layer, network_.unit(at), pass);
    return {network_.unit(at), n};
  }

  // The rows of a band.
  RowRange rows(const SeunetLayer& layer, const Part& part) const {
    const int rows = band(layer, part.unit);
    const int height = network_.output_shape(layer, part.unit.octave).height;
    return {part.number * rows, std::min((part.number + 1) * rows, height)};
  }

  // Call `use(n)` for every part n whose unit has this norm.
  template <typename Use>
  void for_parts_of_norm(const SeunetLayer& layer, int norm, Pass pass, Use use) const {
    int first = 0;
    for (int n = 0; n < network_.units; n++) {
      const int parts = parts_of(layer, network_.unit(n), pass);
      if (network_.norm(network_.unit(n).group) == norm)
        for (int part = 0; part < parts; part++) use(first + part);
      first += parts;
    }
  }

 private:
  int band(const SeunetLayer& layer, const Unit& unit) const {
    return std::clamp(network_.output_shape(layer, unit.octave).height / 2, 16, 64);
  }

  int parts_of(const SeunetLayer& layer, const Unit& unit, Pass pass) const {
    if (pass == FORWARD && layer.kind == SCALE_CONV) return conv_parts_of(layer, unit.octave, unit.group).count();
    const int rows = band(layer, unit);
    return (network_.output_shape(layer, unit.octave).height + rows - 1) / rows;
  }

  const Network& network_;
};

}  // namespace training
