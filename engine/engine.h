// SPDX-License-Identifier: MIT
// The border of the engine: a Janus checkpoint folder in, picture tokens and RGB pixels out.
// JanusModel is immutable after opening and may be shared by sessions; a JanusSession is one run
// and belongs to one thread at a time. Neither prints, exits or knows file formats of pictures.
#ifndef JANUS_ENGINE_H
#define JANUS_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// --- errors -------------------------------------------------------------------------------------

typedef enum JanusErrorCode {
  JANUS_ERROR_NONE = 0,
  JANUS_ERROR_IO,          // a file cannot be read or written
  JANUS_ERROR_FORMAT,      // a file is not what it should be
  JANUS_ERROR_REQUEST,     // a value asked for is out of range
  JANUS_ERROR_MEMORY,      // not enough memory
  JANUS_ERROR_UNSUPPORTED, // not in this build
  JANUS_ERROR_DEVICE,      // the device failed
  JANUS_ERROR_CANCELLED,   // asked to stop; callers stay silent about it
} JanusErrorCode;

// Filled by a function that fails; one line that names the file, tensor or value, what was expected
// and what was found. Owned by the caller; NULL is allowed everywhere one is taken. What a person
// at a command line could do about it ends the message, behind "; --".
typedef struct JanusError {
  JanusErrorCode code;
  char message[1000];
} JanusError;

// Bytes of a message without that advice.
size_t janus_error_sentence_bytes(const char *message);

// --- tokenizer ----------------------------------------------------------------------------------

// The folder's tokenizer.json (byte-level BPE). Immutable; may be shared between threads.
typedef struct JanusTokenizer JanusTokenizer;

// Reads FOLDER/tokenizer.json. NULL and an error on failure; release with janus_tokenizer_free().
JanusTokenizer *janus_tokenizer_open(const char *folder, JanusError *error);
void janus_tokenizer_free(JanusTokenizer *tokenizer);

// How added tokens inside a text are read.
typedef enum JanusTokenizerFlags {
  JANUS_TOKENIZE_ALL_ADDED = 0,     // all added tokens are matched (the raw tokenizer)
  JANUS_TOKENIZE_PLAIN_SPECIAL = 1, // those marked special are plain text (what a person types)
  JANUS_TOKENIZE_BOS = 2,           // begin-of-sentence first
} JanusTokenizerFlags;

// Ids of `text` (UTF-8, n_bytes long; invalid bytes become U+FFFD). On success *ids is malloc'd
// (free() it; never NULL) and *n_ids set. Fails for want of memory, and with BOS when there is no
// such token.
bool janus_tokenizer_encode(const JanusTokenizer *tokenizer, const char *text, size_t n_bytes,
                            unsigned flags, int32_t **ids, size_t *n_ids, JanusError *error);

// The text of `ids` as the reference writes an answer: special tokens, and ids without a token, are
// left out; bytes that make no UTF-8 become U+FFFD. Other added tokens are their own text (the
// reference makes U+FFFD of the thirteen letters among them). On success *text is malloc'd, with a
// NUL behind its n_bytes.
bool janus_tokenizer_decode(const JanusTokenizer *tokenizer, const int32_t *ids, size_t n_ids,
                            char **text, size_t *n_bytes, JanusError *error);

// The id of the added token with exactly this text, or -1.
int32_t janus_tokenizer_find_added(const JanusTokenizer *tokenizer, const char *text);

// The highest id that encoding can give.
int32_t janus_tokenizer_get_max_id(const JanusTokenizer *tokenizer);

// --- model --------------------------------------------------------------------------------------

typedef enum JanusWeights {
  JANUS_WEIGHTS_AUTO,
  JANUS_WEIGHTS_F32,  // weights widened on the fly, everything else f32: the format parity is
                      // defined in
  JANUS_WEIGHTS_BF16, // layers in bf16. In this format and the next two keys and values are bf16,
                      // and pictures are encoded and decoded by bf16 weights
  JANUS_WEIGHTS_Q8,   // layers of the language model in 8 bits
  JANUS_WEIGHTS_Q4,   // in 4 bits, but for attention and what is around picture tokens: 8
  JANUS_WEIGHTS_FP8,  // in 8 bits with an exponent, on cards alone; those around picture tokens and
                      // the rest as in Q8
} JanusWeights;

