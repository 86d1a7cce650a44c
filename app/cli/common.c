// SPDX-License-Identifier: MIT
// What the subcommands share.
#include "app/cli/common.h"

#include "app/model-folder.h"
#include "app/model-open.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int cli_fail_engine(const JanusError *error) {
  return cli_fail(CLI_FAILED, "%s", error->message);
}

int cli_fail_error(const GError *error) {
  return cli_fail(CLI_FAILED, "%s", error->message);
}

// What AUTO took instead of f32 is said in any case: it decides what comes out.
static void say_model(const CliCommon *common, const JanusModelInfo *info) {
  g_autofree char *bytes = cli_bytes_text(info->weights_bytes);
  g_autofree char *memory = cli_bytes_text(info->total_bytes);
  const char *weights = janus_weights_text(info->weights);
  if (common->verbose) {
    fprintf(stderr, "model: %s (%s)\n", common->model, info->folder);
    fprintf(stderr, "device: %s: %s\n", info->device, info->device_name);
  }
  if (info->fallback)
    fprintf(stderr, "device: %s, for %s\n", info->device, info->fallback);
  if (info->weights_why)
    fprintf(stderr, "weights: %s, for %s; %s on disk\n", weights, info->weights_why, bytes);
  else if (info->weights_chosen && info->weights != JANUS_WEIGHTS_F32)
    fprintf(stderr, "weights: %s, chosen for %s of memory; %s on disk\n", weights, memory, bytes);
  else if (common->verbose)
    fprintf(stderr, "weights: %s, %s on disk\n", weights, bytes);
}

// What folders are called lives as long as this.
typedef struct Folders {
  char *model, *packed;
} Folders;

static void folders_clear(Folders *folders) {
  g_free(folders->model);
  g_free(folders->packed);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Folders, folders_clear)

static JanusModelOptions model_options(const CliCommon *common, Folders *folders) {
  folders->model = limner_model_folder_resolve(common->model);
  folders->packed = common->no_packed_cache ? NULL : limner_packed_folder_dup();
  return (JanusModelOptions){.folder = folders->model,
                             .device = common->device,
                             .weights = common->weights,
                             .n_threads = (int)common->n_threads,
                             .packed_folder = folders->packed,
                             .packed_least_bytes = LIMNER_PACKED_LEAST_BYTES};
}

JanusModel *cli_open_model(const CliCommon *common, const JanusModelInfo **info) {
  g_auto(Folders) folders = {NULL};
  const JanusModelOptions options = model_options(common, &folders);
  g_autoptr(GError) error = NULL;
  if (!limner_model_folder_check(folders.model, &error)) {
    cli_fail_error(error);
    return NULL;
  }
  JanusError engine_error = {0};
  JanusModel *model = janus_model_open(&options, &engine_error);
  if (!model) {
    cli_fail_engine(&engine_error);
    return NULL;
  }
  say_model(common, janus_model_get_info(model));
  if (info)
    *info = janus_model_get_info(model);
  return model;
}

typedef struct Preparing {
  gint64 begin_us;
  gboolean is_shown;
} Preparing;

// Says nothing of what takes less than a moment.
static bool on_preparing(size_t n_done, size_t n_total, void *user_data) {
  Preparing *preparing = user_data;
  if (!isatty(STDERR_FILENO) || g_get_monotonic_time() - preparing->begin_us < G_USEC_PER_SEC / 2)
    return true;
  fprintf(stderr, "\r\033[Kpacking weights, %d %%",
          (int)(100.0 * (double)n_done / (double)n_total));
  preparing->is_shown = TRUE;
  return true;
}

gboolean cli_prepare_model(const CliCommon *common, JanusModel **model) {
  g_auto(Folders) folders = {NULL};
  const JanusModelOptions options = model_options(common, &folders);
  const gboolean was_on_card = limner_model_is_on_card(*model);
  Preparing preparing = {.begin_us = g_get_monotonic_time()};
  JanusError error = {0};
  const bool ok = janus_model_settle(model, &options, on_preparing, &preparing, &error);
  const double seconds = (double)(g_get_monotonic_time() - preparing.begin_us) / G_USEC_PER_SEC;
  if (preparing.is_shown)
    fprintf(stderr, "\r\033[K");
  if (ok && was_on_card && !limner_model_is_on_card(*model))
    say_model(common, janus_model_get_info(*model));
  if (!ok)
    cli_fail_engine(&error);
  else if (common->verbose)
    fprintf(stderr, "time: weights %.2f s\n", seconds);
  return ok;
}

// A file is written beside its place under a name that is seven bytes longer.
static gboolean is_name_too_long(const char *folder, const char *path) {
  g_autofree char *name = g_path_get_basename(path);
  const long most = pathconf(folder, _PC_NAME_MAX);
  return most > 0 && strlen(name) + 7 > (gsize)most;
}

