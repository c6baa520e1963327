// Threads that live for one call, and take tasks step by step.
//
// A thread starts in some ten microseconds, so that none is kept: nothing is left over in a forked process, and calls at
// the same time do not know each other.
#pragma once

#include <pthread.h>
#include <sched.h>

#include <atomic>

class Team {
 public:
  // Run `work(team, index)` in up to `threads` threads, this one included; fewer where the system gives no more.
  template <typename Work>
  static void run(int threads, Work work) {
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
    for (; size < threads && size < MOST; size++) {
      members[size] = {&team, &work, size, {}};
      if (pthread_create(&members[size].thread, nullptr, enter, &members[size]) != 0) break;
    }
    team.size_.store(size, std::memory_order_release);
    work(team, 0);
    for (int n = 1; n < size; n++) pthread_join(members[n].thread, nullptr);
  }

  // One step: `task(n)` for n from 0 to tasks - 1, shared by the threads; returns when all are done. Every thread of the
  // team calls it with the same number.
  template <typename Task>
  void share(int tasks, Task task) {
    if (size_.load(std::memory_order_relaxed) == 1) {
      for (int n = 0; n < tasks; n++) task(n);
      return;
    }
    for (int n; (n = next_.fetch_add(1, std::memory_order_relaxed)) < tasks;) task(n);
    wait();
  }

  static constexpr int MOST = 64;

 private:
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