// "auto", "f32", ...: static text; and back (false when unknown).
const char *janus_weights_text(JanusWeights weights);
bool janus_weights_parse(const char *text, JanusWeights *weights);

// Defaults of a model folder for what a person can set (its generation_config.json, else the
// original's).
typedef struct JanusDefaults {
  double cfg;
  double image_cfg;
  double temperature;
} JanusDefaults;

// Whether a device can be opened ("auto", "cpu", "cuda", "cuda:N"); false with one sentence that
// says why not. Any thread; a card takes some hundred milliseconds.
bool janus_device_can_open(const char *name, JanusError *error);

// A device that "auto" could take or a person choose.
typedef struct JanusDevice {
  char name[16];        // "cpu", "cuda:0"
  char label[100];      // for people: "CPU (AVX-512)", or the card's name
  uint64_t total_bytes; // of its memory; 0 = unknown
} JanusDevice;

// The CPU and then the cards, of which none is opened, so that one may turn out not to work. At
// most `most` of them, into `devices`; how many. `why_no_card` (NULL is allowed) becomes an
// UNSUPPORTED error where there is none. Any thread; a moment.
int janus_devices_list(JanusDevice *devices, int most, JanusError *why_no_card);

// "auto" is the first card that can be opened, computes what the CPU does and has room for the
// model in one of the formats, else the CPU. JanusModelInfo says why a card was passed over.
// The environment variable LIMNER_CPU_ISA (generic, avx2, avx512) caps the CPU's instruction set.
typedef struct JanusModelOptions {
  const char *folder;          // borrowed for the call
  const char *device;          // "auto", "cpu", "cuda", "cuda:N"; NULL = auto
  JanusWeights weights;        // AUTO picks and reports its choice in JanusModelInfo
  int n_threads;               // 0 = one per core
  int64_t picture_cache_bytes; // what may be kept of pictures to change between edits of them; 0 =
                               // a sixth of the machine's memory, on a card half of what is free
                               // there beside the weights and one edit; -1 = nothing
  // Where packed copies of the weights are kept for later starts, made when it is missing; NULL =
  // nowhere. Models whose copy would be smaller than packed_least_bytes have none.
  const char *packed_folder;
  size_t packed_least_bytes;
  // for benches
  const char *synthetic; // "janus-pro-1b" or "janus-pro-7b": random weights of its dimensions,
                         // made in memory; `folder` is not looked at
  int max_layers;        // > 0: of the language model the first layers only
} JanusModelOptions;

// What a model is. Text fields live as long as the model.
typedef struct JanusModelInfo {
  const char *folder;
  const char *name;        // for people: "Janus, 0.01 B parameters" or the folder's own name
  const char *layout;      // who names the tensors: "original" or "transformers" (the port)
  const char *file_kind;   // that hold them: "safetensors" or "pytorch"
  const char *device;      // "cpu" or "cuda:0"
  const char *device_name; // "CPU (AVX-512), 2 threads"
  JanusWeights weights;    // never AUTO
  bool weights_chosen;     // AUTO chose them
  const char
      *weights_why;     // no larger ones, in a sentence; NULL = they are the largest, or asked for
  const char *fallback; // why "auto" passed over a card, in a sentence; NULL = it did not
  uint64_t total_bytes; // of memory in this machine or control group, or on the card, which it
                        // looked at; 0 = unknown
  JanusDefaults defaults;
  int image_size_px;     // side of the square picture
  int min_size_px;       // least side of a fitted picture to change
  uint8_t background[3]; // of its bars
  int grid;              // tokens per side
  int n_image_tokens;    // grid * grid
  int n_codes;           // size of the VQ codebook
  int dim, n_layers, n_heads, n_kv_heads, head_dim, hidden_dim, vocab, max_positions;
  bool describes;             // false where the folder says that it cannot
  int64_t n_parameters;       // of the tensors that painting and editing use
  size_t weights_bytes;       // of those tensors, as stored
  size_t picture_cache_bytes; // the most that is kept of pictures to change
} JanusModelInfo;

typedef struct JanusModel JanusModel;

