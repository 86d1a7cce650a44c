// SPDX-License-Identifier: MIT
// The border of the kernels layer: a device (memory + a table of operations on buffers) and nothing
// about models. Pure computation; a backend fills the table (the CPU now, CUDA in its own module).
#ifndef JK_KERNELS_H
#define JK_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Results. Operations on activations do not fail on the CPU; a backend that can fail later keeps
// the first failure and reports it from sync() or sample(), behind which a device that only lacked
// memory goes on.
typedef enum jk_status {
  JK_OK = 0,
  JK_NO_MEMORY,
  JK_NO_DEVICE,   // the device asked for does not exist or is not in this build
  JK_BAD_REQUEST, // a shape or type this backend does not do
  JK_FAULT,       // the device failed
} jk_status;

// One English word or two for a status, for messages. Static storage.
const char *jk_status_text(jk_status status);

// Storage type of weights. Activations are always f32.
typedef enum jk_dtype { JK_F32, JK_BF16, JK_F16 } jk_dtype;

// Bytes of one element.
size_t jk_dtype_size(jk_dtype dtype);

// What a device keeps of a weight, and what it computes with. The groups of Q8 and Q4 lie along the
// columns; numbers of one format are the same on every device, their order in memory need not be.
typedef enum jk_format {
  JK_FORMAT_F32,  // the stored values where they lie, widened as they are read; inputs f32
  JK_FORMAT_BF16, // a packed copy rounded to bf16; inputs rounded to bf16, sums f32
  JK_FORMAT_Q8,   // a packed copy of 8-bit integers, a scale a group; inputs 8-bit likewise
  JK_FORMAT_Q4,   // the same with 4-bit weights
  JK_FORMAT_FP8,  // a packed copy rounded to E4M3, a scale an output; inputs rounded to bf16, sums
                  // f32. Where jk_device.has_fp8 says so
} jk_format;

// Bytes of the packed copy of a linear layer's weight [n_out][n_in]; 0 for F32, which has none.
size_t jk_packed_bytes(jk_format format, int n_out, int n_in);

// A read-only weight as it lies in a checkpoint: row-major [n_rows][n_cols], host memory that is
// aligned to its element size and outlives every handle made from it. data == NULL means "absent".
typedef struct jk_weight {
  const void *data;
  jk_dtype dtype;
  int n_rows;
  int n_cols;
} jk_weight;

// Widens n elements of `src` (any dtype) to f32. Pure function, any thread.
void jk_widen(float *dst, const void *src, jk_dtype dtype, size_t n);

// Prepared weights; made and released by the device they belong to, immutable in between, shared by
// threads.
typedef struct jk_linear jk_linear; // y = x W^T + b
typedef struct jk_conv jk_conv;     // 2-D convolution, 3x3 (a 1x1 one is a jk_linear over pixels)

// Keys and values of one layer of one cache: [n_kv_heads][capacity][head_dim].
typedef struct jk_kv {
  void *k;
  void *v;
  int capacity;   // positions per head
  jk_dtype dtype; // F32, or BF16: rounded as they are written
} jk_kv;

// What one row attends to: n_root and then n_prefix positions of caches shared with other rows,
// then n_tail positions of another (the row's own key included). A cache of 0 positions is not
// read. Results do not depend on where the borders lie.
typedef struct jk_context {
  jk_kv root, prefix, tail; // of one dtype
  int n_root, n_prefix, n_tail;
} jk_context;

static inline int jk_context_positions(const jk_context *context) {
  return context->n_root + context->n_prefix + context->n_tail;
}

// How a convolution reads its input. Output sizes: SAME = h x w; UP = 2h x 2w (nearest-neighbour
// doubling before the convolution); DOWN = h/2 x w/2 (stride 2, zero padding right and bottom
// only).
typedef enum jk_conv_mode { JK_CONV_SAME, JK_CONV_UP, JK_CONV_DOWN } jk_conv_mode;

// A group normalisation in front of a convolution (see jk_device.group_norm).
typedef struct jk_group_norm {
  const float *weight, *bias; // [n_in]
  int n_groups;
  float eps;
  bool swish;
} jk_group_norm;

// One draw from guided logits (see jk_device.sample).
typedef struct jk_sampling {
  float temperature;     // 0 = argmax, then top_k and top_p are ignored
  int top_k;             // 0 = off
  float top_p;           // 1 = off
  uint64_t seed;         // 0 .. 2^53-1
  uint32_t position;     // position in the picture (or in the text)
  uint32_t sample_index; // index of the sample within its request
  uint32_t stream;       // 0 = picture, 1 = text, 2+k = branch k
} jk_sampling;

