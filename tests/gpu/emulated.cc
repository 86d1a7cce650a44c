// SPDX-License-Identifier: MIT
// The emulated card: fibers, barriers, matrix instructions, memory with a border around it.
#include "emulated.hh"

#include <setjmp.h>
#include <stdio.h>
#include <ucontext.h>

#include <map>
#include <vector>

dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace emulated {

enum { MAX_THREADS = 1024, WARP = 32, STACK_BYTES = 64 * 1024 };
enum Waiting { NOTHING, WARP_BARRIER, BLOCK_BARRIER, EARLIER_LAUNCH };

struct Fiber {
  ucontext_t start;
  jmp_buf at;
  char *stack;
  bool is_made, is_done, has_waited; // for launches
  Waiting waiting;
  unsigned turn; // of exchanges, so that two in a row use different words
};

// A launch and the fibers of its running block.
struct Launch {
  Fiber fibers[MAX_THREADS];
  jmp_buf scheduler;
  int running, n_threads;
  bool is_first_block;
  dim3 grid, block;
  size_t n_shared_bytes;
  void (*body)(void *);
  void *context;
  void (*release)(void *);
  char *shared;
  uint32_t words[MAX_THREADS / WARP][2][WARP][6];
  bool is_reversed; // the order of a block's threads, which must not matter
  bool is_wrong;    // matrix instructions err
};

// Under way, each as far as its first block may go before the one before it.
enum { N_UNDER_WAY = 2, N_LAUNCHES };
static Launch launches[N_LAUNCHES], *now = launches; // whose threads run
static int oldest, n_under_way;

static void run_fiber(int index) {
  Fiber *fiber = &now->fibers[index];
  for (;;) {
    now->body(now->context);
    fiber->is_done = true;
    if (_setjmp(fiber->at) == 0)
      _longjmp(now->scheduler, 1);
  }
}

static void make_fiber(int index) {
  Fiber *fiber = &now->fibers[index];
  fiber->stack = static_cast<char *>(malloc(STACK_BYTES));
  getcontext(&fiber->start);
  fiber->start.uc_stack.ss_sp = fiber->stack;
  fiber->start.uc_stack.ss_size = STACK_BYTES;
  makecontext(&fiber->start, reinterpret_cast<void (*)()>(run_fiber), 1, index);
}

static void place(int index) {
  threadIdx.x = (unsigned)index % blockDim.x;
  threadIdx.y = (unsigned)index / blockDim.x % blockDim.y;
  threadIdx.z = (unsigned)index / blockDim.x / blockDim.y;
}

static void resume(int index) {
  Fiber *fiber = &now->fibers[index];
  now->running = index;
  place(index);
  if (_setjmp(now->scheduler) != 0)
    return;
  if (fiber->is_made)
    _longjmp(fiber->at, 1);
  make_fiber(index);
  fiber->is_made = true;
  setcontext(&fiber->start);
}

static void wait(Waiting what) {
  Fiber *fiber = &now->fibers[now->running];
  fiber->waiting = what;
  if (_setjmp(fiber->at) == 0)
    _longjmp(now->scheduler, 1);
}

// Lets a range of threads go on when all that are left wait for the same; whether any did.
static bool release(int begin, int end, Waiting what) {
  int n_waiting = 0, n_left = 0;
  for (int i = begin; i < end; i++) {
    n_left += !now->fibers[i].is_done;
    n_waiting += !now->fibers[i].is_done && now->fibers[i].waiting == what;
  }
  if (n_waiting == 0 || n_waiting < n_left)
    return false;
  for (int i = begin; i < end; i++)
    now->fibers[i].waiting = NOTHING;
  return true;
}

static bool run_warp(int begin, int end) {
  bool ran = false;
  for (int i = 0; i < end - begin; i++) {
    const int index = now->is_reversed ? end - 1 - i : begin + i;
    if (now->fibers[index].is_done || now->fibers[index].waiting != NOTHING)
      continue;
    resume(index);
    ran = true;
  }
  return ran;
}

static void begin_block() {
  now->shared = static_cast<char *>(aligned_alloc(64, (now->n_shared_bytes + 127) / 64 * 64));
  memset(now->shared, 0xff, now->n_shared_bytes); // as it may be found
  for (int i = 0; i < now->n_threads; i++) {
    now->fibers[i].is_done = now->fibers[i].has_waited = false;
    now->fibers[i].waiting = NOTHING;
    now->fibers[i].turn = 0;
  }
}

// Until all threads are done or wait for the launch before theirs.
static void run_block() {
  const int n = now->n_threads, n_warps = (n + WARP - 1) / WARP;
  for (bool goes_on = true; goes_on;) {
    goes_on = false;
    for (int i = 0; i < n_warps; i++) {
      const int warp = now->is_reversed ? n_warps - 1 - i : i;
      const int begin = warp * WARP, end = begin + WARP < n ? begin + WARP : n;
      do
        goes_on = run_warp(begin, end) || goes_on;
      while (release(begin, end, WARP_BARRIER));
    }
    goes_on = release(0, n, BLOCK_BARRIER) || goes_on;
  }
}

static void end_block() {
  for (int i = 0; i < now->n_threads; i++)
    if (!now->fibers[i].is_done) {
      fprintf(stderr, "emulated: a barrier that not all threads of a block or warp reach\n");
      abort();
    } else if (!now->fibers[i].has_waited) {
      fprintf(stderr, "emulated: a thread that does not wait for the launches before its own\n");
      abort();
    }
  free(now->shared);
}

static void enter(Launch *launch) {
  now = launch;
  gridDim = launch->grid;
  blockDim = launch->block;
}

// Its first block, as far as it may go.
static void begin_launch(Launch *launch) {
  enter(launch);
  launch->is_first_block = true;
  blockIdx = dim3(0, 0, 0);
  begin_block();
  run_block();
}

// What is left of it.
static void finish_launch(Launch *launch) {
  enter(launch);
  launch->is_first_block = false;
  release(0, launch->n_threads, EARLIER_LAUNCH);
  bool has_begun = true;
  for (unsigned z = 0; z < launch->grid.z; z++)
    for (unsigned y = 0; y < launch->grid.y; y++)
      for (unsigned x = 0; x < launch->grid.x; x++) {
        blockIdx = dim3(x, y, z);
        if (!has_begun)
          begin_block();
        has_begun = false;
        run_block();
        end_block();
      }
  launch->release(launch->context);
}

// In turn, until so many are left.
static void finish_launches(int n_left) {
  for (; n_under_way > n_left; n_under_way--) {
    finish_launch(&launches[oldest]);
    oldest = (oldest + 1) % N_LAUNCHES;
  }
}

// --- what goes wrong ----------------------------------------------------------------------------

static struct Troubles {
  long n_allocations, n_launches; // behind opening
  bool is_lost;
  cudaError_t last;
} troubles;

static bool has_trouble(const char *name) {
  const char *card_text = getenv("LIMNER_EMULATED_CARD");
  return card_text && strcmp(card_text, name) == 0;
}

static int n_cards() {
  return has_trouble("none") ? 0 : has_trouble("two") || has_trouble("first-old") ? 2 : 1;
}

static long long number_of(const char *variable) {
  const char *text = getenv(variable);
  return text ? atoll(text) : 0;
}

static bool is_allocation_refused() {
  return ++troubles.n_allocations == number_of("LIMNER_EMULATED_REFUSE");
}

static cudaError_t answer() {
  return troubles.is_lost ? cudaErrorLaunchFailure : cudaSuccess;
}

static bool is_launch_refused() {
  troubles.is_lost = troubles.is_lost || ++troubles.n_launches == number_of("LIMNER_EMULATED_LOSE");
  if (has_trouble("no-code"))
    troubles.last = cudaErrorNoKernelImageForDevice;
  return troubles.is_lost || has_trouble("no-code");
}

static void run_copies();

void launch(dim3 grid, dim3 block, size_t n_shared_bytes, void (*body)(void *), void *context,
            void (*release)(void *)) {
  run_copies();
  if (is_launch_refused()) {
    release(context);
    return;
  }
  const char *order = getenv("LIMNER_EMULATED_ORDER");
  Launch *launch = &launches[(oldest + n_under_way) % N_LAUNCHES];
  launch->is_reversed = order && strcmp(order, "reversed") == 0;
  launch->is_wrong = has_trouble("wrong");
  launch->body = body;
  launch->context = context;
  launch->release = release;
  launch->grid = grid;
  launch->block = block;
  launch->n_shared_bytes = n_shared_bytes;
  launch->n_threads = (int)(block.x * block.y * block.z);
  if (launch->n_threads > MAX_THREADS || grid.y > 65535 || grid.z > 65535 || grid.x == 0) {
    fprintf(stderr, "emulated: a launch beyond the limits of every card\n");
    abort();
  }
  begin_launch(launch);
  n_under_way++;
  finish_launches(N_UNDER_WAY);
}

void *shared_memory() {
  return now->shared;
}

void wait_for_block() {
  wait(BLOCK_BARRIER);
}

void wait_for_warp() {
  wait(WARP_BARRIER);
}

void wait_for_launches() {
  now->fibers[now->running].has_waited = true;
  if (now->is_first_block)
    wait(EARLIER_LAUNCH);
}

uint32_t exchange(uint32_t word, int from_lane) {
  const int me = now->running;
  const unsigned turn = now->fibers[me].turn++ % 2;
  now->words[me / WARP][turn][me % WARP][0] = word;
  wait(WARP_BARRIER);
  return now->words[me / WARP][turn][from_lane][0];
}

// Puts this lane's fragments where the others see them; all lanes' words.
static uint32_t (*share(const uint32_t a[4], const uint32_t b[2]))[6] {
  const int me = now->running;
  const unsigned turn = now->fibers[me].turn++ % 2;
  uint32_t *words = now->words[me / WARP][turn][me % WARP];
  memcpy(words, a, 16);
  memcpy(words + 4, b, 8);
  wait(WARP_BARRIER);
  return now->words[me / WARP][turn];
}

static float half_of(uint32_t word, int i) {
  const uint32_t bits = i ? word & 0xffff0000u : word << 16;
  float x;
  memcpy(&x, &bits, 4);
  return x;
}

// mma.m16n8k16: the operands' places as the PTX manual has them.
void mma_bf16(float c[4], const uint32_t a[4], const uint32_t b[2]) {
  const int lane = now->running % WARP;
  uint32_t(*words)[6] = share(a, b);
  for (int i = 0; i < 4; i++) {
    const int row = lane / 4, upper = i / 2, col = lane % 4 * 2 + i % 2;
    for (int quarter = 0; quarter < 8; quarter++) { // pairs of k
      const int t = quarter % 4, high = quarter / 4;
      const uint32_t x = words[row * 4 + t][upper + 2 * high], y = words[col * 4 + t][4 + high];
      c[i] += half_of(x, 0) * half_of(y, now->is_wrong);
      c[i] += half_of(x, 1) * half_of(y, 1);
    }
  }
}

// mma.m16n8k32 of signed bytes.
void mma_s8(int c[4], const uint32_t a[4], const uint32_t b[2]) {
  const int lane = now->running % WARP;
  uint32_t(*words)[6] = share(a, b);
  for (int i = 0; i < 4; i++) {
    const int row = lane / 4, upper = i / 2, col = lane % 4 * 2 + i % 2;
    for (int quarter = 0; quarter < 8; quarter++) {
      const int t = quarter % 4, high = quarter / 4;
      const uint32_t x = words[row * 4 + t][upper + 2 * high], y = words[col * 4 + t][4 + high];
      for (int byte = 0; byte < 4; byte++)
        c[i] += (int8_t)(x >> 8 * byte) * (int8_t)(y >> 8 * byte);
    }
  }
}

// --- copies that wait ---------------------------------------------------------------------------

struct Copy {
  void *dst;
  const void *src;
  size_t n_bytes;
};

static std::vector<Copy> copies;
static std::map<const char *, size_t> pinned;

static void finish_all() {
  finish_launches(0);
  run_copies();
}

static void run_copies() {
  for (const Copy &copy : copies)
    memcpy(copy.dst, copy.src, copy.n_bytes);
  copies.clear();
}

static bool is_pinned(const void *p) {
  const char *at = static_cast<const char *>(p);
  std::map<const char *, size_t>::const_iterator next = pinned.upper_bound(at);
  return next != pinned.begin() && (--next, at < next->first + next->second);
}

} // namespace emulated

