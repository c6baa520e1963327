// A checksum of several pieces of memory.
#pragma once

#include <cstdint>
#include <cstring>

// The checksum changes when a byte of any piece changes. It is not made against a deliberate collision.
inline uint64_t checksum(const void* const* data, const int64_t* bytes, int32_t count) {
  uint64_t sum = 1, of_sums = 0;
  for (int32_t n = 0; n < count; n++) {
    const unsigned char* from = static_cast<const unsigned char*>(data[n]);
    int64_t at = 0;
    for (; at + 4 <= bytes[n]; at += 4) {
      uint32_t word;
      memcpy(&word, from + at, 4);
      sum += word;
      of_sums += sum;
    }
    for (; at < bytes[n]; at++) of_sums += sum += from[at];
  }
  return sum ^ (of_sums << 1);
}