// Opens a folder as the Hub serves it (config.json, weights, tokenizer.json, processor files) and
// maps its weights. NULL and an error on failure. Any thread; takes well under a second, whatever
// the format: what a run needs packed is packed when the first run needs it, or before by
// janus_model_prepare().
// The first call takes over SIGBUS for the mapped files: what was shortened meanwhile makes runs
// and decodes fail with IO instead of ending the process.
JanusModel *janus_model_open(const JanusModelOptions *options, JanusError *error);
// Drops the caller's hold; sessions must be gone before.
void janus_model_free(JanusModel *model);
// Makes what every run needs and janus_model_open() left: nothing in f32; in the other formats
// packed copies, seconds for each gigabyte of them, tensor by tensor, so that not much more than
// their own size is needed at any time; or it maps a packed copy from disk, or writes one first.
// `progress` (NULL is allowed) is told how much is done, and stops it by returning false, whereupon
// this fails with CANCELLED; what was packed stays. MEMORY when there is not enough. Any thread;
// runs of the model wait meanwhile.
typedef bool (*JanusPrepareFunc)(size_t n_done, size_t n_total, void *user_data);
bool janus_model_prepare(JanusModel *model, JanusPrepareFunc progress, void *user_data,
                         JanusError *error);

// The packed copy on disk. `path` lives as long as the model.
typedef struct JanusPackedCopy {
  const char *path;
  size_t n_bytes; // what it takes, or would
  bool is_there;
} JanusPackedCopy;
// False where there is to be none. Any thread that does not prepare or run the model meanwhile.
bool janus_model_find_packed(const JanusModel *model, JanusPackedCopy *copy);

// The same; but where "auto" took a card that fails at it, and only there, *model is freed, opened
// anew on the CPU by the same options and prepared there. *model is NULL when that fails.
bool janus_model_settle(JanusModel **model, const JanusModelOptions *options,
                        JanusPrepareFunc progress, void *user_data, JanusError *error);

const JanusModelInfo *janus_model_get_info(const JanusModel *model);
const JanusTokenizer *janus_model_get_tokenizer(const JanusModel *model);
// Whether the device that a model runs on has a format. Any thread.
bool janus_model_has_format(const JanusModel *model, JanusWeights weights);

// What edits have computed of their pictures stays with the model, so that a further edit of the
// same picture needs neither look at it nor read it; tokens do not depend on that. Bytes kept now
// (not what a session is using), and dropping them, which a session does itself where it would not
// fit into memory otherwise. Any thread; wait for the device.
size_t janus_model_get_kept_bytes(JanusModel *model);
void janus_model_drop_kept(JanusModel *model);

// --- pictures to look at ------------------------------------------------------------------------

// How a picture that is not square becomes so: grey bars, as the original does, or its middle.
typedef enum JanusFit { JANUS_FIT_PAD, JANUS_FIT_CROP } JanusFit;

// A picture to change: upright, opaque, 8-bit sRGB, rows of width_px * 3 bytes without padding, any
// size from 1x1. Borrowed for the call that takes it.
typedef struct JanusImage {
  const uint8_t *rgb;
  int width_px, height_px;
  JanusFit fit;
} JanusImage;

// Makes a picture the square that the model sees, into rgb [size_px][size_px][3]. The longer side
// (CROP: the shorter) becomes size_px, the other in proportion but at least min_size_px; resized as
// Pillow's 8-bit bicubic does, bit for bit; PAD is centred on `background`. size_px, min_size_px
// and background come from JanusModelInfo. Pure function, any thread. Fails for sizes below 1, and
// for want of memory. Formulas: VLMImageProcessor, Pillow's Resample.c.
bool janus_image_fit(const JanusImage *image, int size_px, int min_size_px,
                     const uint8_t background[3], uint8_t *rgb, JanusError *error);

// Where the whole picture lies around or in that square, in pixels of the square: its size, and its
// corner, which PAD puts inside (x_px or y_px > 0) and CROP outside (< 0).
typedef struct JanusPlace {
  int64_t width_px, height_px, x_px, y_px;
} JanusPlace;
bool janus_image_place(int width_px, int height_px, JanusFit fit, int size_px, int min_size_px,
                       JanusPlace *place, JanusError *error);

// Resizes a picture into rgb [height_px][width_px][3] as Pillow's 8-bit LANCZOS does, bit for bit;
// its fit is not looked at. Pure function, any thread. Fails for sizes below 1, and for want of
// memory.
bool janus_image_resize(const JanusImage *image, int width_px, int height_px, uint8_t *rgb,
                        JanusError *error);