// --- memory -------------------------------------------------------------------------------------

enum { BORDER_BYTES = 256 };

static std::map<const char *, size_t> &blocks() {
  static std::map<const char *, size_t> all;
  return all;
}

static size_t n_bytes_in_use() {
  size_t sum = 0;
  for (const std::pair<const char *const, size_t> &block : blocks())
    sum += block.second;
  return sum;
}

// For tests: what is allocated on the card.
extern "C" __attribute__((visibility("default"))) size_t emulated_bytes_in_use() {
  return n_bytes_in_use();
}

static size_t n_bytes_of_card() {
  const long long n_bytes = emulated::number_of("LIMNER_EMULATED_BYTES");
  return n_bytes > 0 ? (size_t)n_bytes : (size_t)8 << 30;
}

static size_t n_bytes_of_card(int index) {
  return n_bytes_of_card() / (emulated::n_cards() > 1 && index == 0 ? 2 : 1);
}

static int current; // card
cudaError_t cudaMemGetInfo(size_t *n_free_bytes, size_t *n_bytes) {
  *n_bytes = n_bytes_of_card(current);
  const size_t n_taken = *n_bytes / 16 + n_bytes_in_use();
  *n_free_bytes = n_taken < *n_bytes ? *n_bytes - n_taken : 0;
  return emulated::answer();
}