// A device. All pointers to activations are device memory from alloc(); all matrices are row-major.
// One thread at a time may call the operations of one device; creating and releasing weights too.
//
// Invariance (the contract every backend keeps): each element of a result is computed by a
// reduction whose order depends on the shape of the weights alone, never on n_rows, on the
// neighbouring rows, on the number of threads or on the split of a jk_context.
typedef struct jk_device jk_device;
struct jk_device {
  char name[96]; // for people: "CPU (AVX-512), 2 threads"
  int n_threads;
  bool has_fp8;          // linear_create() takes JK_FORMAT_FP8
  void *observer;        // for benches, which put functions of their own into the table
  char failure_text[96]; // what went wrong when an operation last failed, in the backend's words

  // --- memory -----------------------------------------------------------------------------------
  // Zeroed memory, 64-byte aligned. `purpose` (static text) names it in messages and plans.
  jk_status (*alloc)(jk_device *dev, size_t n_bytes, const char *purpose, void **out);
  void (*free)(jk_device *dev, void *p); // NULL is allowed
  jk_status (*upload)(jk_device *dev, void *dst, const void *host_src, size_t n_bytes);
  jk_status (*download)(jk_device *dev, void *host_dst, const void *src, size_t n_bytes);
  // Between two places on the device that do not overlap.
  jk_status (*copy)(jk_device *dev, void *dst, const void *src, size_t n_bytes);
  jk_status (*sync)(jk_device *dev);
  // Where operations can read an array of the host's: norm weights, biases, tables, what copy()
  // begins from. On the CPU it is the array itself, which must stay; elsewhere a copy, released by
  // close().
  jk_status (*place)(jk_device *dev, const void *host, size_t n_bytes, const void **out);
  // Memory of a device that has its own; zeros where that is the host's.
  void (*measure_memory)(jk_device *dev, size_t *n_free_bytes, size_t *n_bytes);

  // --- weights ----------------------------------------------------------------------------------
  // Linear layer from `weight` [n_out][n_in] and `bias` ([1][n_out] or absent). F32 keeps pointing
  // into the weight's memory, the other formats pack a copy. On failure *out is NULL.
  jk_status (*linear_create)(jk_device *dev, jk_weight weight, jk_weight bias, jk_format format,
                             jk_linear **out);
  // The same layer from a packed copy that linear_packed() gave before, on this kind of device;
  // `packed` (64-byte aligned, jk_packed_bytes() long) is borrowed until linear_free().
  jk_status (*linear_open)(jk_device *dev, const void *packed, int n_out, int n_in, jk_weight bias,
                           jk_format format, jk_linear **out);
  // The packed copy, jk_packed_bytes() long, host memory; NULL for F32. Borrowed.
  const void *(*linear_packed)(const jk_linear *linear);
  void (*linear_free)(jk_device *dev, jk_linear *linear); // NULL is allowed
  // Bytes that one linear() reads of a layer: values, scales and bias; 0 for NULL.
  size_t (*linear_bytes)(const jk_linear *linear);
  // 3x3 convolution from `weight` [n_out][n_in * 3 * 3] (checkpoint order: out, in, y, x) and
  // `bias` [1][n_out]. Packs a copy, F32 or BF16. `max_width_px` bounds the output width it will be
  // used at.
  jk_status (*conv_create)(jk_device *dev, jk_weight weight, jk_weight bias, jk_format format,
                           int max_width_px, jk_conv **out);
  void (*conv_free)(jk_device *dev, jk_conv *conv); // NULL is allowed