// Picture tokens [n_image_tokens] of a picture by the VQ encoder, row-major. Waits for the device.
bool janus_model_encode(JanusModel *model, const JanusImage *image, int32_t *tokens,
                        JanusError *error);

// Whether something is kept of edits of this picture with these tokens given for it. False also for
// want of memory.
bool janus_model_keeps(JanusModel *model, const JanusImage *image, const int32_t *tokens);

// --- memory -------------------------------------------------------------------------------------

// Bytes a request needs, before anything is allocated.
typedef struct JanusMemory {
  size_t weights_bytes; // mapped or packed weights in use
  size_t unmade_bytes;  // of those, copies that are not made yet; 0 for formats but the model's
  size_t kv_bytes;      // key/value caches, shared prompts once
  size_t activation_bytes;
  size_t total_bytes;
} JanusMemory;

// For `n_samples` pictures after a prompt of n_prompt_tokens, which for an edit does not count the
// picture's own positions. What the model keeps of pictures is not counted: a part of this for an
// edit of such a picture, and dropped before a request does not fit. Arithmetic; any thread, but it
// waits where another makes weights.
JanusMemory janus_estimate_memory(const JanusModel *model, int n_samples, int n_prompt_tokens,
                                  bool is_edit);

// The same if the model were open in another format (not AUTO).
JanusMemory janus_estimate_memory_in(const JanusModel *model, JanusWeights weights, int n_samples,
                                     int n_prompt_tokens, bool is_edit);

// The same for an answer of at most max_tokens tokens after a prompt of n_prompt_tokens beside the
// picture's positions; lm_head, which nothing else reads, is among the weights.
JanusMemory janus_estimate_describing(const JanusModel *model, int n_prompt_tokens, int max_tokens);

// Memory of the device that a model runs on: all of it and what is free now; 0 = unknown. Any
// thread that does not use the model meanwhile.
void janus_model_measure_memory(const JanusModel *model, uint64_t *total_bytes,
                                uint64_t *free_bytes);

// Whether so many bytes more can be had: from this machine, its control groups and ulimit -v. False
// with MEMORY and a sentence that names `purpose` when not. Any thread.
bool janus_memory_has_room(uint64_t n_bytes, const char *purpose, JanusError *error);

// --- a run --------------------------------------------------------------------------------------

// Text to image, or with an image an edit. Everything pointed at is borrowed for the call that
// takes it.
typedef struct JanusRequest {
  const char *prompt;          // UTF-8; may be empty, but not for an edit
  const JanusImage *image;     // the picture to change, or NULL
  const int32_t *image_tokens; // [n_image_tokens] its tokens where they are known; NULL = encode it
  int n_samples;               // >= 1
  int first_sample; // index of the first of them: samples 2 and 3 are the same whether they are
                    // asked for alone or behind 0 and 1
  const int32_t *known_tokens; // [n_samples][n_known] of a run that was stopped: it goes on behind
                               // them and ends as it would have ended; NULL = none
  int n_known;                 // 0 .. n_image_tokens
  uint64_t seed;               // 0 .. 2^53-1
  double cfg;                  // 1 = conditional rows alone
  double image_cfg;   // edits: 0 = the row that knows the picture's tokens alone (cfg_weight2)
  double temperature; // 0 = argmax
  int top_k;          // 0 = off
  double top_p;       // 1 = off
} JanusRequest;

typedef enum JanusPhase {
  JANUS_PHASE_LOOK,    // the encoders, where there is a picture; n_done of n_total blocks
  JANUS_PHASE_PREFILL, // the prompt, and the tokens known before
  JANUS_PHASE_DECODE,  // picture tokens, or an answer's: of these n_total at most
} JanusPhase;

typedef struct JanusProgress {
  JanusPhase phase;
  int n_done; // prompt positions (and positions of known tokens) or tokens per sample
  int n_total;
} JanusProgress;

// Called on the running thread after every encoder block, prompt chunk and token step. Returning
// false stops
// the run as janus_session_cancel() does. May call janus_session_preview() and
// janus_session_decode().
typedef bool (*JanusProgressFunc)(const JanusProgress *progress, void *user_data);

typedef struct JanusSession JanusSession;