cudaError_t cudaHostAlloc(void **p, size_t n_bytes, unsigned) {
  *p = emulated::is_allocation_refused() ? NULL : malloc(n_bytes);
  if (!*p)
    return cudaErrorMemoryAllocation;
  emulated::pinned[static_cast<char *>(*p)] = n_bytes;
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void *p) {
  emulated::finish_all();
  emulated::pinned.erase(static_cast<char *>(p));
  free(p);
  return cudaSuccess;
}

cudaError_t cudaMalloc(void **p, size_t n_bytes) {
  size_t n_free_bytes = 0, n_all_bytes = 0;
  cudaMemGetInfo(&n_free_bytes, &n_all_bytes);
  if (emulated::is_allocation_refused() || n_bytes > n_free_bytes) {
    *p = NULL;
    return cudaErrorMemoryAllocation;
  }
  if (emulated::troubles.is_lost)
    return emulated::answer();
  const size_t rounded = (n_bytes + 63) / 64 * 64;
  char *base = static_cast<char *>(aligned_alloc(64, rounded + 2 * BORDER_BYTES));
  *p = base ? base + BORDER_BYTES : NULL;
  if (!base)
    return cudaErrorMemoryAllocation;
  memset(base, 0xa5, rounded + 2 * BORDER_BYTES);
  blocks()[base + BORDER_BYTES] = n_bytes;
  return cudaSuccess;
}