gboolean cli_can_write(const char *option, const char *path) {
  g_autofree char *folder = g_path_get_dirname(path);
  const char *found = NULL;
  if (g_file_test(path, G_FILE_TEST_IS_DIR))
    found = "a folder of that name";
  else if (!g_file_test(folder, G_FILE_TEST_IS_DIR))
    found =
        g_file_test(folder, G_FILE_TEST_EXISTS) ? "a file instead of the folder" : "no such folder";
  else if (is_name_too_long(folder, path))
    found = "a name that is too long";
  else if (g_access(folder, W_OK | X_OK) != 0)
    found = "a folder that cannot be written to";
  if (found)
    cli_fail(CLI_FAILED, "%s %s: expected a file in a folder that can be written to, found %s",
             option, path, found);
  return found == NULL;
}

gboolean cli_can_write_picture(const char *option, const char *path) {
  if (!cli_can_write(option, path))
    return FALSE;
  const gboolean is_free =
      !g_file_test(path, G_FILE_TEST_EXISTS) || g_file_test(path, G_FILE_TEST_IS_REGULAR);
  if (!is_free)
    cli_fail(CLI_FAILED, "%s %s: expected a file to write the picture to, found something else",
             option, path);
  return is_free;
}

char *cli_json_text(const char *text) {
  if (!text)
    return g_strdup("null");
  g_autofree char *valid = g_utf8_make_valid(text, -1);
  GString *quoted = g_string_new("\"");
  for (const char *c = valid; *c; c++) {
    if (*c == '"' || *c == '\\')
      g_string_append_printf(quoted, "\\%c", *c);
    else if ((guchar)*c < ' ' || *c == 0x7f)
      g_string_append_printf(quoted, "\\u%04x", (guint)(guchar)*c);
    else
      g_string_append_c(quoted, *c);
  }
  g_string_append_c(quoted, '"');
  return g_string_free(quoted, FALSE);
}

char *cli_json_number(double number) {
  char text[G_ASCII_DTOSTR_BUF_SIZE];
  return g_strdup(g_ascii_formatd(text, sizeof text, "%.15g", number));
}

char *cli_bytes_text(gsize n_bytes) {
  const gboolean is_large = n_bytes >= 1000000000;
  char text[G_ASCII_DTOSTR_BUF_SIZE];
  g_ascii_formatd(text, sizeof text, "%.1f", (double)n_bytes / (is_large ? 1e9 : 1e6));
  return g_strconcat(text, is_large ? " GB" : " MB", NULL);
}

static void say_nothing(const char *domain, GLogLevelFlags level, const char *message,
                        gpointer data) {}

GLogFunc cli_hush_loaders(void) {
  return g_log_set_default_handler(say_nothing, NULL);
}

LimnerInput *cli_load_input(const char *path, GError **error) {
  const GLogFunc before = cli_hush_loaders();
  LimnerInput *input = limner_input_load(path, error);
  g_log_set_default_handler(before, NULL);
  return input;
}

void cli_print_tokens(const gint32 *tokens, gsize n_tokens) {
  printf("{\"tokens\": [");
  for (gsize i = 0; i < n_tokens; i++)
    printf("%s%d", i ? ", " : "", tokens[i]);
  printf("]}\n");
}

void cli_print_file(const CliCommon *common, const char *path) {
  g_autofree char *quoted = cli_json_text(path);
  if (common->json)
    printf("{\"file\": %s}\n", quoted);
  else
    printf("%s\n", path);
}

int cli_finish(int status) {
  if (fflush(stdout) == 0 && !ferror(stdout))
    return status;
  return cli_fail(status == CLI_DONE ? CLI_FAILED : status, "standard output: cannot be written");
}

static void on_interrupt(int signal_number) {
  _exit(CLI_INTERRUPTED);
}

void cli_exit_on_interrupt(void) {
  struct sigaction action = {.sa_handler = on_interrupt};
  sigaction(SIGINT, &action, NULL);
}

static gpointer wait_for_interrupt(gpointer data) {
  g_autofree char *path = data;
  sigset_t interrupts;
  int signal_number = 0;
  sigemptyset(&interrupts);
  sigaddset(&interrupts, SIGINT);
  while (sigwait(&interrupts, &signal_number) != 0)
    continue;
  g_unlink(path);
  _exit(CLI_INTERRUPTED);
}

void cli_exit_on_interrupt_without(const char *path) {
  sigset_t interrupts;
  sigemptyset(&interrupts);
  sigaddset(&interrupts, SIGINT);
  pthread_sigmask(SIG_BLOCK, &interrupts, NULL); // here, and in every thread made later
  g_thread_unref(g_thread_new("interrupt", wait_for_interrupt, g_strdup(path)));
}

gboolean cli_save_picture(LimnerPicture *picture, const char *path, GError **error) {
  signal(SIGINT, SIG_IGN); // for all threads, while a temporary file may lie there
  const gboolean ok = limner_picture_save_png(picture, path, error);
  cli_exit_on_interrupt();
  return ok;
}