// Checks the request, estimates, and allocates everything the run needs. `model` is borrowed and
// must outlive it. NULL and an error on failure.
JanusSession *janus_session_new(JanusModel *model, const JanusRequest *request, JanusError *error);
void janus_session_free(JanusSession *session);

// Runs to the last token of every sample. False with code CANCELLED when stopped; the tokens made
// so far stay readable. `progress` may be NULL.
bool janus_session_run(JanusSession *session, JanusProgressFunc progress, void *user_data,
                       JanusError *error);

// Asks a run or a decode of this session to stop at the next step or layer. Any thread.
void janus_session_cancel(JanusSession *session);

// Tokens of one sample so far, those known before included; borrowed, valid until the session is
// freed. `sample` counts from 0 whatever the request's first_sample, as everywhere here.
const int32_t *janus_session_get_tokens(const JanusSession *session, int sample, int *n_tokens);

// The picture of one sample by the VQ decoder into rgb [size][size][3]. Tokens not known yet repeat
// the last known row (rows below the frontier are a guess the caller should dim). Same thread as
// run, also from inside its callback: it never changes a token. False when cancelled or failed.
bool janus_session_decode(JanusSession *session, int sample, uint8_t *rgb, JanusError *error);

// A cheap picture of the known tokens into rgb [size][size][3] and the number of known rows of
// tokens: each token as its mean colour, learned from the decoder; rows not known are left as they
// are. Same thread rules. Returns the number of complete token rows.
int janus_session_preview(JanusSession *session, int sample, uint8_t *rgb);

// --- tokens to pixels ---------------------------------------------------------------------------

// n_tokens must be the model's n_image_tokens, each below n_codes (else REQUEST). rgb
// [size][size][3].
bool janus_model_decode(JanusModel *model, const int32_t *tokens, int n_tokens, uint8_t *rgb,
                        JanusError *error);

// --- token files --------------------------------------------------------------------------------

// Reads {"tokens":[...]} or {"samples":[[...],...]} (a pipe will do) and takes list `sample`. On
// success *tokens is malloc'd.
bool janus_tokens_load(const char *path, int sample, int32_t **tokens, int *n_tokens,
                       JanusError *error);
// Writes {"samples":[[...],...]}, or {"tokens":[...]} for one, beside and renamed.
bool janus_tokens_save(const char *path, const int32_t *const *tokens, const int *n_tokens,
                       int n_samples, JanusError *error);

// --- describing ---------------------------------------------------------------------------------

// A question about a picture. Everything pointed at is borrowed for the call that takes it.
typedef struct JanusQuestion {
  const JanusImage *image;
  const char *text;   // UTF-8; may be empty
  uint64_t seed;      // 0 .. 2^53-1
  double temperature; // 0 = argmax
  int top_k;          // 0 = off; the original's is 50
  double top_p;       // 1 = off
  int max_tokens;     // >= 1; fewer where the model has no more positions
} JanusQuestion;

typedef struct JanusAnswer JanusAnswer;

// Checks the question, estimates, and allocates what the answer needs; the model's first answer
// also takes lm_head from its files. `model` is borrowed and must outlive it. NULL and an error on
// failure: UNSUPPORTED where the folder says that its model cannot describe.
JanusAnswer *janus_answer_new(JanusModel *model, const JanusQuestion *question, JanusError *error);
void janus_answer_free(JanusAnswer *answer);

// Runs until the model ends its answer or max_tokens is reached. One thread at a time. False with
// code CANCELLED when stopped; what was said so far stays readable. `progress` may be NULL; it may
// read the answer.
bool janus_answer_run(JanusAnswer *answer, JanusProgressFunc progress, void *user_data,
                      JanusError *error);

// Asks a run to stop at the next encoder block, layer or token. Any thread.
void janus_answer_cancel(JanusAnswer *answer);

// Tokens so far, without the one that ends an answer; borrowed, valid until the answer is freed.
const int32_t *janus_answer_get_tokens(const JanusAnswer *answer, int *n_tokens);
// Their text in whole characters, see janus_tokenizer_decode(): n_bytes and a NUL. It only grows;
// borrowed, valid until the run goes on. Same thread as run, also from inside its callback.
const char *janus_answer_get_text(const JanusAnswer *answer, size_t *n_bytes);
// Whether the model ended its answer itself.
bool janus_answer_is_whole(const JanusAnswer *answer);

