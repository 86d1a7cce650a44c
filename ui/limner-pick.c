// SPDX-License-Identifier: MIT
// Trying the kinds of data in which a picture may come, best first.
#include "ui/limner-pick.h"

#include <glib/gi18n.h>

#define MAX_FILE_BYTES (G_GOFFSET_CONSTANT(1) << 30)

typedef struct Pick {
  GObject *source; // GdkDrop or GdkClipboard; NULL for a file
  guint next_kind; // to try
  char *refusal;   // why a kind did not serve
  GFile *file;     // to decode, or
  GdkTexture *texture;
  guint n_files;
} Pick;

static void pick_free(Pick *pick) {
  g_clear_object(&pick->source);
  g_clear_object(&pick->file);
  g_clear_object(&pick->texture);
  g_free(pick->refusal);
  g_free(pick);
}

// Of the kinds that can hold a picture, best first; 0 after the last.
static GType get_kind(guint index) {
  const GType kinds[] = {LIMNER_TYPE_INPUT, GDK_TYPE_FILE_LIST, GDK_TYPE_TEXTURE, G_TYPE_STRING};
  return index < G_N_ELEMENTS(kinds) ? kinds[index] : 0;
}

GdkContentFormats *limner_pick_dup_formats(void) {
  GdkContentFormatsBuilder *builder = gdk_content_formats_builder_new();
  for (guint i = 0; get_kind(i); i++)
    gdk_content_formats_builder_add_gtype(builder, get_kind(i));
  g_autoptr(GdkContentFormats) types = gdk_content_formats_builder_free_to_formats(builder);
  return gdk_content_formats_union_deserialize_mime_types(g_steal_pointer(&types));
}

static gboolean contains(GdkContentFormats *offered, GType kind) {
  g_autoptr(GdkContentFormats) readable =
      gdk_content_formats_union_deserialize_gtypes(gdk_content_formats_ref(offered));
  return gdk_content_formats_contain_gtype(readable, kind);
}

gboolean limner_pick_has_picture(GdkContentFormats *offered) {
  return contains(offered, LIMNER_TYPE_INPUT) || contains(offered, GDK_TYPE_FILE_LIST) ||
         (contains(offered, GDK_TYPE_TEXTURE) && !contains(offered, G_TYPE_STRING));
}

// --- decoding, in a worker thread ----------------------------------------------------------------

// GIO's sentences begin with the whole path, and few words fit into what is said.
static const char *words_for(const GError *cause) {
  if (g_error_matches(cause, G_IO_ERROR, G_IO_ERROR_NOT_FOUND))
    return _("there is no such file");
  if (g_error_matches(cause, G_IO_ERROR, G_IO_ERROR_PERMISSION_DENIED))
    return _("permission denied");
  return cause->message;
}

static GBytes *load_file(GFile *file, const char *name, GError **error) {
  g_autoptr(GError) cause = NULL;
  g_autoptr(GFileInfo) info =
      g_file_query_info(file, G_FILE_ATTRIBUTE_STANDARD_TYPE "," G_FILE_ATTRIBUTE_STANDARD_SIZE,
                        G_FILE_QUERY_INFO_NONE, NULL, &cause);
  const gboolean is_file = info && g_file_info_get_file_type(info) == G_FILE_TYPE_REGULAR;
  if (info && !is_file)
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_NOT_REGULAR_FILE, _("%s is not a file"), name);
  else if (info && g_file_info_get_size(info) > MAX_FILE_BYTES)
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_NO_SPACE, _("%s is larger than a gigabyte"), name);
  if (info && (!is_file || g_file_info_get_size(info) > MAX_FILE_BYTES))
    return NULL;
  GBytes *bytes = info ? g_file_load_bytes(file, NULL, NULL, &cause) : NULL;
  if (!bytes)
    g_set_error(error, cause->domain, cause->code, _("%s cannot be read: %s"), name,
                words_for(cause));
  return bytes;
}

static char *dup_file_name(GFile *file) {
  g_autofree char *name = g_file_get_basename(file);
  return name ? g_filename_display_name(name) : g_file_get_parse_name(file);
}

static void decode_in_thread(GTask *task, gpointer source, gpointer data,
                             GCancellable *cancellable) {
  const Pick *pick = data;
  GError *error = NULL;
  g_autofree char *name = NULL;
  g_autoptr(GBytes) bytes = NULL;
  if (pick->file) {
    name = dup_file_name(pick->file);
    bytes = load_file(pick->file, name, &error);
  } else {
    name = g_strdup(GDK_IS_DROP(pick->source) ? _("Dropped picture") : _("Pasted picture"));
    bytes = gdk_texture_save_to_png_bytes(pick->texture);
  }
  LimnerInput *input = bytes ? limner_input_new_from_bytes(bytes, name, &error) : NULL;
  if (input)
    g_task_return_pointer(task, input, (GDestroyNotify)limner_input_unref);
  else
    g_task_return_error(task, error);
}

// --- finding the kind ----------------------------------------------------------------------------

static void end_drop(const Pick *pick, gboolean is_taken) {
  if (GDK_IS_DROP(pick->source))
    gdk_drop_finish(GDK_DROP(pick->source), is_taken ? GDK_ACTION_COPY : 0);
}

static void refuse(Pick *pick, const char *sentence) {
  g_free(pick->refusal);
  pick->refusal = g_strdup(sentence);
}

static gboolean take_file(Pick *pick, GFile *file) {
  const gboolean is_web =
      g_file_has_uri_scheme(file, "http") || g_file_has_uri_scheme(file, "https");
  if (is_web)
    refuse(pick, _("This is only an address on the web, which Limner does not fetch: "
                   "copy the picture itself, or save it first"));
  else
    g_set_object(&pick->file, file);
  return !is_web;
}

