// The 2 x 2 average of two rows.
#pragma once

#include "common/vector.h"

// Results `begin` to `end` of a row. `sum(x)` is a vector of the sums of both rows from column x on. The last vector
// may write up to LANES columns behind `end`.
template <typename Sum>
INLINE void average_pool_row(int begin, int end, float* to, Sum sum) {
  for (int x = begin; x < end; x += LANES)
    store(to + x, broadcast(0.25f) * pair_sums(sum(2 * x), sum(2 * x + LANES)));
}
