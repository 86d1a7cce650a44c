// SPDX-License-Identifier: MIT
// limner-cli info: what a model is and needs.
#include "app/cli/common.h"

#include "app/model-open.h"

#include <stdio.h>

// Lengths for the estimates.
enum { TYPICAL_PROMPT_TOKENS = 64, LONGEST_ANSWER_TOKENS = 512 };
enum { MOST_DEVICES = 16 };

static const JanusWeights formats[] = {JANUS_WEIGHTS_F32, JANUS_WEIGHTS_BF16, JANUS_WEIGHTS_Q8,
                                       JANUS_WEIGHTS_Q4, JANUS_WEIGHTS_FP8};

static JanusMemory estimate(const JanusModel *model, JanusWeights weights, bool is_edit) {
  return janus_estimate_memory_in(model, weights, 1, TYPICAL_PROMPT_TOKENS, is_edit);
}

// --- a model, for people -------------------------------------------------------------------------

// What the device has free, or on a machine all there is, from which the system makes room.
static guint64 find_room(const JanusModel *model) {
  uint64_t total_bytes = 0, free_bytes = 0;
  janus_model_measure_memory(model, &total_bytes, &free_bytes);
  return limner_model_is_on_card(model) ? free_bytes : total_bytes;
}

// Said of what does not fit.
static const char *fitting(guint64 room, const JanusMemory *memory, const JanusMemory *edit) {
  if (room == 0 || edit->total_bytes <= room)
    return "";
  return memory->total_bytes <= room ? "; too much to change pictures" : "; too much";
}

// One line a format. What the device does not have needs nothing.
static void print_memory(const JanusModel *model) {
  const JanusModelInfo *info = janus_model_get_info(model);
  const guint64 room = find_room(model);
  for (gsize i = 0; i < G_N_ELEMENTS(formats); i++) {
    const char *name = janus_weights_text(formats[i]);
    if (!janus_model_has_format(model, formats[i])) {
      printf("memory %s: not on this device\n", name);
      continue;
    }
    const JanusMemory memory = estimate(model, formats[i], false);
    const JanusMemory edit = estimate(model, formats[i], true);
    g_autofree char *total = cli_bytes_text(memory.total_bytes);
    g_autofree char *weights = cli_bytes_text(memory.weights_bytes);
    g_autofree char *kv = cli_bytes_text(memory.kv_bytes);
    g_autofree char *work = cli_bytes_text(memory.activation_bytes);
    g_autofree char *edit_total = cli_bytes_text(edit.total_bytes);
    printf("memory %s: %s for one picture (weights %s, keys and values %s, activations %s), %s to "
           "change one%s%s\n",
           name, total, weights, kv, work, edit_total, fitting(room, &memory, &edit),
           formats[i] != info->weights ? ""
           : info->weights_chosen      ? "; chosen by auto"
                                       : "; chosen");
  }
}

static void print_packed(const JanusModel *model) {
  JanusPackedCopy copy;
  if (!janus_model_find_packed(model, &copy))
    return;
  g_autofree char *bytes = cli_bytes_text(copy.n_bytes);
  printf("packed copy: %s, %s%s\n", copy.path, bytes,
         copy.is_there ? " (may be deleted)" : " (made by the first run)");
}

static void print_describing(const JanusModelInfo *info, const JanusMemory *memory) {
  g_autofree char *total = cli_bytes_text(memory->total_bytes);
  if (info->describes)
    printf("describing: %s in %s\n", total, janus_weights_text(info->weights));
  else
    printf("describing: not with this model\n");
}

static void print_picture_cache(const JanusModelInfo *info) {
  g_autofree char *most = cli_bytes_text(info->picture_cache_bytes);
  printf("between edits: what was computed of their pictures, up to %s\n", most);
}

