// SPDX-License-Identifier: MIT
// What computes: the device remembered, the window about the model and its memory, and going on
// with the processor where a card fails.
#include "ui/limner-window-private.h"

#include "app/draft.h"
#include "ui/limner-model-dialog.h"
#include "ui/limner-settings.h"

#include <glib/gi18n.h>

// --- opening a model -----------------------------------------------------------------------------

static char *dup_device(LimnerWindow *self) {
  return limner_settings_dup_string(self->settings, "device", "auto");
}

static void open_on(LimnerWindow *self, const char *folder, const char *device) {
  g_free(self->asked_device);
  self->asked_device = g_strdup(device);
  limner_job_queue_set_model(self->queue, folder, device);
}

void limner_window_set_model(LimnerWindow *self, const char *folder) {
  g_autofree char *device = dup_device(self);
  open_on(self, folder, device);
}

// The model in use, else the one that did not open.
static char *dup_folder(LimnerWindow *self) {
  const LimnerModelSummary *model = limner_job_queue_get_model(self->queue);
  return model ? g_strdup(model->folder)
               : limner_settings_dup_string(self->settings, "model-folder", "demo");
}

// --- a card that fails ---------------------------------------------------------------------------

// Whether a card could be at fault: "auto" has tried the processor itself when nothing opens.
static gboolean is_on_card(LimnerWindow *self) {
  const LimnerModelSummary *model = limner_job_queue_get_model(self->queue);
  const gboolean asked_for_card =
      self->asked_device && g_str_has_prefix(self->asked_device, "cuda");
  return asked_for_card || (model && model->is_on_card);
}

gboolean limner_window_can_use_processor(LimnerWindow *self, const GError *error) {
  return error && is_on_card(self) && limner_engine_error_is_of_device(error);
}

// For now: the next start tries the card again. The job that failed follows the ones that wait.
static void use_processor(GtkWidget *widget, const char *action, GVariant *parameter) {
  LimnerWindow *self = LIMNER_WINDOW(widget);
  LimnerJob *job = limner_gallery_get_job(self->gallery);
  const GError *error = job ? limner_job_get_error(job) : NULL;
  const gboolean was_painting = error && limner_job_get_draft_id(job) &&
                                limner_job_get_state_seconds(job, LIMNER_JOB_PAINTING) > 0;
  g_autofree char *folder = dup_folder(self);
  open_on(self, folder, "cpu");
  if (error && limner_engine_error_is_of_device(error))
    gtk_widget_activate_action(widget, was_painting ? "win.continue" : "win.retry", NULL);
}

// --- what is said of it --------------------------------------------------------------------------

static void offer(LimnerWindow *self, const char *label, const char *action) {
  gtk_widget_set_visible(GTK_WIDGET(self->message_button), action != NULL);
  if (!action)
    return;
  gtk_button_set_label(self->message_button, label);
  gtk_actionable_set_action_name(GTK_ACTIONABLE(self->message_button), action);
}

void limner_window_say_model_error(LimnerWindow *self, const GError *error) {
  g_autofree char *sentence = limner_engine_error_dup_sentence(error);
  limner_window_say_problem(self, sentence);
  if (limner_window_can_use_processor(self, error))
    offer(self, _("Use the Processor"), "win.use-processor");
}

// Said once for each reason; the window about the model always says it.
void limner_window_say_fallback(LimnerWindow *self, const LimnerModelSummary *model) {
  g_autofree char *told = limner_settings_dup_string(self->settings, "device-told", "");
  const char *why = model->device_why ? model->device_why : "";
  if (model->is_on_card || g_str_equal(why, told))
    return;
  limner_settings_set_string(self->settings, "device-told", why);
  if (!*why)
    return;
  g_autofree char *words = g_strdup_printf(_("The processor paints: %s"), why);
  limner_window_say_problem(self, words);
  gtk_info_bar_set_message_type(self->message_bar, GTK_MESSAGE_INFO);
  offer(self, _("Details"), "win.model-facts");
}

void limner_window_say_problem(LimnerWindow *self, const char *text) {
  gtk_label_set_label(self->message_label, text);
  gtk_info_bar_set_message_type(self->message_bar, GTK_MESSAGE_ERROR);
  offer(self, NULL, NULL);
  gtk_info_bar_set_revealed(self->message_bar, TRUE);
}

// --- the window about it -------------------------------------------------------------------------

static void on_device_chosen(LimnerWindow *self, const char *device) {
  limner_settings_set_string(self->settings, "device", device);
  g_autofree char *folder = dup_folder(self);
  open_on(self, folder, device);
}

static void show_model_facts(GtkWidget *widget, const char *action, GVariant *parameter) {
  LimnerWindow *self = LIMNER_WINDOW(widget);
  g_autofree char *device = dup_device(self);
  if (!self->model_dialog) {
    LimnerModelDialog *dialog = limner_model_dialog_new(GTK_WINDOW(self), self->queue, device);
    g_set_weak_pointer(&self->model_dialog, GTK_WINDOW(dialog));
    g_signal_connect_object(dialog, "device-chosen", G_CALLBACK(on_device_chosen), self,
                            G_CONNECT_SWAPPED);
  }
  gtk_window_present(self->model_dialog);
}

void limner_window_dispose_device(LimnerWindow *self) {
  if (self->model_dialog)
    gtk_window_destroy(self->model_dialog);
  g_clear_weak_pointer(&self->model_dialog);
  g_clear_pointer(&self->asked_device, g_free);
}

void limner_window_install_device_actions(GtkWidgetClass *widget_class) {
  gtk_widget_class_install_action(widget_class, "win.model-facts", NULL, show_model_facts);
  gtk_widget_class_install_action(widget_class, "win.use-processor", NULL, use_processor);
}
