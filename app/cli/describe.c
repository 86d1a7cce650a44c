// SPDX-License-Identifier: MIT
// limner-cli describe: a picture and a question in, the answer on stdout as it is written.
#include "app/cli/common.h"
#include "app/cli/edit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_SEED ((1ull << 53) - 1)
#define USUAL_QUESTION "Describe this picture."
// What the original draws from, unless it takes the likeliest.
enum { TOP_K = 50, MAX_TOKENS = 1 << 20 };

typedef struct Options {
  CliCommon common;
  CliEdit edit; // --image alone
  const char *question;
  guint64 seed, max_tokens;
  double temperature, top_p;
} Options;

static int parse(Options *o, int argc, char **argv) {
  const CliOption options[] = {
      {"--image", CLI_TEXT, &o->edit.image, .argument = "FILE", .once = TRUE,
       .help = "the picture"},
      {"--question", CLI_TEXT, &o->question, .argument = "TEXT",
       .help = "what to say about it (\"" USUAL_QUESTION "\")"},
      {"--temperature", CLI_NUMBER, &o->temperature, 0, 1000, .argument = "X",
       .help = "variety; 0 = always the likeliest (0.1)"},
      {"--top-p", CLI_NUMBER, &o->top_p, 0, 1, .above_min = TRUE, .argument = "P",
       .help = "draw from the likeliest that reach P together (0.95)"},
      {"--seed", CLI_INTEGER, &o->seed, 0, (double)MAX_SEED, .argument = "S",
       .help = "the same seed gives the same answer (42)"},
      {"--max-tokens", CLI_INTEGER, &o->max_tokens, 1, MAX_TOKENS, .argument = "N",
       .help = "where an answer is cut off (512)"},
  };
  const CliCommand command = {
      .name = "describe",
      .usage = "--image FILE [OPTIONS]",
      .about = "Answers a question about a picture.",
      .options = options,
      .n_options = G_N_ELEMENTS(options),
      .common = &o->common,
  };
  return cli_parse(&command, argc, argv);
}

// --- while it runs -------------------------------------------------------------------------------

typedef struct Watch {
  const Options *options;
  JanusAnswer *answer;
  gsize n_shown;     // bytes of the answer
  gboolean has_line; // progress on the terminal
  gint64 lap_us;     // when the phase began
  double seconds[3]; // by phase
} Watch;

static void show_progress(Watch *watch, const JanusProgress *progress) {
  const gboolean is_shown = isatty(STDERR_FILENO) && progress->phase != JANUS_PHASE_DECODE;
  if (watch->has_line)
    fprintf(stderr, "\r\033[K");
  if (is_shown && progress->phase == JANUS_PHASE_LOOK)
    fprintf(stderr, "looking at the picture, %d of %d blocks", progress->n_done, progress->n_total);
  else if (is_shown)
    fprintf(stderr, "reading the question, %d of %d tokens", progress->n_done, progress->n_total);
  watch->has_line = is_shown;
}

// A model's words do not steer a terminal: control characters are shown as what is no character.
static void print_for_people(const char *text, gsize n_bytes) {
  for (gsize i = 0; i < n_bytes; i++) {
    const guchar c = (guchar)text[i];
    const gboolean is_c1 = c == 0xc2 && i + 1 < n_bytes && (guchar)text[i + 1] < 0xa0;
    if ((c < ' ' && c != '\n' && c != '\t') || c == 0x7f || is_c1)
      fputs("\ufffd", stdout);
    else
      putchar(c);
    i += is_c1;
  }
}

// What is new of the answer.
static void show_text(Watch *watch) {
  gsize n_bytes = 0;
  const char *text = janus_answer_get_text(watch->answer, &n_bytes);
  if (watch->options->common.json || n_bytes == watch->n_shown)
    return;
  if (isatty(STDOUT_FILENO))
    print_for_people(text + watch->n_shown, n_bytes - watch->n_shown);
  else
    fwrite(text + watch->n_shown, 1, n_bytes - watch->n_shown, stdout);
  fflush(stdout);
  watch->n_shown = n_bytes;
}

static bool on_progress(const JanusProgress *progress, void *user_data) {
  Watch *watch = user_data;
  const gint64 now = g_get_monotonic_time();
  watch->seconds[progress->phase] += (double)(now - watch->lap_us) / G_USEC_PER_SEC;
  watch->lap_us = now;
  show_progress(watch, progress);
  show_text(watch);
  return !ferror(stdout); // nobody reads any more
}

// --- the answer ----------------------------------------------------------------------------------

