// SPDX-License-Identifier: MIT
// The rows of one request: shared prompts, the samples' own picture tokens, and the head.
#include "engine/generation.h"

#include "engine/buffer.h"
#include "engine/error.h"
#include "engine/model-make.h"

#include <stdlib.h>
#include <string.h>

GenerationPlan generation_plan(int n_samples, bool is_edit, double cfg, double image_cfg) {
  GenerationPlan plan = {.is_edit = is_edit,
                         .n_samples = n_samples,
                         .chunk_rows = GENERATION_CHUNK_ROWS,
                         .group_rows = GENERATION_GROUP_ROWS};
  plan.classes[plan.n_classes++] = GENERATION_COND;
  if (is_edit && image_cfg != 0)
    plan.classes[plan.n_classes++] = GENERATION_PART;
  if (cfg != 1)
    plan.classes[plan.n_classes++] = GENERATION_UNCOND;
  return plan;
}

static int min_int(int a, int b) {
  return a < b ? a : b;
}

static int plan_group_samples(const GenerationPlan *plan) {
  return min_int(plan->n_samples, plan->group_rows / plan->n_classes);
}

static int plan_max_rows(const GenerationPlan *plan) {
  const int n_group = plan_group_samples(plan) * plan->n_classes;
  return n_group > plan->chunk_rows ? n_group : plan->chunk_rows;
}

static bool has_class(const GenerationPlan *plan, GenerationClass class) {
  bool is_there = false;
  for (int i = 0; i < plan->n_classes; i++)
    is_there = is_there || plan->classes[i] == class;
  return is_there;
}

// --- memory -------------------------------------------------------------------------------------

size_t generation_activation_bytes(const JanusModel *model, const GenerationPlan *plan) {
  const JanusConfig *config = &model->config;
  const size_t group = (size_t)plan_group_samples(plan), classes = (size_t)plan->n_classes;
  const size_t rows = group * classes, max_rows = (size_t)plan_max_rows(plan);
  const size_t n_floats = max_rows * (size_t)model->gen_embed.n_cols +
                          rows * (size_t)(config->dim + model->gen_head_dim) +
                          (rows + group) * (size_t)config->n_codes;
  return n_floats * sizeof(float) + llama_workspace_bytes(config, plan_max_rows(plan));
}

size_t generation_kv_bytes(const JanusModel *model, const GenerationPlan *plan, int n_prompt) {
  const JanusConfig *config = &model->config;
  const bool has_uncond = has_class(plan, GENERATION_UNCOND);
  const int n_prefix = n_prompt - 1;
  const size_t n_tails = (size_t)plan->n_samples * (size_t)plan->n_classes;
  const int n_words = n_prefix - 2 * (config->n_image_tokens + 2); // at most
  const size_t shared_bytes =
      plan->is_edit ? picture_prefix_bytes(config, plan->n_classes - has_uncond, n_words)
                    : kv_cache_bytes(config, n_prefix);
  return shared_bytes + (has_uncond ? pad_prefix_bytes(config, n_prefix) : 0) +
         n_tails * kv_cache_bytes(config, config->n_image_tokens);
}

static bool allocate_host(Generation *g, JanusError *error) {
  const size_t n_classes = (size_t)g->plan.n_classes;
  g->tails = calloc(n_classes * (size_t)g->plan.n_samples, sizeof *g->tails);
  g->rows = calloc((size_t)g->ws.max_rows, sizeof *g->rows);
  g->fed = calloc((size_t)g->ws.max_rows, sizeof *g->fed);
  return (g->tails && g->rows && g->fed) ||
         janus_fail(error, JANUS_ERROR_MEMORY, "not enough memory for %d samples",
                    g->plan.n_samples);
}

// Another session may have gone on with the unconditional prompt.
static void catch_up(GenerationStretch *stretch) {
  const int n_kept = stretch->kept ? min_int(*stretch->kept, stretch->n) : 0;
  if (stretch->n_done < n_kept)
    stretch->n_done = n_kept;
}

static void add_stretch(Generation *g, GenerationStretch stretch) {
  catch_up(&stretch);
  g->stretches[g->n_stretches++] = stretch;
}

static bool allocate_words(Generation *g, JanusError *error) {
  if (!kv_cache_init(&g->words, g->model, g->n_prefix, "keys and values of the prompt", error))
    return false;
  add_stretch(g,
              (GenerationStretch){.class = GENERATION_COND, .cache = &g->words, .n = g->n_prefix});
  return true;
}

