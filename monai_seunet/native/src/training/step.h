// A training step of a U-Net with scale groups: the logits with batch norms, and the gradients of all weights.
//
// The maps before the norms are kept for the backward pass. The statistics of a norm need all units, so all units
// finish a layer before the next one begins.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/team.h"
#include "common/workspace.h"
#include "interface.h"
#include "training/backward.h"
#include "training/forward.h"
#include "training/state.h"

namespace training {

class Step {
 public:
  Step(const SeunetTraining& net, int threads)
      : threads_(std::clamp(threads, 1, Team::MOST)), state_(net), forward_(state_), backward_(state_) {
    int64_t most = 0;
    for (int s = 0; s < net.layers; s++)
      for (int octave = 0; octave < net.octaves; octave++)
        most = std::max({most, forward_.scratch_floats(net.layer[s], octave),
                         backward_.scratch_floats(net.layer[s], octave)});
    scratch_size_ = Workspace::whole_lines(most);
    scratches_ = state_.workspace.reserve(threads_ * scratch_size_);
  }

  // Floats of memory that both passes need.
  int64_t workspace() const { return state_.workspace.floats(); }

  void forward(float* const* logits, float* memory) {
    state_.workspace.place(memory);
    Team::run(threads_, [&](Team& team, int thread) { forward_.run(team, logits, scratch(thread)); });
  }

  // Run after `forward`, with the memory that it left.
  void backward(const float* const* d_logits, float* memory) {
    state_.workspace.place(memory);
    Team::run(threads_, [&](Team& team, int thread) { backward_.run(team, d_logits, scratch(thread)); });
  }

 private:
  float* scratch(int thread) const { return state_.workspace.at(scratches_ + thread * scratch_size_); }

  const int threads_;
  State state_;
  const Forward forward_;
  const Backward backward_;
  int64_t scratch_size_ = 0, scratches_ = 0;
};

}  // namespace training
