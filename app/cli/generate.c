// SPDX-License-Identifier: MIT
// limner-cli generate: a prompt in, PNG files out.
#include "app/cli/common.h"
#include "app/cli/edit.h"
#include "app/cli/output.h"
#include "app/cli/watch.h"
#include "app/model-open.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SEED ((1ull << 53) - 1)
enum { MAX_SAMPLES = 4096 };

typedef struct Options {
  CliCommon common;
  const char *prompt, *out, *tokens_out;
  guint64 n_samples, seed, top_k;
  double cfg, temperature, top_p; // NAN: the model's default
  gboolean has_seed;
  CliEdit edit;
} Options;

static int parse(Options *o, int argc, char **argv) {
  const CliOption options[] = {
      {"--prompt", CLI_TEXT, &o->prompt, .argument = "TEXT",
       .help = "what to paint, or what to change in --image"},
      {"--samples", CLI_INTEGER, &o->n_samples, 1, MAX_SAMPLES, .argument = "N",
       .help = "how many pictures (1)"},
      {"--seed", CLI_INTEGER, &o->seed, 0, (double)MAX_SEED, .argument = "S",
       .help = "the same seed gives the same pictures (random)", .is_given = &o->has_seed},
      {"--cfg", CLI_NUMBER, &o->cfg, 0, 1000, .argument = "X",
       .help = "how closely to follow the prompt (the model's, else 5)"},
      {"--temperature", CLI_NUMBER, &o->temperature, 0, 1000, .argument = "X",
       .help = "variety; 0 = always the likeliest (the model's, else 1)"},
      {"--top-k", CLI_INTEGER, &o->top_k, 0, G_MAXINT32, .argument = "K",
       .help = "draw from the K likeliest; 0 = all (0)"},
      {"--top-p", CLI_NUMBER, &o->top_p, 0, 1, .above_min = TRUE, .argument = "P",
       .help = "draw from the likeliest that reach P together (1)"},
      {"--out", CLI_TEXT, &o->out, .argument = "FILE.png|DIR",
       .help = "where to write (the current folder)"},
      {"--tokens-out", CLI_TEXT, &o->tokens_out, .argument = "FILE.json",
       .help = "write the pictures' tokens too"},
      CLI_EDIT_IMAGE(&o->edit),
      CLI_EDIT_IMAGE_CFG(&o->edit),
      CLI_EDIT_FIT(&o->edit),
      CLI_EDIT_OWN_TOKENS(&o->edit),
  };
  const CliCommand command = {
      .name = "generate",
      .usage = "--prompt TEXT [OPTIONS]",
      .about = "Paints pictures from a prompt, or changes one as it says; prints the PNG files' "
               "paths.",
      .options = options,
      .n_options = G_N_ELEMENTS(options),
      .common = &o->common,
  };
  return cli_parse(&command, argc, argv);
}

static int check(const Options *o) {
  if (!o->prompt)
    return cli_fail(CLI_USAGE, "--prompt: expected a text to paint, found no such option");
  const int status = cli_edit_check(&o->edit, o->prompt);
  if (status != CLI_GO_ON)
    return status;
  if (o->tokens_out && !cli_can_write("--tokens-out", o->tokens_out))
    return CLI_FAILED;
  return CLI_GO_ON;
}

static LimnerRequest request_from(const Options *o, LimnerInput *input,
                                  const JanusDefaults *defaults) {
  return (LimnerRequest){
      .prompt = (char *)o->prompt,
      .input = input,
      .fit = cli_edit_get_fit(&o->edit),
      .uses_input_tokens = o->edit.own_tokens,
      .n_samples = (int)o->n_samples,
      .seed = o->seed,
      .cfg = isnan(o->cfg) ? defaults->cfg : o->cfg,
      .image_cfg = isnan(o->edit.image_cfg) ? defaults->image_cfg : o->edit.image_cfg,
      .temperature = isnan(o->temperature) ? defaults->temperature : o->temperature,
      .top_k = (int)o->top_k,
      .top_p = o->top_p};
}