// All there are; what paints is told in its own words. A card's trouble shows when it is opened.
static void print_devices(const JanusModelInfo *info) {
  JanusDevice devices[MOST_DEVICES];
  JanusError error = {0};
  const int n = janus_devices_list(devices, MOST_DEVICES, &error);
  for (int i = 0; i < n; i++) {
    const gboolean is_used = g_str_equal(devices[i].name, info->device);
    g_autofree char *memory = cli_bytes_text(devices[i].total_bytes);
    printf("device %s: %s, %s of memory%s\n", devices[i].name,
           is_used ? info->device_name : devices[i].label, memory, is_used ? "; in use" : "");
  }
  if (error.code != JANUS_ERROR_NONE)
    printf("cards: none, for %s\n", error.message);
}

// Why this device and these weights, where there was something to decide.
static void print_choice(const JanusModel *model) {
  const JanusModelInfo *info = janus_model_get_info(model);
  if (info->fallback)
    printf("device chosen: %s, for %s\n", info->device, info->fallback);
  if (info->weights_why)
    printf("weights chosen: %s, for %s\n", janus_weights_text(info->weights), info->weights_why);
}

static void print_model(const CliCommon *common, const JanusModel *model,
                        const JanusMemory *describing) {
  const JanusModelInfo *info = janus_model_get_info(model);
  g_autofree char *bytes = cli_bytes_text(info->weights_bytes);
  g_autofree char *cfg = cli_json_number(info->defaults.cfg);
  g_autofree char *image_cfg = cli_json_number(info->defaults.image_cfg);
  g_autofree char *temperature = cli_json_number(info->defaults.temperature);
  printf("model: %s (%s)\n", common->model, info->name);
  printf("folder: %s\n", info->folder);
  printf("files: %s, in the layout of the %s\n",
         g_str_equal(info->file_kind, "pytorch") ? "PyTorch .bin" : "safetensors",
         g_str_equal(info->layout, "original") ? "original code" : "transformers port");
  printf("parameters: %" G_GINT64_FORMAT ", %s on disk\n", (gint64)info->n_parameters, bytes);
  printf("picture: %d x %d px, %d x %d tokens, %d codes\n", info->image_size_px,
         info->image_size_px, info->grid, info->grid, info->n_codes);
  printf("language model: %d layers, width %d, %d heads (%d for keys and values) of %d, hidden %d, "
         "vocabulary %d, %d positions\n",
         info->n_layers, info->dim, info->n_heads, info->n_kv_heads, info->head_dim,
         info->hidden_dim, info->vocab, info->max_positions);
  printf("defaults: cfg %s, image-cfg %s, temperature %s\n", cfg, image_cfg, temperature);
  print_devices(info);
  print_choice(model);
  print_memory(model);
  print_describing(info, describing);
  print_picture_cache(info);
  print_packed(model);
}

// --- a model, for programs -----------------------------------------------------------------------

static void print_memory_json(const JanusModel *model, JanusWeights weights) {
  if (!janus_model_has_format(model, weights)) {
    printf("null");
    return;
  }
  const JanusMemory memory = estimate(model, weights, false);
  printf("{\"total_bytes\": %zu, \"weights_bytes\": %zu, \"kv_bytes\": %zu, "
         "\"activation_bytes\": %zu, \"edit_total_bytes\": %zu}",
         memory.total_bytes, memory.weights_bytes, memory.kv_bytes, memory.activation_bytes,
         estimate(model, weights, true).total_bytes);
}

static void print_devices_json(void) {
  JanusDevice devices[MOST_DEVICES];
  const int n = janus_devices_list(devices, MOST_DEVICES, NULL);
  printf("\"devices\": [");
  for (int i = 0; i < n; i++) {
    g_autofree char *label = cli_json_text(devices[i].label);
    printf("%s{\"device\": \"%s\", \"name\": %s, \"total_bytes\": %" G_GUINT64_FORMAT "}",
           i ? ", " : "", devices[i].name, label, (guint64)devices[i].total_bytes);
  }
  printf("]");
}

static void print_packed_json(const JanusModel *model) {
  JanusPackedCopy copy;
  if (!janus_model_find_packed(model, &copy)) {
    printf("null");
    return;
  }
  g_autofree char *path = cli_json_text(copy.path);
  printf("{\"file\": %s, \"bytes\": %zu, \"exists\": %s}", path, copy.n_bytes,
         copy.is_there ? "true" : "false");
}