static void check_border(const char *at) {
  for (int i = 0; i < BORDER_BYTES; i++)
    if (at[i] != (char)0xa5) {
      fprintf(stderr, "emulated: a kernel wrote outside of its memory\n");
      abort();
    }
}

cudaError_t cudaFree(void *p) {
  if (!p)
    return cudaSuccess;
  emulated::finish_all();
  char *at = static_cast<char *>(p);
  const std::map<const char *, size_t>::iterator found = blocks().find(at);
  if (found == blocks().end()) {
    fprintf(stderr, "emulated: memory released that is not the card's\n");
    abort();
  }
  check_border(at - BORDER_BYTES);
  check_border(at + (found->second + 63) / 64 * 64);
  blocks().erase(found);
  free(at - BORDER_BYTES);
  return cudaSuccess;
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes *attributes, const void *p) {
  const char *at = static_cast<const char *>(p);
  std::map<const char *, size_t>::const_iterator next = blocks().upper_bound(at);
  attributes->type = cudaMemoryTypeUnregistered;
  if (next != blocks().begin() && (--next, at < next->first + next->second))
    attributes->type = cudaMemoryTypeDevice;
  return cudaSuccess;
}

static bool is_device(const void *p) {
  cudaPointerAttributes attributes;
  cudaPointerGetAttributes(&attributes, p);
  return attributes.type == cudaMemoryTypeDevice;
}