// --- measuring ----------------------------------------------------------------------------------

// Measures runs of a model beside what its device can do, both in turn: reading memory moves by a
// third within seconds on a shared machine, so that only ratios of neighbouring moments say much.
typedef struct JanusBench JanusBench;

// What a device can do.
typedef struct JanusBenchLimits {
  size_t stream_bytes; // of random data, read by all threads: 1 GB where memory allows
  double peak_flops;   // products and sums a second of the format's instruction; 0 = unknown
} JanusBenchLimits;

// `model` is borrowed. NULL and an error for want of memory.
JanusBench *janus_bench_new(JanusModel *model, JanusError *error);
void janus_bench_free(JanusBench *bench);
const JanusBenchLimits *janus_bench_get_limits(const JanusBench *bench);
// Bytes a second that the device reads now; a tenth of a second.
double janus_bench_stream(JanusBench *bench);

// Steps to be measured, of a request that is run like any other and then stopped.
typedef struct JanusBenchPlan {
  const JanusRequest *request; // its known tokens set the context that is measured at
  int n_steps;                 // behind one that is not measured, in JANUS_BENCH_REPETITIONS parts
  double patience_s;           // more steps, for at most so long, while the stream is not steady
} JanusBenchPlan;

// The stream is measured between the repetitions, and is steady when it moved by no more than this
// during one.
enum { JANUS_BENCH_REPETITIONS = 5 };
#define JANUS_BENCH_STEADY 0.15

// Where the time of a step goes; the sum is the step.
typedef struct JanusBenchParts {
  double linear_s, attention_s, other_s;
} JanusBenchParts;

typedef struct JanusBenchResult {
  int n_rows;    // of a step
  int n_steps;   // measured and counted
  int n_context; // positions that a row attends to, in the middle of the steps
  double step_s, step_min_s, step_max_s;        // median, and the extremes
  size_t bytes;                                 // that a step must move, see below
  double fraction, fraction_min, fraction_max;  // bytes / (step_s * stream), over repetitions
  double flops;                                 // products and sums of a step
  double peak_share;                            // flops / (step_s * peak_flops)
  double stream;                                // bytes a second, the median beside the steps
  double spread;                                // of the stream: (most - least) / most
  JanusBenchParts parts;                        // of steps behind those measured
  double look_s, prefill_s;                     // before them
  int n_prefilled;                              // prompt positions that were computed
  double prefill_share;                         // of peak_flops
  size_t weights_bytes, kv_bytes, kv_new_bytes; // whose sum is `bytes`
} JanusBenchResult;

// Runs the request. Bytes are the layers' as they are stored, scales and biases included, once for
// every pass; keys and values that the rows attend to, what prompts share once; and the new ones.
// `tokens` [n_samples][n_image_tokens] receives what the run knows at its end, known tokens
// included, and *n_tokens their number per sample; NULL is allowed. The caller's thread. False when
// the run fails, and with REQUEST when a picture has not so many steps.
bool janus_bench_decode(JanusBench *bench, const JanusBenchPlan *plan, JanusBenchResult *result,
                        int32_t *tokens, int *n_tokens, JanusError *error);

// Seconds of the median of three; negative where the time was not measured.
typedef struct JanusBenchPhases {
  double vq_decode_s; // tokens to pixels
  double vq_encode_s; // pixels to tokens
  double siglip_s;    // pixels to aligned features
} JanusBenchPhases;

bool janus_bench_phases(JanusBench *bench, bool has_encoders, JanusBenchPhases *phases,
                        JanusError *error);

// --- trace --------------------------------------------------------------------------------------

// Runs the prompt and then the forced tokens (fed, not drawn; the last is not fed) and writes every
// row's states to `out_path` as safetensors: input_ids, hidden.cond, hidden.uncond, logits.cond,
// logits.uncond, guided, and pixels with a whole picture's tokens; for an edit hidden.full,
// hidden.part, hidden.uncond, logits likewise, pixel_values, siglip, aligned, vq_latent, vq_ids.
// `request`: prompt, image, image_tokens, cfg and image_cfg count.
bool janus_trace(JanusModel *model, const JanusRequest *request, const int32_t *tokens,
                 int n_tokens, const char *out_path, JanusError *error);

#endif