static void print_model_json(const CliCommon *common, const JanusModel *opened,
                             const JanusMemory *describing) {
  const JanusModelInfo *info = janus_model_get_info(opened);
  g_autofree char *model = cli_json_text(common->model), *folder = cli_json_text(info->folder);
  g_autofree char *name = cli_json_text(info->name), *device = cli_json_text(info->device);
  g_autofree char *device_name = cli_json_text(info->device_name);
  g_autofree char *device_why = cli_json_text(info->fallback);
  g_autofree char *weights_why = cli_json_text(info->weights_why);
  g_autofree char *cfg = cli_json_number(info->defaults.cfg);
  g_autofree char *image_cfg = cli_json_number(info->defaults.image_cfg);
  g_autofree char *temperature = cli_json_number(info->defaults.temperature);
  printf("{\"model\": %s, \"name\": %s, \"folder\": %s, \"layout\": \"%s\", "
         "\"files\": \"%s\", ",
         model, name, folder, info->layout, info->file_kind);
  printf("\"parameters\": %" G_GINT64_FORMAT ", \"weights_bytes\": %zu, \"weights\": \"%s\", ",
         (gint64)info->n_parameters, info->weights_bytes, janus_weights_text(info->weights));
  printf("\"image_size\": %d, \"grid\": %d, \"image_tokens\": %d, \"codes\": %d, ",
         info->image_size_px, info->grid, info->n_image_tokens, info->n_codes);
  printf("\"layers\": %d, \"dim\": %d, \"heads\": %d, \"kv_heads\": %d, \"head_dim\": %d, "
         "\"hidden_dim\": %d, \"vocab\": %d, \"max_positions\": %d, ",
         info->n_layers, info->dim, info->n_heads, info->n_kv_heads, info->head_dim,
         info->hidden_dim, info->vocab, info->max_positions);
  printf("\"defaults\": {\"cfg\": %s, \"image_cfg\": %s, \"temperature\": %s}, ", cfg, image_cfg,
         temperature);
  printf("\"device\": %s, \"device_name\": %s, \"device_why\": %s, \"weights_why\": %s, ", device,
         device_name, device_why, weights_why);
  print_devices_json();
  printf(", \"memory\": {");
  for (gsize i = 0; i < G_N_ELEMENTS(formats); i++) {
    printf("%s\"%s\": ", i ? ", " : "", janus_weights_text(formats[i]));
    print_memory_json(opened, formats[i]);
  }
  printf("}, \"packed_copy\": ");
  print_packed_json(opened);
  printf(", \"describes\": %s, \"describing_bytes\": ", info->describes ? "true" : "false");
  if (info->describes)
    printf("%zu", describing->total_bytes);
  else
    printf("null");
  printf(", \"picture_cache_bytes\": %zu}\n", info->picture_cache_bytes);
}

static int show_model(const CliCommon *common) {
  JanusModel *model = cli_open_model(common, NULL);
  if (!model)
    return CLI_FAILED;
  const JanusMemory describing =
      janus_estimate_describing(model, TYPICAL_PROMPT_TOKENS, LONGEST_ANSWER_TOKENS);
  if (common->json)
    print_model_json(common, model, &describing);
  else
    print_model(common, model, &describing);
  janus_model_free(model);
  return CLI_DONE;
}

int cli_info(int argc, char **argv) {
  CliCommon common = CLI_COMMON_DEFAULT;
  const char *path = NULL;
  const CliCommand command = {
      .name = "info",
      .usage = "[FILE.png] [OPTIONS]",
      .about = "Says what a model is and needs, or what a saved picture carries.",
      .common = &common,
      .max_texts = 1,
      .texts = &path,
      .texts_name = "FILE.png",
  };
  const int status = cli_parse(&command, argc, argv);
  if (status != CLI_GO_ON)
    return status;
  return path ? cli_info_picture(&common, path) : show_model(&common);
}