static void print_json(const Options *o, const JanusModelInfo *info, const JanusAnswer *answer) {
  int n_tokens = 0;
  gsize n_bytes = 0;
  const gint32 *tokens = janus_answer_get_tokens(answer, &n_tokens);
  const char *text = janus_answer_get_text(answer, &n_bytes);
  g_autofree char *model = cli_json_text(o->common.model), *device = cli_json_text(info->device);
  g_autofree char *question = cli_json_text(o->question);
  g_autofree char *said = g_strndup(text, n_bytes);
  for (gsize i = 0; i < n_bytes; i++) // a NUL would end the text
    said[i] = text[i] ? text[i] : ' ';
  g_autofree char *quoted = cli_json_text(said);
  printf("{\"seed\": %" G_GUINT64_FORMAT ", \"kind\": \"describe\", \"model\": %s, "
         "\"device\": %s, \"weights\": \"%s\", \"question\": %s, \"answer\": %s, "
         "\"whole\": %s, \"tokens\": [",
         o->seed, model, device, janus_weights_text(info->weights), question, quoted,
         janus_answer_is_whole(answer) ? "true" : "false");
  for (int i = 0; i < n_tokens; i++)
    printf("%s%d", i ? ", " : "", tokens[i]);
  printf("]}\n");
}

static void say_memory(const Options *o, const JanusModel *model) {
  const JanusMemory memory =
      janus_estimate_describing(model, (int)strlen(o->question) / 4 + 64, (int)o->max_tokens);
  g_autofree char *total = cli_bytes_text(memory.total_bytes);
  g_autofree char *weights = cli_bytes_text(memory.weights_bytes);
  g_autofree char *kv = cli_bytes_text(memory.kv_bytes);
  g_autofree char *work = cli_bytes_text(memory.activation_bytes);
  fprintf(stderr, "memory: about %s (weights %s, keys and values %s, activations %s)\n", total,
          weights, kv, work);
}

static void say_timings(const Watch *watch) {
  int n_tokens = 0;
  janus_answer_get_tokens(watch->answer, &n_tokens);
  fprintf(stderr, "time: looking %.2f s, question %.2f s, answer %.2f s (%d tokens)\n",
          watch->seconds[JANUS_PHASE_LOOK], watch->seconds[JANUS_PHASE_PREFILL],
          watch->seconds[JANUS_PHASE_DECODE], n_tokens);
}

static int answer(const Options *o, const JanusModelInfo *info, Watch *watch) {
  JanusError error = {0};
  const bool ok = janus_answer_run(watch->answer, on_progress, watch, &error);
  if (watch->has_line)
    fprintf(stderr, "\r\033[K");
  if (watch->n_shown > 0)
    printf("\n");
  if (!ok && error.code == JANUS_ERROR_CANCELLED)
    return CLI_FAILED; // cli_finish() says that nothing could be written
  if (!ok)
    return cli_fail_engine(&error);
  if (o->common.json)
    print_json(o, info, watch->answer);
  else if (watch->n_shown == 0)
    printf("\n");
  if (o->common.verbose)
    say_timings(watch);
  return CLI_DONE;
}

static int describe(const Options *o, JanusModel **place, LimnerInput *input) {
  const JanusImage image = cli_edit_image(&o->edit, input);
  const JanusQuestion question = {.image = &image,
                                  .text = o->question,
                                  .seed = o->seed,
                                  .temperature = o->temperature,
                                  .top_k = TOP_K,
                                  .top_p = o->top_p,
                                  .max_tokens = (int)o->max_tokens};
  JanusError error = {0};
  Watch watch = {.options = o, .lap_us = g_get_monotonic_time()};
  if (o->common.verbose)
    say_memory(o, *place);
  if (!cli_prepare_model(&o->common, place))
    return CLI_FAILED;
  JanusModel *model = *place;
  watch.answer = janus_answer_new(model, &question, &error);
  if (!watch.answer)
    return cli_fail_engine(&error);
  const int status = answer(o, janus_model_get_info(model), &watch);
  janus_answer_free(watch.answer);
  return status;
}

int cli_describe(int argc, char **argv) {
  Options o = {.common = CLI_COMMON_DEFAULT,
               .edit = CLI_EDIT_DEFAULT,
               .question = USUAL_QUESTION,
               .seed = 42,
               .max_tokens = 512,
               .temperature = 0.1,
               .top_p = 0.95};
  int status = parse(&o, argc, argv);
  if (status != CLI_GO_ON)
    return status;
  if (!o.edit.image)
    return cli_fail(CLI_USAGE, "describe: expected --image FILE, found no such option");
  cli_exit_on_interrupt();
  g_autoptr(LimnerInput) input = NULL;
  if (!cli_edit_load(&o.edit, &input))
    return CLI_FAILED;
  JanusModel *model = cli_open_model(&o.common, NULL);
  if (!model)
    return CLI_FAILED;
  status = describe(&o, &model, input);
  janus_model_free(model);
  return status;
}