static bool allocate_pads(Generation *g, JanusModel *model, JanusError *error) {
  g->pads = pad_prefix_hold(model, g->n_prefix, error);
  if (!g->pads)
    return false;
  add_stretch(g, (GenerationStretch){.class = GENERATION_UNCOND,
                                     .cache = &g->pads->cache,
                                     .n = g->n_prefix,
                                     .kept = &g->pads->n_done,
                                     .n_keepable = g->n_prefix});
  return true;
}

static bool allocate_own(Generation *g, GenerationClass class, JanusError *error) {
  PicturePrefix *picture = g->picture;
  const int i = class == GENERATION_PART, n = g->n_prefix - g->n_common;
  const int n_keepable = picture_prefix_own(&g->model->config);
  if (!picture_prefix_reserve(picture, g->model, g->n_common, i, n - n_keepable, error))
    return false;
  if (class == GENERATION_COND)
    add_stretch(g, (GenerationStretch){.class = class,
                                       .cache = &picture->common,
                                       .n = g->n_common,
                                       .kept = &picture->n_common_done,
                                       .n_keepable = g->n_common});
  add_stretch(g, (GenerationStretch){.class = class,
                                     .root = &picture->common,
                                     .cache = &picture->own[i],
                                     .first = g->n_common,
                                     .n = n,
                                     .kept = &picture->n_own_done[i],
                                     .n_keepable = n_keepable});
  return true;
}

static bool allocate_caches(Generation *g, JanusModel *model, JanusError *error) {
  const int n_classes = g->plan.n_classes, n_tokens = model->config.n_image_tokens;
  bool ok = true;
  for (int i = 0; ok && i < n_classes; i++) {
    const GenerationClass class = g->plan.classes[i];
    if (class == GENERATION_UNCOND)
      ok = allocate_pads(g, model, error);
    else
      ok = g->picture ? allocate_own(g, class, error) : allocate_words(g, error);
  }
  for (int i = 0; ok && i < n_classes * g->plan.n_samples; i++)
    ok = kv_cache_init(&g->tails[i], model, n_tokens, "keys and values of a picture", error);
  return ok;
}

static bool allocate_head(Generation *g, JanusError *error) {
  const JanusModel *model = g->model;
  const size_t dim = (size_t)model->config.dim, n_codes = (size_t)model->config.n_codes;
  const size_t group = (size_t)g->group_samples;
  const size_t rows = group * (size_t)g->plan.n_classes, max_rows = (size_t)g->ws.max_rows;
  const size_t n_embed = (size_t)model->gen_embed.n_cols;
  jk_device *dev = model->device;
  return janus_buffer_new(dev, max_rows * n_embed, "token embeddings", &g->embed, error) &&
         janus_buffer_new(dev, rows * dim, "hidden states", &g->hidden, error) &&
         janus_buffer_new(dev, rows * (size_t)model->gen_head_dim, "the head", &g->head, error) &&
         janus_buffer_new(dev, rows * n_codes, "logits", &g->logits, error) &&
         janus_buffer_new(dev, group * n_codes, "guided logits", &g->guided, error);
}

bool generation_init(Generation *g, JanusModel *model, const GenerationPlan *plan,
                     JanusPrompt *prompt, PicturePrefix *picture, JanusError *error) {
  *g = (Generation){.model = model,
                    .plan = *plan,
                    .picture = picture,
                    .group_samples = plan_group_samples(plan),
                    .n_prefix = prompt->n_ids - 1,
                    .n_common = picture ? picture_prefix_common(prompt) : 0};
  if (model_make(model, MODEL_LANGUAGE, NULL, error) &&
      llama_workspace_init(&g->ws, model, plan_max_rows(plan), error) && allocate_host(g, error) &&
      allocate_caches(g, model, error) && allocate_head(g, error)) {
    g->prompt = *prompt;
    *prompt = (JanusPrompt){0};
    return true;
  }
  generation_clear(g);
  return false;
}

