// Threads that live for one call, and take tasks step by step.
//
// A thread starts in some ten microseconds, so that none is kept: nothing is left over in a forked process, and calls at
// the same time do not know each other.
#pragma once

#include <pthread.h>
#include <sched.h>

#include <algorithm>
#include <atomic>

// The processors that threads may have, and where they start: on another one than this thread's, which a system that was
// idle would choose, and leave them to wait there for milliseconds. Once started they may go where they want.
class Places {
 public:
  typedef void* Function(void*);

#ifdef __GLIBC__
  Places() {
    const int here = sched_getcpu();
    if (here < 0 || here >= CPU_SETSIZE || sched_getaffinity(0, sizeof all_, &all_) != 0) return;
    count_ = CPU_COUNT(&all_);
    cpu_set_t others = all_;
    CPU_CLR(here, &others);
    known_ = CPU_COUNT(&others) > 0 && pthread_attr_init(&elsewhere_) == 0;
    if (known_) pthread_attr_setaffinity_np(&elsewhere_, sizeof others, &others);
  }
  ~Places() {
    if (known_) pthread_attr_destroy(&elsewhere_);
  }
  bool start(pthread_t* thread, Function* function, void* argument) const {
    if (known_ && pthread_create(thread, &elsewhere_, function, argument) == 0) {
      pthread_setaffinity_np(*thread, sizeof all_, &all_);
      return true;
    }
    return pthread_create(thread, nullptr, function, argument) == 0;
  }
#else
  bool start(pthread_t* thread, Function* function, void* argument) const {
    return pthread_create(thread, nullptr, function, argument) == 0;
  }
#endif
  int count() const { return count_; }

 private:
#ifdef __GLIBC__
  cpu_set_t all_;
  pthread_attr_t elsewhere_;
  bool known_ = false;
#endif
  int count_ = 1 << 30;  // where it is not known
};

class Team {
 public:
  // Run `work(team, index)` in up to `threads` threads, this one included; fewer where the system gives no more, or has no
  // more processors for this process.
  template <typename Work>
  static void run(int threads, Work work) {
    if (threads < 2) {
      Team alone;
      alone.size_.store(1, std::memory_order_relaxed);
      work(alone, 0);
      return;
    }
    const Places places;
    threads = std::min({threads, MOST, places.count()});
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
      if (!places.start(&members[size].thread, enter, &members[size])) break;
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
