// The weights of the channel mix in the order in which the kernels read them.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/vector.h"

// The number of outputs that are computed together. They share the loads of u and v.
inline int mix_block(int outputs) {
  constexpr int many[] = {6, 4, 5, 3}, few[] = {4, 3};
  if (REGISTERS == 32) {
    for (int size : many)
      if (outputs % size == 0) return size;
    return std::min(outputs, 6);
  }
  for (int size : few)
    if (outputs % size == 0) return size;
  return std::min(outputs, 4);
}

// Copy alpha (3, outputs, inputs) to blocks of outputs. A block is [input][3][output of the block].
inline void pack_mix(const float* alpha, int outputs, int inputs, float* packed) {
  const int block = mix_block(outputs);
  for (int first = 0; first < outputs; first += block) {
    const int size = std::min(block, outputs - first);
    for (int i = 0; i < inputs; i++)
      for (int filter = 0; filter < 3; filter++)
        for (int o = 0; o < size; o++)
          *packed++ = alpha[(static_cast<int64_t>(filter) * outputs + first + o) * inputs + i];
  }
}

// Copy alpha for the adjoint: du = A0^T dp + A2^T dq, dv = A1^T dp. Here the blocks are blocks of inputs.
inline void pack_mix_adjoint(const float* alpha, int outputs, int inputs, float* packed) {
  constexpr int order[] = {0, 2, 1};
  const int block = mix_block(inputs);
  for (int first = 0; first < inputs; first += block) {
    const int size = std::min(block, inputs - first);
    for (int o = 0; o < outputs; o++)
      for (int filter : order)
        for (int i = 0; i < size; i++)
          *packed++ = alpha[(static_cast<int64_t>(filter) * outputs + o) * inputs + first + i];
  }
}
