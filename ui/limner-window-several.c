// SPDX-License-Identifier: MIT
// Several pictures saved or exported together.
#include "ui/limner-window-private.h"

#include "ui/limner-files.h"
#include "ui/limner-kept.h"

#include <glib/gi18n.h>

// Ids of the export dialog's choices.
#define CHOICE_FORMAT "format"
#define CHOICE_BARE "bare"

// What a thread does with all of them; a plain value.
typedef struct Work {
  LimnerLibrary *library; // NULL = samples alone
  GPtrArray *items;       // of LimnerEntry or LimnerSample
  char *folder;
  LimnerFormat format;
  gboolean is_bare; // exported without what they say of themselves
  guint n_done;
} Work;

static void work_free(Work *work) {
  g_clear_object(&work->library);
  g_ptr_array_unref(work->items);
  g_free(work->folder);
  g_free(work);
}

// --- which ones ----------------------------------------------------------------------------------

static gboolean can_use(LimnerWindow *self, LimnerSample *sample) {
  LimnerJob *job = limner_gallery_get_job(self->gallery);
  guint position = 0;
  const gboolean is_growing =
      job && !limner_job_is_over(job) &&
      g_list_store_find(G_LIST_STORE(limner_job_get_samples(job)), sample, &position);
  return limner_sample_get_picture(sample) && (!is_growing || limner_sample_get_finished(sample));
}

// NULL = there are not several. Owned.
static GPtrArray *dup_several(LimnerWindow *self) {
  g_autoptr(GPtrArray) chosen = limner_window_is_tree(self) ? NULL
                                : limner_window_is_library(self)
                                    ? limner_library_page_dup_chosen(self->library_page)
                                    : limner_window_dup_samples(self);
  if (!chosen || chosen->len < 2)
    return NULL;
  for (guint i = chosen->len; i-- > 0;)
    if (LIMNER_IS_SAMPLE(chosen->pdata[i]) && !can_use(self, chosen->pdata[i]))
      g_ptr_array_remove_index(chosen, i);
  return g_steal_pointer(&chosen);
}

// --- doing it ------------------------------------------------------------------------------------

static LimnerPicture *load(Work *work, gpointer item, GError **error) {
  return LIMNER_IS_SAMPLE(item) ? limner_picture_ref(limner_sample_get_picture(item))
                                : limner_library_load_picture(work->library, item, error);
}

// "limner-7_0.jpg". Owned.
static char *dup_name(gpointer item, LimnerFormat format) {
  g_autofree char *name = LIMNER_IS_SAMPLE(item) ? limner_sample_dup_file_name(item)
                                                 : g_strdup(limner_entry_get_facts(item)->name);
  char *dot = strrchr(name, '.');
  if (dot)
    *dot = '\0';
  return g_strdup_printf("%s.%s", name, limner_format_get_extension(format));
}

static gboolean export_one(Work *work, gpointer item, GError **error) {
  g_autoptr(LimnerPicture) picture = load(work, item, error);
  if (!picture)
    return FALSE;
  g_autofree char *name = dup_name(item, work->format);
  g_autoptr(LimnerPicture) bare =
      work->is_bare
          ? limner_picture_new(limner_picture_get_bytes(picture), limner_picture_get_width(picture),
                               limner_picture_get_height(picture))
          : NULL;
  g_autofree char *path = limner_files_save_new(bare ? bare : picture, work->folder, name, error);
  return path != NULL;
}

static void export_in_thread(GTask *task, gpointer source, gpointer data,
                             GCancellable *cancellable) {
  Work *work = data;
  GError *error = NULL;
  while (work->n_done < work->items->len &&
         export_one(work, work->items->pdata[work->n_done], &error))
    work->n_done++;
  if (error)
    g_task_return_error(task, error);
  else
    g_task_return_boolean(task, TRUE);
}

// Kept again where their files are gone; what says nothing of how it was made is a file and no
// more.
static void save_in_thread(GTask *task, gpointer source, gpointer data, GCancellable *cancellable) {
  Work *work = data;
  GError *error = NULL;
  for (; !error && work->n_done < work->items->len; work->n_done += error == NULL) {
    LimnerSample *sample = work->items->pdata[work->n_done];
    LimnerPicture *picture = limner_sample_get_picture(sample);
    g_autofree char *name = limner_sample_dup_file_name(sample);
    if (work->library && limner_picture_get_recipe(picture)) {
      g_autoptr(LimnerEntry) entry = limner_library_keep(
          work->library, picture, limner_sample_get_request(sample)->input, &error);
    } else {
      g_autofree char *path = limner_files_save_new(picture, work->folder, name, &error);
    }
  }
  if (error)
    g_task_return_error(task, error);
  else
    g_task_return_boolean(task, TRUE);
}

static void say_done(LimnerWindow *self, guint n, const char *folder, gboolean is_export) {
  g_autofree char *where = limner_window_dup_short_path(folder);
  g_autofree char *count = g_strdup_printf(ngettext("%u picture", "%u pictures", n), n);
  // Translators: "3 pictures exported to Pictures/Party"
  g_autofree char *words = is_export ? g_strdup_printf(_("%s exported to %s"), count, where)
                                     : g_strdup_printf(_("%s saved to %s"), count, where);
  limner_window_say_with_file(self, words, folder);
}

