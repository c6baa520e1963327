// The arrays that a call keeps in the memory of its caller.
#pragma once

#include <cstdint>

// A list of arrays in one block of memory. Every array starts at a cache line, so two threads which write to
// different arrays never write to the same line.
class Workspace {
 public:
  static int64_t whole_lines(int64_t floats) { return (floats + LINE - 1) / LINE * LINE; }

  // Reserve an array. The result is its offset in floats.
  int64_t reserve(int64_t floats) {
    const int64_t offset = reserved_;
    reserved_ += whole_lines(floats);
    return offset;
  }

  // Floats that the caller has to give for all arrays, wherever its memory starts.
  int64_t floats() const { return reserved_ + LINE; }

  // Use the memory of the caller.
  void place(float* memory) {
    start_ = memory + (LINE - reinterpret_cast<uintptr_t>(memory) / sizeof(float) % LINE) % LINE;
  }

  float* at(int64_t offset) const { return start_ + offset; }

 private:
  static constexpr int64_t LINE = 64 / sizeof(float);  // floats of a cache line

  int64_t reserved_ = 0;
  float* start_ = nullptr;
};
