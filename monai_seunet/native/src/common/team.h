// A team of threads that lives for one call.
#pragma once

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>

#include "common/cpu_affinity.h"

// Threads that share the tasks of one step, and then those of the next step.
//
// The start of a thread takes some ten microseconds, so no thread is kept after the call. A forked process therefore
// inherits no thread, and two calls at the same time do not affect each other.
class Team {
 public:
  static constexpr int MOST = 64;  // threads

  // Run `work(team, index)` in up to `threads` threads. The calling thread is one of them. The team is smaller where
  // the system starts fewer threads, or where this process has fewer processors.
  template <typename Work>
  static void run(int threads, Work work) {
    if (threads < 2) {
      Team alone;
      alone.size_.store(1, std::memory_order_relaxed);
      work(alone, 0);
      return;
    }
    const CpuAffinity processors;
    threads = std::min({threads, MOST, processors.count()});
    Team team;
    struct Member {
      Team* team;
      Work* work;
      int index;
      pthread_t thread;
    };
    Member members[MOST];
    int size = 1;
    auto enter = [](void* argument) -> void* {
      auto* member = static_cast<Member*>(argument);
      while (member->team->size_.load(std::memory_order_acquire) == 0) sched_yield();
      (*member->work)(*member->team, member->index);
      return nullptr;
    };
    for (; size < threads; size++) {
      members[size] = {&team, &work, size, {}};
      if (!processors.start(&members[size].thread, enter, &members[size])) break;
    }
    team.size_.store(size, std::memory_order_release);
    work(team, 0);
    for (int n = 1; n < size; n++) pthread_join(members[n].thread, nullptr);
  }

  // Run one step: `task(n)` for n from 0 to tasks - 1. Every thread of the team calls this function with the same
  // number of tasks. It returns when all tasks of the step are done.
  template <typename Task>
  void share(int tasks, Task task) {
    if (size_.load(std::memory_order_relaxed) == 1) {
      for (int n = 0; n < tasks; n++) task(n);
      return;
    }
    for (int n; (n = next_.fetch_add(1, std::memory_order_relaxed)) < tasks;) task(n);
    wait();
  }

 private:
  // A barrier. The last thread that arrives prepares the next step and releases the others.
  void wait() {
    const int step = step_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size_.load(std::memory_order_relaxed)) {
      arrived_.store(0, std::memory_order_relaxed);
      next_.store(0, std::memory_order_relaxed);
      step_.store(step + 1, std::memory_order_release);
      return;
    }
    for (int turns = 0; step_.load(std::memory_order_acquire) == step; turns++)
      if (turns > 1000) sched_yield();
  }

  std::atomic<int> size_{0}, next_{0}, arrived_{0}, step_{0};
};
