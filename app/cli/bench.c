// SPDX-License-Identifier: MIT
// limner-cli bench: the speed of a model, or of random weights of a real one's dimensions.
#include "app/cli/bench.h"

#include "app/cli/common.h"

#include <string.h>
#include <sys/resource.h>

// As long as the prompts that people write: 40 positions where a byte is a token.
#define BENCH_PROMPT "A lighthouse at dusk, oil paint"

enum { DEFAULT_STEPS = 50, MAX_STEPS = 4095 };

typedef struct Options {
  CliCommon common;
  const char *synthetic, *samples, *prompt, *tokens_out;
  guint64 n_layers, n_steps, first_token, seed;
  gboolean has_first_token, is_edit, steps_only;
  double patience_s;
  int sizes[CLI_BENCH_MAX_SIZES];
  int n_sizes;
} Options;

// --- the command line ----------------------------------------------------------------------------

static int parse(Options *o, int argc, char **argv) {
  const CliOption options[] = {
      {"--synthetic", CLI_CHOICE, &o->synthetic, .argument = "janus-pro-1b|janus-pro-7b",
       .choices = "janus-pro-1b|janus-pro-7b",
       .help = "random weights of these dimensions instead of --model"},
      {"--layers", CLI_INTEGER, &o->n_layers, 1, 1000, .argument = "N",
       .help = "the language model's first layers only"},
      {"--samples", CLI_TEXT, &o->samples, .argument = "LIST",
       .help = "how many pictures at once, one after the other (1,4,8)"},
      {"--steps", CLI_INTEGER, &o->n_steps, 1, MAX_STEPS, .argument = "N",
       .help = "steps to measure (50, or what the picture has)"},
      {"--from", CLI_INTEGER, &o->first_token, 0, MAX_STEPS, .argument = "TOKEN",
       .is_given = &o->has_first_token,
       .help = "the first step's place in the picture; random tokens before it (in the middle)"},
      {"--edit", CLI_FLAG, &o->is_edit, .help = "measure the change of a picture"},
      {"--prompt", CLI_TEXT, &o->prompt, .argument = "TEXT", .help = "what to paint"},
      {"--seed", CLI_INTEGER, &o->seed, 0, 9007199254740991, .argument = "S",
       .help = "of the noise (0)"},
      {"--patience", CLI_NUMBER, &o->patience_s, 0, 3600, .argument = "SECONDS",
       .help = "more steps for so long, while the stream is not steady (20)"},
      {"--steps-only", CLI_FLAG, &o->steps_only, .help = "leave out the VQ model and SigLIP"},
      {"--tokens-out", CLI_TEXT, &o->tokens_out, .argument = "FILE.json",
       .help = "write the last run's tokens"},
  };
  const CliCommand command = {
      .name = "bench",
      .usage = "[OPTIONS]",
      .about =
          "Measures decode steps beside the memory bandwidth and the arithmetic of the device.",
      .options = options,
      .n_options = G_N_ELEMENTS(options),
      .common = &o->common,
  };
  return cli_parse(&command, argc, argv);
}

static int parse_sizes(Options *o) {
  g_auto(GStrv) words = g_strsplit(o->samples, ",", -1);
  for (char **word = words; *word; word++) {
    guint64 n = 0;
    if (o->n_sizes == CLI_BENCH_MAX_SIZES ||
        !g_ascii_string_to_unsigned(*word, 10, 1, 4096, &n, NULL))
      return cli_fail(CLI_USAGE,
                      "--samples: expected up to %d whole numbers from 1 to 4096 with commas "
                      "between, found \"%s\"",
                      CLI_BENCH_MAX_SIZES, o->samples);
    o->sizes[o->n_sizes++] = (int)n;
  }
  return CLI_GO_ON;
}

// --- the model -----------------------------------------------------------------------------------

