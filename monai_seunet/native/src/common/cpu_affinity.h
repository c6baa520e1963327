// The processors on which the threads of a call run.
#pragma once

#include <pthread.h>
#include <sched.h>

// The processors of this process, and the start of a thread on one of them.
//
// An idle system starts a new thread on the processor of its parent. The thread then waits there for milliseconds. So a
// thread starts on another processor than its parent. After the start it may move to any processor of the process.
class CpuAffinity {
 public:
  typedef void* Function(void*);

#ifdef __GLIBC__
  CpuAffinity() {
    const int here = sched_getcpu();
    if (here < 0 || here >= CPU_SETSIZE || sched_getaffinity(0, sizeof all_, &all_) != 0) return;
    count_ = CPU_COUNT(&all_);
    cpu_set_t others = all_;
    CPU_CLR(here, &others);
    known_ = CPU_COUNT(&others) > 0 && pthread_attr_init(&elsewhere_) == 0;
    if (known_) pthread_attr_setaffinity_np(&elsewhere_, sizeof others, &others);
  }
  ~CpuAffinity() {
    if (known_) pthread_attr_destroy(&elsewhere_);
  }
  CpuAffinity(const CpuAffinity&) = delete;
  CpuAffinity& operator=(const CpuAffinity&) = delete;

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

  // The number of processors. It is a large number where the system does not tell it.
  int count() const { return count_; }

 private:
#ifdef __GLIBC__
  cpu_set_t all_;
  pthread_attr_t elsewhere_;
  bool known_ = false;
#endif
  int count_ = 1 << 30;
};