static void on_done(GObject *source, GAsyncResult *result, gpointer data) {
  g_autoptr(LimnerWindow) self = data;
  g_autoptr(GError) error = NULL;
  const Work *work = g_task_get_task_data(G_TASK(result));
  if (g_application_get_default())
    g_application_release(g_application_get_default());
  if (!self->queue) // closed meanwhile
    return;
  if (g_task_propagate_boolean(G_TASK(result), &error)) {
    say_done(self, work->n_done, work->folder,
             g_task_get_source_tag(G_TASK(result)) == export_in_thread);
    return;
  }
  g_autofree char *words = g_strdup_printf(_("After %u of %u pictures: %s"), work->n_done,
                                           work->items->len, error->message);
  limner_window_say_problem(self, words);
}

// Takes `work`. A window closed meanwhile does not end the program before all are written.
static void start(LimnerWindow *self, Work *work, GTaskThreadFunc run) {
  if (g_application_get_default())
    g_application_hold(g_application_get_default());
  g_autoptr(GTask) task = g_task_new(NULL, NULL, on_done, g_object_ref(self));
  g_task_set_source_tag(task, run);
  g_task_set_task_data(task, work, (GDestroyNotify)work_free);
  g_task_run_in_thread(task, run);
}

static Work *work_new(LimnerWindow *self, GPtrArray *items, const char *folder) {
  Work *work = g_new0(Work, 1);
  work->library = self->library ? g_object_ref(self->library) : NULL;
  work->items = g_ptr_array_ref(items);
  work->folder = g_strdup(folder);
  return work;
}

// --- what is asked for ---------------------------------------------------------------------------

gboolean limner_window_save_several(LimnerWindow *self) {
  g_autoptr(GPtrArray) items = dup_several(self);
  if (!items)
    return FALSE;
  g_autofree char *own = limner_files_dup_folder();
  const char *folder = self->library ? limner_library_get_folder(self->library) : own;
  if (limner_window_is_library(self)) // each has its file
    say_done(self, items->len, folder, FALSE);
  else
    start(self, work_new(self, items, folder), save_in_thread);
  return TRUE;
}

static LimnerFormat get_format(GtkFileChooser *chooser) {
  const char *choice = gtk_file_chooser_get_choice(chooser, CHOICE_FORMAT);
  LimnerFormat format = LIMNER_FORMAT_PNG;
  for (int i = LIMNER_FORMAT_PNG; choice && i <= LIMNER_FORMAT_WEBP; i++)
    if (strcmp(choice, limner_format_get_extension((LimnerFormat)i)) == 0)
      format = (LimnerFormat)i;
  return format;
}

static void on_folder_chosen(LimnerWindow *self, int response, GtkFileChooser *chooser) {
  const LimnerFormat format = get_format(chooser);
  const gboolean is_bare =
      g_strcmp0(gtk_file_chooser_get_choice(chooser, CHOICE_BARE), "true") == 0;
  g_autofree char *folder = limner_window_end_chooser(self, response);
  g_autoptr(GPtrArray) items = g_steal_pointer(&self->exporting);
  if (!folder || !items)
    return;
  limner_window_export(self, items, folder, format, is_bare);
}

void limner_window_export(LimnerWindow *self, GPtrArray *items, const char *folder,
                          LimnerFormat format, gboolean is_bare) {
  Work *work = work_new(self, items, folder);
  work->format = format;
  work->is_bare = is_bare;
  start(self, work, export_in_thread);
}

static void add_choices(GtkFileChooser *chooser) {
  const char *ids[4] = {NULL}, *names[4] = {NULL};
  int n = 0;
  for (int i = LIMNER_FORMAT_PNG; i <= LIMNER_FORMAT_WEBP; i++) {
    static const char *const words[] = {"PNG", "JPEG", "WebP"};
    if (!limner_format_can_save((LimnerFormat)i))
      continue;
    ids[n] = limner_format_get_extension((LimnerFormat)i);
    names[n++] = words[i];
  }
  gtk_file_chooser_add_choice(chooser, CHOICE_FORMAT, _("Format"), ids, names);
  gtk_file_chooser_set_choice(chooser, CHOICE_FORMAT, ids[0]);
  gtk_file_chooser_add_choice(chooser, CHOICE_BARE, _("Leave out how they were made"), NULL, NULL);
}

gboolean limner_window_export_several(LimnerWindow *self) {
  g_autoptr(GPtrArray) items = dup_several(self);
  if (!items)
    return FALSE;
  g_clear_pointer(&self->exporting, g_ptr_array_unref);
  self->exporting = g_ptr_array_ref(items);
  g_autofree char *title = g_strdup_printf(
      ngettext("Export %u Picture to a Folder", "Export %u Pictures to a Folder", items->len),
      items->len);
  GtkFileChooserNative *chooser =
      limner_window_new_chooser(self, title, GTK_FILE_CHOOSER_ACTION_SELECT_FOLDER, _("_Export"));
  add_choices(GTK_FILE_CHOOSER(chooser));
  g_signal_connect_object(chooser, "response", G_CALLBACK(on_folder_chosen), self,
                          G_CONNECT_SWAPPED);
  gtk_native_dialog_show(GTK_NATIVE_DIALOG(chooser));
  return TRUE;
}