// --- results -------------------------------------------------------------------------------------

static LimnerSample *dup_sample(LimnerJob *job, int index) {
  return g_list_model_get_item(limner_job_get_samples(job), (guint)index);
}

static int save_tokens(const Options *o, LimnerJob *job) {
  const int n = (int)o->n_samples;
  g_autofree const gint32 **tokens = g_new0(const gint32 *, (gsize)n);
  g_autofree int *n_tokens = g_new0(int, (gsize)n);
  const gint32 none = 0;
  for (int i = 0; i < n; i++) {
    g_autoptr(LimnerSample) sample = dup_sample(job, i); // the job keeps it
    tokens[i] = limner_sample_get_tokens(sample, &n_tokens[i]);
    tokens[i] = tokens[i] ? tokens[i] : &none;
  }
  JanusError error = {0};
  if (!janus_tokens_save(o->tokens_out, tokens, n_tokens, n, &error))
    return cli_fail_engine(&error);
  return CLI_DONE;
}

// Stops between two files when interrupted: none is left half written.
static int save_pictures(const CliOutput *output, CliInterrupt *interrupt, GPtrArray *paths) {
  for (int i = 0; i < output->n_samples; i++) {
    if (cli_interrupt_seen(interrupt))
      return CLI_INTERRUPTED;
    g_autoptr(LimnerSample) sample = dup_sample(interrupt->job, i);
    g_autoptr(GError) error = NULL;
    char *path = cli_output_save(output, limner_sample_get_picture(sample), i, &error);
    if (!path)
      return cli_fail_error(error);
    g_ptr_array_add(paths, path);
  }
  return CLI_DONE;
}

static void print_json(const Options *o, const JanusModelInfo *info, GPtrArray *paths) {
  g_autofree char *model = cli_json_text(o->common.model);
  g_autofree char *device = cli_json_text(info->device);
  printf("{\"seed\": %" G_GUINT64_FORMAT ", \"kind\": \"%s\", \"model\": %s, "
         "\"device\": %s, \"weights\": \"%s\", \"samples\": [",
         o->seed, o->edit.image ? "edit" : "text-to-image", model, device,
         janus_weights_text(info->weights));
  for (guint i = 0; i < paths->len; i++) {
    g_autofree char *path = cli_json_text(paths->pdata[i]);
    printf("%s{\"index\": %u, \"file\": %s}", i ? ", " : "", i, path);
  }
  printf("]}\n");
}

static void print_paths(GPtrArray *paths) {
  for (guint i = 0; i < paths->len; i++)
    printf("%s\n", (const char *)paths->pdata[i]);
}

// What came of the job: files, and the lines about them.
static int conclude(const Options *o, const CliOutput *output, const JanusModelInfo *info,
                    CliInterrupt *interrupt) {
  LimnerJob *job = interrupt->job;
  const LimnerJobState state = limner_job_get_state(job);
  if (state == LIMNER_JOB_FAILED)
    return cli_fail_error(limner_job_get_error(job));
  g_autoptr(GPtrArray) paths = g_ptr_array_new_with_free_func(g_free);
  int status = o->tokens_out ? save_tokens(o, job) : CLI_DONE;
  if (state == LIMNER_JOB_CANCELLED)
    return status == CLI_DONE ? CLI_INTERRUPTED : status;
  if (status == CLI_DONE)
    status = save_pictures(output, interrupt, paths);
  if (o->common.json && status == CLI_DONE)
    print_json(o, info, paths);
  else if (!o->common.json)
    print_paths(paths);
  return status;
}

// --- the subcommand ------------------------------------------------------------------------------

