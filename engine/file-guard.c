// SPDX-License-Identifier: MIT
// What stands between a mapped file that is shortened and the end of the process. The kernel
// answers an access behind the new end with SIGBUS, on whichever thread was computing. The handler
// puts zeros in the place of the missing pages, so that the computation runs on, and marks the
// mapping; whoever asked for the result then looks at the mark and throws the result away. No
// thread is torn out of what it does, as a jump out of the handler would.
//
// Reading instead of mapping would need none of this, but twice the memory while a checkpoint is
// cached; looking at the size before each use leaves a gap between the look and the use.
#include "engine/file.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

enum { N_GUARDS = 256 };

struct FileGuard {
  _Atomic uintptr_t begin; // 0 = free
  _Atomic size_t n_bytes;  // 0 = not complete yet
  atomic_bool is_hurt;
};

// A signal handler is told an address and nothing else: the only state outside of a structure.
static struct FileGuard guards[N_GUARDS];
static struct sigaction before;
static pthread_once_t once = PTHREAD_ONCE_INIT;

struct FileGuard *file_guard_add(const void *data, size_t n_bytes) {
  for (int i = 0; i < N_GUARDS; i++) {
    uintptr_t expected = 0;
    if (!atomic_compare_exchange_strong(&guards[i].begin, &expected, (uintptr_t)data))
      continue;
    atomic_store(&guards[i].is_hurt, false);
    atomic_store(&guards[i].n_bytes, n_bytes);
    return &guards[i];
  }
  return NULL;
}

void file_guard_remove(struct FileGuard *guard) {
  if (!guard)
    return;
  atomic_store(&guard->n_bytes, 0);
  atomic_store(&guard->begin, 0);
}

bool file_guard_is_hurt(const struct FileGuard *guard) {
  return guard && atomic_load(&guard->is_hurt);
}

// The rest of the mapping from this page on reads as zeros: what is behind it is missing too.
static bool mend(struct FileGuard *guard, uintptr_t address) {
  const uintptr_t page_bytes = (uintptr_t)sysconf(_SC_PAGESIZE);
  const uintptr_t begin = atomic_load(&guard->begin), page = address / page_bytes * page_bytes;
  const size_t n_bytes = begin + atomic_load(&guard->n_bytes) - page;
  atomic_store(&guard->is_hurt, true);
  return mmap((void *)page, n_bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) !=
         MAP_FAILED;
}

static bool mend_at(uintptr_t address) {
  for (int i = 0; i < N_GUARDS; i++) {
    const uintptr_t begin = atomic_load(&guards[i].begin);
    if (begin != 0 && address >= begin && address - begin < atomic_load(&guards[i].n_bytes))
      return mend(&guards[i], address);
  }
  return false;
}

// Not ours: the access is made again with the earlier handler in charge.
static void handle(int number, siginfo_t *info, void *context) {
  const int saved = errno;
  if (!mend_at((uintptr_t)info->si_addr))
    sigaction(SIGBUS, &before, NULL);
  errno = saved;
}

static void install(void) {
  struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_NODEFER};
  sigemptyset(&action.sa_mask);
  sigaction(SIGBUS, &action, &before);
}

void file_guard_install(void) {
  pthread_once(&once, install);
}