  // --- operations (f32, enqueued in order; y may equal x only where said) ------------------------
  // y[n_rows][n_out] = x[n_rows][n_in] W^T + b; with `accumulate`, y += that. y != x.
  void (*linear)(jk_device *dev, float *y, const jk_linear *linear, const float *x, int n_rows,
                 bool accumulate);
  // y[i][n_cols] = table[ids[i]][n_cols], widened. `ids` is host memory; the table is place()d, or
  // host memory where it is rarely read.
  void (*gather)(jk_device *dev, float *y, jk_weight table, const int32_t *ids, int n);
  // y = x / sqrt(mean(x^2) + eps) * weight, per row of `dim`. y may equal x. Zhang & Sennrich 2019.
  void (*rms_norm)(jk_device *dev, float *y, const float *x, const float *weight, int n_rows,
                   int dim, float eps);
  // y = (x - mean) / sqrt(variance + eps) * weight + bias, per row of `dim`, biased variance. y may
  // equal x. Ba et al. 2016.
  void (*layer_norm)(jk_device *dev, float *y, const float *x, const float *weight,
                     const float *bias, int n_rows, int dim, float eps);
  // Rotary embedding in place, first half with second half of each head:
  // x[n_rows][n_heads][head_dim]. cos, sin: [n_positions][head_dim / 2]; positions: host memory,
  // one per row. Su et al. 2021.
  void (*rope)(jk_device *dev, float *x, const float *cos, const float *sin,
               const int32_t *positions, int n_rows, int n_heads, int head_dim);
  // Row i's k and v [n_kv_heads][head_dim] go to slot slots[i] of caches[i]. Host arrays.
  void (*kv_write)(jk_device *dev, const jk_kv *caches, const int32_t *slots, const float *k,
                   const float *v, int n_rows, int n_kv_heads, int head_dim);
  // out[n_rows][n_heads][head_dim] = softmax(q K^T / sqrt(head_dim)) V over each row's context;
  // query head h reads kv head h / (n_heads / n_kv_heads). Keys are taken in blocks that begin at
  // absolute multiples of a constant. `contexts`: host memory.
  void (*attention)(jk_device *dev, float *out, const float *q, const jk_context *contexts,
                    int n_rows, int n_heads, int n_kv_heads, int head_dim);
  // y = silu(gate) * up, silu(x) = x * sigmoid(x). y may equal either. n elements.
  void (*silu_mul)(jk_device *dev, float *y, const float *gate, const float *up, size_t n);
  // y = x * Phi(x) with the exact erf. y may equal x.
  void (*gelu)(jk_device *dev, float *y, const float *x, size_t n);
  // Convolution of x [h][w][n_in] into y [h'][w'][n_out] (see jk_conv_mode), zero padded, plus
  // `residual` [h'][w'][n_out] unless NULL. residual may equal y; x may not.
  void (*conv)(jk_device *dev, float *y, const jk_conv *conv, const float *x, const float *residual,
               int height, int width, jk_conv_mode mode);
  // The convolution of group_norm(x), which is not kept. NULL where nothing is won by that.
  void (*norm_conv)(jk_device *dev, float *y, const jk_conv *conv, const jk_group_norm *norm,
                    const float *x, const float *residual, int height, int width,
                    jk_conv_mode mode);
  // Group normalisation over x [n_pixels][channels], groups of channels / n_groups neighbours,
  // biased variance, then optional swish x * sigmoid(x). y may equal x. Wu & He 2018.
  void (*group_norm)(jk_device *dev, float *y, const float *x, const float *weight,
                     const float *bias, int n_pixels, int channels, int n_groups, float eps,
                     bool swish);
  // Classifier-free guidance over n values: c = part ? (full + w2 part) / (1 + w2) : full, where a
  // w2 of 0 takes `full` itself; out = u + w1 (c - u), where a w1 of 1 takes c itself. `part` may
  // be NULL.
  void (*guide)(jk_device *dev, float *out, const float *full, const float *part,
                const float *uncond, float w1, float w2, size_t n);
  // Draws one id from each of n rows of guided logits [n][vocab] into host memory `ids`, row i by
  // draws[i]: argmax of guided / T + Gumbel noise over the kept ids (top_k, then top_p), lowest id
  // on a tie. Noise: Philox4x32-10, see philox.h. Waits for the result.
  jk_status (*sample)(jk_device *dev, int32_t *ids, const float *guided, int vocab,
                      const jk_sampling *draws, int n);

  // --- limits, for benches ----------------------------------------------------------------------
  // Reads n_bytes (a multiple of 64) from alloc() once with all threads, as fast as the device can;
  // returns a sum of what is there.
  uint64_t (*read_all)(jk_device *dev, const void *p, size_t n_bytes);
  // Products and sums a second, each counted, of the instruction that linear() in this format is
  // made of at best, with all threads; takes a tenth of a second. 0 = not known.
  double (*measure_peak)(jk_device *dev, jk_format format);

  void (*close)(jk_device *dev); // releases the device itself; all its memory must be freed before
};

// Instruction sets of the CPU backend, ascending. The generic C reference is always there.
typedef enum jk_isa { JK_ISA_GENERIC, JK_ISA_AVX2, JK_ISA_AVX512 } jk_isa;

// The best instruction set of this machine that this build knows.
jk_isa jk_cpu_best_isa(void);
const char *jk_isa_text(jk_isa isa);

// Opens the CPU: a pool of n_threads (0 = one per core this process may use) that sleeps when idle,
// and kernels of at most `max_isa` (what the machine lacks is never used). The caller closes it.
jk_status jk_cpu_open(int n_threads, jk_isa max_isa, jk_device **out);

// Opens NVIDIA card `index`. The code for it is a module of its own that is looked for beside the
// program: LIMNER_CUDA_MODULE names another. On failure `reason` says why in part of a sentence.
// The caller closes the device.
jk_status jk_cuda_open(int index, jk_device **out, char *reason, size_t n_reason);

// An NVIDIA card as its driver describes it.
typedef struct jk_card {
  char name[80];
  size_t n_bytes; // of its memory
} jk_card;

// Describes card `index` without opening it: nothing is allocated on it. NO_DEVICE where there is
// none or no code for cards, FAULT where there may be one that cannot be asked; `reason` then says
// why in part of a sentence. Any thread.
jk_status jk_cuda_describe(int index, jk_card *card, char *reason, size_t n_reason);

#endif