static void say_memory(const Options *o, JanusModel *model) {
  int32_t *ids = NULL;
  size_t n_ids = 0;
  JanusError error = {0};
  if (!janus_tokenizer_encode(janus_model_get_tokenizer(model), o->prompt, strlen(o->prompt),
                              JANUS_TOKENIZE_PLAIN_SPECIAL | JANUS_TOKENIZE_BOS, &ids, &n_ids,
                              &error))
    return;
  free(ids);
  const JanusMemory memory =
      janus_estimate_memory(model, (int)o->n_samples, (int)n_ids + 8, o->edit.image != NULL);
  g_autofree char *total = cli_bytes_text(memory.total_bytes);
  g_autofree char *weights = cli_bytes_text(memory.weights_bytes);
  g_autofree char *kv = cli_bytes_text(memory.kv_bytes);
  g_autofree char *work = cli_bytes_text(memory.activation_bytes);
  fprintf(stderr, "memory: %s (weights %s, keys and values %s, activations %s)\n", total, weights,
          kv, work);
  fprintf(stderr, "seed: %" G_GUINT64_FORMAT "\n", o->seed);
}

// Whether "auto" took a card that failed in the middle of the job; then says so.
static gboolean is_for_cpu(const Options *o, const JanusModel *model, LimnerJob *job) {
  const GError *error = limner_job_get_error(job);
  if (!error || !limner_model_is_on_card(model) || !g_str_equal(o->common.device, "auto") ||
      !limner_engine_error_is_of_device(error))
    return FALSE;
  g_autofree char *sentence = limner_engine_error_dup_sentence(error);
  fprintf(stderr, "device: cpu, for %s\n", sentence);
  return TRUE;
}

static int generate(const Options *o, LimnerInput *input, const CliOutput *output);

// With the model, which it takes.
static int paint(const Options *o, LimnerInput *input, const CliOutput *output, JanusModel *model) {
  const JanusModelInfo *info = janus_model_get_info(model);
  const LimnerRequest request = request_from(o, input, &info->defaults);
  g_autoptr(LimnerJob) job = limner_job_new(&request);
  limner_job_set_shows_growth(job, FALSE); // nobody is looking
  CliInterrupt interrupt;
  cli_interrupt_begin(&interrupt, job);
  cli_watch_job(job, model, o->common.verbose);
  const gboolean goes_on = is_for_cpu(o, model, job);
  const int status = goes_on ? CLI_GO_ON : conclude(o, output, info, &interrupt);
  cli_interrupt_end(&interrupt);
  janus_model_free(model);
  if (!goes_on)
    return status;
  Options on_cpu = *o;
  on_cpu.common.device = "cpu";
  return generate(&on_cpu, input, output);
}

static int generate(const Options *o, LimnerInput *input, const CliOutput *output) {
  JanusModel *model = cli_open_model(&o->common, NULL);
  if (!model)
    return CLI_FAILED;
  if (o->common.verbose)
    say_memory(o, model);
  if (cli_prepare_model(&o->common, &model))
    return paint(o, input, output, model);
  janus_model_free(model);
  return CLI_FAILED;
}

int cli_generate(int argc, char **argv) {
  Options o = {.common = CLI_COMMON_DEFAULT, .n_samples = 1, .edit = CLI_EDIT_DEFAULT};
  o.cfg = o.temperature = NAN;
  o.top_p = 1;
  int status = parse(&o, argc, argv);
  if (status == CLI_GO_ON)
    status = check(&o);
  if (status != CLI_GO_ON)
    return status;
  if (!o.has_seed)
    o.seed = limner_random_seed();
  cli_exit_on_interrupt();
  g_autoptr(LimnerInput) input = NULL;
  if (!cli_edit_load(&o.edit, &input))
    return CLI_FAILED;
  CliOutput output;
  const gboolean can_write = cli_output_init(&output, o.out, (int)o.n_samples, o.seed);
  status = can_write ? generate(&o, input, &output) : CLI_FAILED;
  cli_output_clear(&output);
  return status;
}