static JanusModel *open_synthetic(const Options *o) {
  const JanusModelOptions options = {.synthetic = o->synthetic,
                                     .max_layers = (int)o->n_layers,
                                     .device = o->common.device,
                                     .weights = o->common.weights,
                                     .n_threads = (int)o->common.n_threads};
  JanusError error = {0};
  JanusModel *model = janus_model_open(&options, &error);
  if (!model)
    cli_fail_engine(&error);
  return model;
}

// --- a run ---------------------------------------------------------------------------------------

typedef struct Bench {
  const Options *options;
  JanusModel *model;
  JanusBench *bench;
  const JanusModelInfo *info;
  CliBenchReport report;
  int n_known, n_steps;
  guint8 *picture;      // of an edit
  gint32 *known, *done; // of the largest run
} Bench;

static guint32 next_random(guint32 *state) { // Numerical Recipes' LCG
  *state = *state * 1664525u + 1013904223u;
  return *state >> 8;
}

static int most_samples(const Options *o) {
  int most = 0;
  for (int i = 0; i < o->n_sizes; i++)
    most = MAX(most, o->sizes[i]);
  return most;
}

static void make_inputs(Bench *b) {
  const gsize size = (gsize)b->info->image_size_px;
  const gsize n = (gsize)most_samples(b->options) * (gsize)b->info->n_image_tokens;
  guint32 state = 1;
  b->known = g_new0(gint32, n);
  b->done = g_new0(gint32, n);
  for (gsize i = 0; i < n; i++)
    b->known[i] = (gint32)(next_random(&state) % (guint32)b->info->n_codes);
  b->picture = g_malloc(size * size * 3);
  for (gsize i = 0; i < size * size * 3; i++)
    b->picture[i] = (guint8)next_random(&state);
}

// Where the steps lie in the picture: around its middle, where the context is a whole picture's
// mean.
static int place_steps(Bench *b) {
  const Options *o = b->options;
  const int n_tokens = b->info->n_image_tokens;
  const int n_first = o->has_first_token ? (int)o->first_token : 0;
  const int n_most = n_tokens - 1 - n_first; // behind one that is not measured
  const int n_wanted = o->n_steps ? (int)o->n_steps : DEFAULT_STEPS;
  if (n_most < 1 || (o->n_steps && n_wanted > n_most))
    return cli_fail(CLI_USAGE,
                    "--steps and --from: expected at most %d steps in a picture of %d tokens, "
                    "found %d from token %d",
                    MAX(n_most, 0), n_tokens, n_wanted, n_first);
  b->n_steps = MIN(n_wanted, n_most);
  b->n_known = o->has_first_token ? n_first : (n_tokens - 1 - b->n_steps) / 2;
  return CLI_GO_ON;
}

static int measure_size(Bench *b, int n_samples) {
  const Options *o = b->options;
  const JanusImage image = {
      .rgb = b->picture, .width_px = b->info->image_size_px, .height_px = b->info->image_size_px};
  const JanusRequest request = {.prompt = o->prompt,
                                .image = o->is_edit ? &image : NULL,
                                .n_samples = n_samples,
                                .known_tokens = b->n_known ? b->known : NULL,
                                .n_known = b->n_known,
                                .seed = o->seed,
                                .cfg = b->info->defaults.cfg,
                                .image_cfg = b->info->defaults.image_cfg,
                                .temperature = b->info->defaults.temperature,
                                .top_p = 1};
  const JanusBenchPlan plan = {
      .request = &request, .n_steps = b->n_steps, .patience_s = o->patience_s};
  CliBenchSize *size = &b->report.sizes[b->report.n_sizes++];
  JanusError error = {0};
  int n_tokens = 0;
  size->n_samples = n_samples;
  if (!janus_bench_decode(b->bench, &plan, &size->result, b->done, &n_tokens, &error))
    return cli_fail_engine(&error);
  if (!o->tokens_out)
    return CLI_DONE;
  g_autofree const gint32 **tokens = g_new0(const gint32 *, (gsize)n_samples);
  g_autofree int *counts = g_new0(int, (gsize)n_samples);
  for (int i = 0; i < n_samples; i++) {
    tokens[i] = b->done + (gsize)i * (gsize)b->info->n_image_tokens;
    counts[i] = n_tokens;
  }
  if (!janus_tokens_save(o->tokens_out, tokens, counts, n_samples, &error))
    return cli_fail_engine(&error);
  return CLI_DONE;
}