void generation_clear(Generation *g) {
  if (!g->model)
    return;
  jk_device *dev = g->model->device;
  kv_cache_clear(&g->words, dev);
  for (int i = 0; g->tails && i < g->plan.n_classes * g->plan.n_samples; i++)
    kv_cache_clear(&g->tails[i], dev);
  pad_prefix_release(g->pads, dev);
  float *buffers[] = {g->embed, g->hidden, g->head, g->logits, g->guided};
  for (size_t i = 0; i < sizeof buffers / sizeof *buffers; i++)
    dev->free(dev, buffers[i]);
  llama_workspace_clear(&g->ws, dev);
  janus_prompt_clear(&g->prompt);
  free(g->tails);
  free(g->rows);
  free(g->fed);
  *g = (Generation){0};
}

// --- the prompts --------------------------------------------------------------------------------

int generation_prefill_done(const Generation *g) {
  int n_done = 0;
  for (int i = 0; i < g->n_stretches; i++)
    n_done += g->stretches[i].n_done;
  return n_done;
}

int generation_prefill_total(const Generation *g) {
  int n = 0;
  for (int i = 0; i < g->n_stretches; i++)
    n += g->stretches[i].n;
  return n;
}

// gen_aligner(gen_embed(id)) of n ids (host) into x [n][dim].
static void embed_codes(Generation *g, float *x, const int32_t *ids, int n) {
  const JanusModel *model = g->model;
  jk_device *dev = model->device;
  dev->gather(dev, g->embed, model->gen_embed, ids, n);
  dev->linear(dev, g->ws.normed, model->gen_aligner_in, g->embed, n, false);
  dev->gelu(dev, g->ws.normed, g->ws.normed, (size_t)n * (size_t)model->config.dim);
  dev->linear(dev, x, model->gen_aligner_out, g->ws.normed, n, false);
}

// The part of [first, first + n) that lies in the slot which begins at `at`.
static int overlap(const Generation *g, int at, int first, int n, int *begin) {
  const int end = min_int(first + n, at + g->model->config.n_image_tokens);
  *begin = at > first ? at : first;
  return at > 0 && end > *begin ? end - *begin : 0;
}

// The picture takes the place of the ids that keep its slots; x is the first position's row.
static void embed_picture(Generation *g, GenerationClass class, float *x, int first, int n) {
  jk_device *dev = g->model->device;
  const size_t dim = (size_t)g->model->config.dim;
  int begin, n_here = overlap(g, g->prompt.features_at, first, n, &begin);
  if (n_here > 0)
    dev->copy(dev, x + (size_t)(begin - first) * dim,
              g->picture->features + (size_t)(begin - g->prompt.features_at) * dim,
              (size_t)n_here * dim * sizeof(float));
  n_here = class == GENERATION_COND ? overlap(g, g->prompt.codes_at, first, n, &begin) : 0;
  if (n_here > 0)
    embed_codes(g, x + (size_t)(begin - first) * dim,
                g->picture->tokens + (begin - g->prompt.codes_at), n_here);
}

// Positions first .. first + n - 1 of a class's prompt into the residual stream, from `row` on.
static void embed_prompt(Generation *g, GenerationClass class, int row, int first, int n) {
  const JanusModel *model = g->model;
  float *x = g->ws.x + (size_t)row * (size_t)model->config.dim;
  for (int i = 0; i < n; i++) {
    const bool is_pad = class == GENERATION_UNCOND && first + i > 0;
    g->fed[i] = is_pad ? model->tags.pad : g->prompt.ids[first + i];
  }
  model->device->gather(model->device, x, model->text_embedding, g->fed, n);
  if (class != GENERATION_UNCOND && g->picture)
    embed_picture(g, class, x, first, n);
}

// The next positions of a stretch as rows from `row` on of a pass; their number.
static int add_rows(Generation *g, const GenerationStretch *stretch, int row) {
  const int n = min_int(g->plan.chunk_rows - row, stretch->n - stretch->n_done);
  for (int i = 0; i < n; i++)
    g->rows[row + i] = (LlamaRow){.root = stretch->root,
                                  .cache = stretch->cache,
                                  .n_root = stretch->first,
                                  .slot = stretch->n_done + i};
  if (n > 0)
    embed_prompt(g, stretch->class, row, stretch->first + stretch->n_done, n);
  return n;
}

static void note_done(GenerationStretch *stretch, int n) {
  stretch->n_done += n;
  const int n_kept = min_int(stretch->n_done, stretch->n_keepable);
  if (stretch->kept && *stretch->kept < n_kept)
    *stretch->kept = n_kept;
}