cudaError_t cudaMemcpyAsync(void *dst, const void *src, size_t n_bytes, cudaMemcpyKind kind,
                            cudaStream_t) {
  if (is_device(dst) != (kind != cudaMemcpyDeviceToHost) ||
      is_device(src) != (kind != cudaMemcpyHostToDevice)) {
    fprintf(stderr, "emulated: a copy of memory that is not where it says\n");
    abort();
  }
  if (emulated::troubles.is_lost)
    return emulated::answer();
  emulated::finish_launches(0);
  emulated::copies.push_back({dst, src, n_bytes});
  if (!emulated::is_pinned(src))
    emulated::run_copies();
  return emulated::answer();
}

cudaError_t cudaMemsetAsync(void *p, int value, size_t n_bytes, cudaStream_t) {
  emulated::finish_all();
  memset(p, value, n_bytes);
  return emulated::answer();
}

cudaError_t cudaStreamSynchronize(cudaStream_t) {
  emulated::finish_all();
  return emulated::answer();
}

cudaError_t cudaEventSynchronize(cudaEvent_t) {
  return cudaStreamSynchronize(NULL);
}

// --- the card -----------------------------------------------------------------------------------

cudaError_t cudaGetLastError() {
  const cudaError_t last = emulated::troubles.last;
  emulated::troubles.last = cudaSuccess;
  return last != cudaSuccess ? last : emulated::answer();
}

const char *cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorLaunchFailure ? "the emulated card is lost" : "emulated";
}

cudaError_t cudaSetDevice(int index) {
  current = index;
  return cudaSuccess;
}

// The module makes one when it opens a card: what goes wrong is counted from here.
cudaError_t cudaStreamCreateWithFlags(cudaStream_t *stream, unsigned) {
  emulated::troubles = emulated::Troubles();
  *stream = NULL;
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version) {
  *version = emulated::has_trouble("no-driver") ? 0 : 12080;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceCount(int *n) {
  const bool is_refused = emulated::has_trouble("old-driver") || emulated::has_trouble("no-driver");
  *n = emulated::n_cards();
  return is_refused ? cudaErrorInsufficientDriver : cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int index) {
  const bool is_old =
      emulated::has_trouble("old-card") || (emulated::has_trouble("first-old") && index == 0);
  memset(properties, 0, sizeof *properties);
  snprintf(properties->name, sizeof properties->name, "%semulated card", index ? "other " : "");
  properties->major = is_old ? 6 : 9;
  properties->multiProcessorCount = 4;
  properties->totalGlobalMem = n_bytes_of_card(index);
  return cudaSuccess;
}