static guint64 peak_bytes(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (guint64)usage.ru_maxrss * 1024;
}

static int measure_all(Bench *b) {
  CliBenchReport *report = &b->report;
  int status = CLI_DONE;
  report->stream_before = janus_bench_stream(b->bench);
  for (int i = 0; i < b->options->n_sizes && status == CLI_DONE; i++)
    status = measure_size(b, b->options->sizes[i]);
  JanusError error = {0};
  if (status == CLI_DONE && !b->options->steps_only &&
      !janus_bench_phases(b->bench, TRUE, &report->phases, &error))
    status = cli_fail_engine(&error);
  report->stream_after = janus_bench_stream(b->bench);
  report->limits = *janus_bench_get_limits(b->bench);
  return status;
}

// The most that the process had, without the memory that the stream is read from.
static void fill_memory(Bench *b, guint64 peak_before) {
  CliBenchReport *report = &b->report;
  const guint64 peak = peak_bytes(), stream = report->limits.stream_bytes;
  report->peak_bytes = MAX(peak_before, peak > stream ? peak - stream : 0);
  report->predicted_bytes =
      janus_estimate_memory(b->model, most_samples(b->options),
                            report->sizes[0].result.n_context - b->n_known, b->options->is_edit)
          .total_bytes;
}

static int measure(Bench *b) {
  JanusError error = {0};
  const guint64 peak_before = peak_bytes();
  int status = place_steps(b);
  if (status != CLI_GO_ON)
    return status;
  b->bench = janus_bench_new(b->model, &error);
  if (!b->bench)
    return cli_fail_engine(&error);
  make_inputs(b);
  b->report.n_prompt_known = b->n_known;
  status = measure_all(b);
  fill_memory(b, peak_before);
  if (status == CLI_DONE && b->options->common.json)
    cli_bench_print_json(&b->report);
  else if (status == CLI_DONE)
    cli_bench_print_text(&b->report);
  janus_bench_free(b->bench);
  g_free(b->known);
  g_free(b->done);
  g_free(b->picture);
  return status;
}

int cli_bench(int argc, char **argv) {
  Options o = {
      .common = CLI_COMMON_DEFAULT, .samples = "1,4,8", .prompt = BENCH_PROMPT, .patience_s = 20};
  int status = parse(&o, argc, argv);
  if (status == CLI_GO_ON)
    status = parse_sizes(&o);
  if (status != CLI_GO_ON)
    return status;
  if (o.tokens_out && !cli_can_write("--tokens-out", o.tokens_out))
    return CLI_FAILED;
  cli_exit_on_interrupt();
  Bench b = {.options = &o};
  const gint64 begin_us = g_get_monotonic_time();
  b.model = o.synthetic ? open_synthetic(&o) : cli_open_model(&o.common, NULL);
  if (!b.model)
    return CLI_FAILED;
  JanusError error = {0};
  if (!janus_model_prepare(b.model, NULL, NULL, &error)) {
    janus_model_free(b.model);
    return cli_fail_engine(&error);
  }
  b.info = janus_model_get_info(b.model);
  b.report = (CliBenchReport){.model = o.synthetic ? o.synthetic : o.common.model,
                              .info = b.info,
                              .is_edit = o.is_edit,
                              .open_s = (double)(g_get_monotonic_time() - begin_us) * 1e-6,
                              .phases = {-1, -1, -1}};
  status = measure(&b);
  janus_model_free(b.model);
  return status;
}