// Stretches follow one another within a pass: a position that attends to one computed in the same
// pass finds it, since a layer writes all rows' keys and values before any row reads them.
bool generation_prefill(Generation *g, const atomic_bool *cancel) {
  int taken[GENERATION_MAX_STRETCHES], n_rows = 0;
  for (int i = 0; i < g->n_stretches; i++) {
    catch_up(&g->stretches[i]);
    taken[i] = add_rows(g, &g->stretches[i], n_rows);
    n_rows += taken[i];
  }
  if (n_rows > 0 && !llama_forward(g->model, &g->ws, g->rows, n_rows, cancel))
    return false;
  for (int i = 0; i < g->n_stretches; i++)
    note_done(&g->stretches[i], taken[i]);
  g->n_prefilled += n_rows;
  return true;
}

// --- the picture --------------------------------------------------------------------------------

// A class's row of a sample at a slot behind its prompt.
static LlamaRow row_of(const Generation *g, int class_index, int sample, int slot) {
  const GenerationClass class = g->plan.classes[class_index];
  LlamaRow row = {.prefix = &g->words,
                  .cache = &g->tails[sample * g->plan.n_classes + class_index],
                  .n_prefix = g->n_prefix,
                  .slot = slot};
  if (class == GENERATION_UNCOND) {
    row.prefix = &g->pads->cache;
  } else if (g->picture) {
    row.root = &g->picture->common;
    row.n_root = g->n_common;
    row.prefix = &g->picture->own[class == GENERATION_PART];
    row.n_prefix = g->n_prefix - g->n_common;
  }
  return row;
}

bool generation_feed(Generation *g, int first, int n, const int32_t *tokens, int slot,
                     const atomic_bool *cancel) {
  const JanusModel *model = g->model;
  jk_device *dev = model->device;
  const int n_classes = g->plan.n_classes, n_rows = n * n_classes;
  for (int row = 0; row < n_rows; row++) {
    g->fed[row] = slot == 0 ? model->tags.begin_of_image : tokens[row % n];
    g->rows[row] = row_of(g, row / n, first + row % n, slot);
  }
  if (slot == 0)
    dev->gather(dev, g->ws.x, model->text_embedding, g->fed, n_rows);
  else
    embed_codes(g, g->ws.x, g->fed, n_rows);
  if (!llama_forward(model, &g->ws, g->rows, n_rows, cancel))
    return false;
  dev->rms_norm(dev, g->hidden, g->ws.x, model->final_norm, n_rows, model->config.dim,
                model->config.norm_eps);
  return true;
}

int generation_max_refed(const Generation *g) {
  return g->ws.max_rows / g->plan.n_classes;
}

bool generation_refeed(Generation *g, int sample, const int32_t *tokens, int slot, int n,
                       const atomic_bool *cancel) {
  const int n_classes = g->plan.n_classes, n_rows = n * n_classes;
  for (int row = 0; row < n_rows; row++) {
    g->fed[row] = tokens[row % n];
    g->rows[row] = row_of(g, row / n, sample, slot + row % n);
  }
  embed_codes(g, g->ws.x, g->fed, n_rows);
  return llama_forward(g->model, &g->ws, g->rows, n_rows, cancel);
}

// The logits of one class, NULL where the plan has no such rows.
static const float *logits_of(const Generation *g, GenerationClass class, size_t n_values) {
  for (int i = 0; i < g->plan.n_classes; i++)
    if (g->plan.classes[i] == class)
      return g->logits + (size_t)i * n_values;
  return NULL;
}

const float *generation_logits(Generation *g, int n, double cfg, double image_cfg) {
  const JanusModel *model = g->model;
  jk_device *dev = model->device;
  const int n_rows = n * g->plan.n_classes;
  const size_t n_values = (size_t)n * (size_t)model->config.n_codes;
  dev->linear(dev, g->head, model->gen_head_proj, g->hidden, n_rows, false);
  dev->gelu(dev, g->head, g->head, (size_t)n_rows * (size_t)model->gen_head_dim);
  dev->linear(dev, g->logits, model->gen_head_vision, g->head, n_rows, false);
  if (g->plan.n_classes == 1)
    return g->logits;
  const float *full = g->logits, *uncond = logits_of(g, GENERATION_UNCOND, n_values);
  // Without an unconditional row cfg is 1, which reads none.
  dev->guide(dev, g->guided, full, logits_of(g, GENERATION_PART, n_values), uncond ? uncond : full,
             (float)cfg, (float)image_cfg, n_values);
  return g->guided;
}
