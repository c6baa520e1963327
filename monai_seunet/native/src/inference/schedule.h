// The inference of a folded U-Net with scale groups, for all octaves and groups of a batch of images.
//
// The maps of a unit stay in the cache. So a thread runs a whole unit, and then the next one. The number of units of
// the finest octave may not be a multiple of the number of threads. All threads then run the remaining ones together,
// every step in parts.
#pragma once

#include <algorithm>
#include <cstdint>

#include "common/team.h"
#include "common/workspace.h"
#include "inference/layout.h"
#include "inference/pyramid.h"
#include "inference/results.h"
#include "inference/steps.h"
#include "interface.h"

namespace inference {

class Schedule {
 public:
  Schedule(const SeunetNetwork& net, const SeunetImage& image, const SeunetResult& result, int threads)
      : layout_(net, image, std::clamp(threads, 1, Team::MOST), workspace_), pyramid_(layout_),
        results_(layout_, result), steps_(layout_, results_) {
    int64_t most = std::max(pyramid_.scratch_floats(), results_.scratch_floats());
    for (int s = 0; s < net.steps; s++)
      for (int n = 0; n < net.octaves; n++)
        most = std::max(most, steps_.scratch_floats(net.step[s], net.octave[n]));
    scratch_size_ = Workspace::whole_lines(most);
    scratches_ = workspace_.reserve(layout_.threads * scratch_size_);
  }
  Schedule(const Schedule&) = delete;
  Schedule& operator=(const Schedule&) = delete;

  // Floats of memory that `run` needs.
  int64_t workspace() const { return workspace_.floats(); }

  void run(float* memory) {
    workspace_.place(memory);
    Team::run(layout_.threads, [this](Team& team, int thread) {
      float* scratch = workspace_.at(scratches_ + thread * scratch_size_);
      team.share(layout_.image.batch, [&](int n) { pyramid_.make(n, scratch); });
      run_joint_units(team, scratch);
      run_units(team, thread, scratch);
    });
  }

 private:
  // The joint units are those of the finest octave with the narrowest kernels. Units before `first_joint` are not
  // joint.
  int first_joint() const { return layout_.units_of_octave() - layout_.joint_units(); }

  // Run the joint units, step by step. Unit n has arena n.
  void run_joint_units(Team& team, float* scratch) const {
    const SeunetNetwork& net = layout_.net;
    const int count = layout_.joint_units(), first = first_joint(), threads = layout_.threads;
    team.share(count, [&](int n) { layout_.clear_halos(layout_.unit(first + n, n)); });
    for (int s = 0; s < net.steps && count > 0; s++) {
      const SeunetStep& step = net.step[s];
      int parts = 1;  // of the unit with the most parts
      for (int n = 0; n < count; n++) parts = std::max(parts, steps_.parts(step, layout_.unit(first + n, n), threads));
      team.share(count * parts, [&](int n) {
        const Unit unit = layout_.unit(first + n / parts, n / parts);
        if (n % parts < steps_.parts(step, unit, threads)) steps_.run(step, unit, threads, n % parts, scratch);
      });
    }
    team.share(count, [&](int n) { results_.finish(layout_.unit(first + n, n), scratch); });
  }

  // Run all other units. A thread uses the arena with its own number.
  void run_units(Team& team, int thread, float* scratch) const {
    const SeunetNetwork& net = layout_.net;
    const int joint = layout_.joint_units(), first = first_joint();
    int octave_before = NO_OCTAVE;  // the octave of the unit that used the arena before
    team.share(layout_.units() - joint, [&](int n) {
      const Unit unit = layout_.unit(n < first ? n : n + joint, thread);
      if (unit.octave != octave_before) layout_.clear_halos(unit);
      octave_before = unit.octave;
      for (int s = 0; s < net.steps; s++) {
        const int parts = steps_.parts(net.step[s], unit, 1);
        for (int part = 0; part < parts; part++) steps_.run(net.step[s], unit, 1, part, scratch);
      }
      results_.finish(unit, scratch);
    });
  }

  static constexpr int NO_OCTAVE = -1000;

  Workspace workspace_;
  const Layout layout_;
  const Pyramid pyramid_;
  const Results results_;
  const Steps steps_;
  int64_t scratch_size_ = 0, scratches_ = 0;
};

}  // namespace inference