static gboolean take_files(Pick *pick, GSList *files) {
  pick->n_files = g_slist_length(files);
  return files && take_file(pick, files->data);
}

static gboolean take_text(Pick *pick, const char *text) {
  g_autofree char *line = g_strstrip(g_strdup(text ? text : ""));
  g_autofree char *scheme = g_uri_parse_scheme(line);
  if (!scheme && !g_path_is_absolute(line))
    return FALSE;
  g_autoptr(GFile) file = scheme ? g_file_new_for_uri(line) : g_file_new_for_path(line);
  return take_file(pick, file);
}

// Whether the value holds something to decode.
static gboolean take_value(Pick *pick, const GValue *value) {
  if (G_VALUE_HOLDS(value, GDK_TYPE_FILE_LIST)) {
    g_autoptr(GSList) files = gdk_file_list_get_files(g_value_get_boxed(value));
    return take_files(pick, files);
  }
  if (G_VALUE_HOLDS_STRING(value))
    return take_text(pick, g_value_get_string(value));
  return g_set_object(&pick->texture, g_value_get_object(value));
}

static void try_next(GTask *task);

static void on_value(GObject *source, GAsyncResult *result, gpointer data) {
  g_autoptr(GTask) task = data;
  Pick *pick = g_task_get_task_data(task);
  const GValue *value = GDK_IS_DROP(source)
                            ? gdk_drop_read_value_finish(GDK_DROP(source), result, NULL)
                            : gdk_clipboard_read_value_finish(GDK_CLIPBOARD(source), result, NULL);
  if (g_task_return_error_if_cancelled(task)) {
    end_drop(pick, FALSE);
  } else if (value && G_VALUE_HOLDS(value, LIMNER_TYPE_INPUT)) {
    end_drop(pick, TRUE);
    g_task_return_pointer(task, g_value_dup_boxed(value), (GDestroyNotify)limner_input_unref);
  } else if (value && take_value(pick, value)) {
    end_drop(pick, TRUE);
    g_task_run_in_thread(task, decode_in_thread);
  } else {
    try_next(task);
  }
}

static GdkContentFormats *get_formats(const Pick *pick) {
  return GDK_IS_DROP(pick->source) ? gdk_drop_get_formats(GDK_DROP(pick->source))
                                   : gdk_clipboard_get_formats(GDK_CLIPBOARD(pick->source));
}

static void try_next(GTask *task) {
  Pick *pick = g_task_get_task_data(task);
  GCancellable *cancellable = g_task_get_cancellable(task);
  while (get_kind(pick->next_kind) && !contains(get_formats(pick), get_kind(pick->next_kind)))
    pick->next_kind++;
  const GType kind = get_kind(pick->next_kind++);
  if (kind && GDK_IS_DROP(pick->source)) {
    gdk_drop_read_value_async(GDK_DROP(pick->source), kind, G_PRIORITY_DEFAULT, cancellable,
                              on_value, g_object_ref(task));
  } else if (kind) {
    gdk_clipboard_read_value_async(GDK_CLIPBOARD(pick->source), kind, G_PRIORITY_DEFAULT,
                                   cancellable, on_value, g_object_ref(task));
  } else {
    end_drop(pick, FALSE);
    const char *nothing = GDK_IS_DROP(pick->source) ? _("There is no picture in what was dropped")
                                                    : _("There is no picture to paste");
    g_task_return_new_error(task, G_IO_ERROR, G_IO_ERROR_NOT_FOUND, "%s",
                            pick->refusal ? pick->refusal : nothing);
  }
}

// --- the three ways ------------------------------------------------------------------------------

static GTask *new_task(GObject *source, GCancellable *cancellable, GAsyncReadyCallback callback,
                       gpointer user_data) {
  Pick *pick = g_new0(Pick, 1);
  pick->source = source ? g_object_ref(source) : NULL;
  GTask *task = g_task_new(NULL, cancellable, callback, user_data);
  g_task_set_source_tag(task, new_task);
  g_task_set_task_data(task, pick, (GDestroyNotify)pick_free);
  return task;
}

void limner_pick_files_async(GFile **files, guint n_files, GCancellable *cancellable,
                             GAsyncReadyCallback callback, gpointer user_data) {
  g_autoptr(GTask) task = new_task(NULL, cancellable, callback, user_data);
  Pick *pick = g_task_get_task_data(task);
  pick->n_files = n_files;
  if (take_file(pick, files[0]))
    g_task_run_in_thread(task, decode_in_thread);
  else
    g_task_return_new_error(task, G_IO_ERROR, G_IO_ERROR_NOT_SUPPORTED, "%s", pick->refusal);
}

void limner_pick_drop_async(GdkDrop *drop, GCancellable *cancellable, GAsyncReadyCallback callback,
                            gpointer user_data) {
  g_autoptr(GTask) task = new_task(G_OBJECT(drop), cancellable, callback, user_data);
  try_next(task);
}

void limner_pick_clipboard_async(GdkClipboard *clipboard, GCancellable *cancellable,
                                 GAsyncReadyCallback callback, gpointer user_data) {
  g_autoptr(GTask) task = new_task(G_OBJECT(clipboard), cancellable, callback, user_data);
  try_next(task);
}

LimnerInput *limner_pick_finish(GAsyncResult *result, guint *n_files, GError **error) {
  const Pick *pick = g_task_get_task_data(G_TASK(result));
  if (n_files)
    *n_files = pick->n_files;
  return g_task_propagate_pointer(G_TASK(result), error);
}
