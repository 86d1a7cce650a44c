// SPDX-License-Identifier: MIT
// What a model is computed by and needs, as it is found out.
#include "ui/limner-model-dialog.h"

#include "app/devices.h"
#include "ui/limner-words.h"

#include <glib/gi18n.h>

#define DEVICE_KEY "limner-device" // of a choice

struct _LimnerModelDialog {
  AdwWindow parent_instance;
  // Template
  AdwActionRow *model_row;
  AdwActionRow *computes_row;
  AdwPreferencesGroup *device_group;
  AdwActionRow *why_row;
  AdwPreferencesGroup *memory_group;
  // Owned
  LimnerJobQueue *queue;
  GCancellable *listing;
  char *device; // chosen
  // Borrowed: children of `memory_group`
  AdwActionRow *rows[LIMNER_N_FORMATS];
  GtkWidget *marks[LIMNER_N_FORMATS];
  GtkCheckButton *first_choice; // of `device_group`, which the others go with
};

G_DEFINE_FINAL_TYPE(LimnerModelDialog, limner_model_dialog, ADW_TYPE_WINDOW)

enum { SIGNAL_DEVICE_CHOSEN, N_SIGNALS };
static guint signals[N_SIGNALS];

// --- what is said --------------------------------------------------------------------------------

static const char *format_title(JanusWeights weights) {
  switch (weights) {
  case JANUS_WEIGHTS_BF16:
    return _("16 bits (bf16)");
  case JANUS_WEIGHTS_FP8:
    return _("8-bit floating point (fp8)");
  case JANUS_WEIGHTS_Q8:
    return _("8 bits (q8)");
  case JANUS_WEIGHTS_Q4:
    return _("4 bits (q4)");
  default:
    return _("As stored (f32)");
  }
}

static void say_format(LimnerModelDialog *self, int i, const LimnerModelSummary *model) {
  const LimnerFormatPlan *plan = &model->formats[i];
  const gboolean is_used = plan == limner_model_summary_get_plan(model);
  const gboolean is_too_much = model->total_bytes > 0 && plan->paint_bytes > model->total_bytes;
  g_autofree char *paint = limner_words_for_bytes(plan->paint_bytes);
  g_autofree char *edit = limner_words_for_bytes(plan->edit_bytes);
  g_autofree char *words =
      is_too_much ? g_strdup_printf(_("%s to paint, more than there is"), paint)
                  : g_strdup_printf(_("%s to paint, %s to change a picture"), paint, edit);
  adw_preferences_row_set_title(ADW_PREFERENCES_ROW(self->rows[i]), format_title(plan->weights));
  adw_action_row_set_subtitle(self->rows[i], words);
  gtk_widget_set_visible(GTK_WIDGET(self->rows[i]), plan->paint_bytes > 0);
  gtk_widget_set_sensitive(GTK_WIDGET(self->rows[i]), !is_too_much);
  gtk_widget_set_visible(self->marks[i], is_used);
}

static void say_memory(LimnerModelDialog *self, const LimnerModelSummary *model) {
  g_autofree char *total = limner_words_for_bytes(model->total_bytes);
  g_autofree char *there = model->is_on_card ? g_strdup_printf(_("The card has %s."), total)
                                             : g_strdup_printf(_("This machine has %s."), total);
  // Translators: memory, the format of the weights in use, and why no larger one
  g_autofree char *why = model->weights_why ? g_strdup_printf(_("%s It uses %s, for %s."), there,
                                                              model->weights, model->weights_why)
                                            : g_strdup(there);
  adw_preferences_group_set_description(self->memory_group, why);
  for (int i = 0; i < LIMNER_N_FORMATS; i++)
    say_format(self, i, model);
}

static void say_nothing(LimnerModelDialog *self) {
  adw_preferences_group_set_description(self->memory_group, NULL);
  for (int i = 0; i < LIMNER_N_FORMATS; i++)
    gtk_widget_set_visible(GTK_WIDGET(self->rows[i]), FALSE);
}

static void update(LimnerModelDialog *self) {
  const LimnerModelSummary *plan = limner_job_queue_get_plan(self->queue);
  const LimnerModelSummary *model = plan ? plan : limner_job_queue_get_model(self->queue);
  const gboolean is_loading = limner_job_queue_get_model_state(self->queue) == LIMNER_MODEL_LOADING;
  g_autofree char *words = limner_words_for_model(self->queue);
  adw_action_row_set_subtitle(self->model_row, is_loading || !model ? words : model->name);
  gtk_widget_set_visible(GTK_WIDGET(self->computes_row), model != NULL);
  gtk_widget_set_visible(GTK_WIDGET(self->memory_group), model != NULL);
  gtk_widget_set_visible(GTK_WIDGET(self->why_row), model && model->device_why);
  if (!model) {
    say_nothing(self);
    return;
  }
  adw_action_row_set_subtitle(self->computes_row, model->device_name);
  adw_action_row_set_subtitle(self->why_row, model->device_why ? model->device_why : "");
  adw_preferences_row_set_title(ADW_PREFERENCES_ROW(self->why_row), model->is_on_card
                                                                        ? _("Why Not Another Card")
                                                                        : _("Why Not a Card"));
  say_memory(self, model);
}

// --- the choice ----------------------------------------------------------------------------------

static void on_toggled(LimnerModelDialog *self, GtkCheckButton *check) {
  const char *device = g_object_get_data(G_OBJECT(check), DEVICE_KEY);
  if (!gtk_check_button_get_active(check) || g_strcmp0(device, self->device) == 0)
    return;
  g_free(self->device);
  self->device = g_strdup(device);
  g_signal_emit(self, signals[SIGNAL_DEVICE_CHOSEN], 0, self->device);
}

static void add_choice(LimnerModelDialog *self, const char *device, const char *title,
                       const char *subtitle) {
  GtkWidget *row = adw_action_row_new(), *check = gtk_check_button_new();
  adw_preferences_row_set_use_markup(ADW_PREFERENCES_ROW(row), FALSE);
  adw_preferences_row_set_title(ADW_PREFERENCES_ROW(row), title);
  adw_action_row_set_subtitle(ADW_ACTION_ROW(row), subtitle);
  gtk_widget_set_valign(check, GTK_ALIGN_CENTER);
  gtk_accessible_update_property(GTK_ACCESSIBLE(check), GTK_ACCESSIBLE_PROPERTY_LABEL, title, -1);
  adw_action_row_add_prefix(ADW_ACTION_ROW(row), check);
  adw_action_row_set_activatable_widget(ADW_ACTION_ROW(row), check);
  g_object_set_data_full(G_OBJECT(check), DEVICE_KEY, g_strdup(device), g_free);
  gtk_check_button_set_group(GTK_CHECK_BUTTON(check), self->first_choice);
  if (!self->first_choice)
    self->first_choice = GTK_CHECK_BUTTON(check);
  gtk_check_button_set_active(GTK_CHECK_BUTTON(check), g_str_equal(device, self->device));
  g_signal_connect_object(check, "toggled", G_CALLBACK(on_toggled), self, G_CONNECT_SWAPPED);
  adw_preferences_group_add(self->device_group, row);
}

static void add_device(LimnerModelDialog *self, const LimnerDevice *device) {
  g_autofree char *bytes = limner_words_for_bytes(device->total_bytes);
  g_autofree char *words = g_strdup_printf("%s – %s", device->label, bytes);
  if (g_str_equal(device->name, "cpu"))
    add_choice(self, device->name, _("Processor"), words);
  else
    add_choice(self, device->name, device->label, bytes);
}

static gboolean is_there(LimnerModelDialog *self, GPtrArray *devices) {
  gboolean found = g_str_equal(self->device, "auto");
  for (guint i = 0; i < devices->len && !found; i++)
    found = g_str_equal(((const LimnerDevice *)devices->pdata[i])->name, self->device);
  return found;
}

static void on_listed(GObject *source, GAsyncResult *result, gpointer data) {
  g_autoptr(GPtrArray) devices = limner_devices_list_finish(result, NULL);
  if (!devices) // cancelled: the dialog may be gone
    return;
  LimnerModelDialog *self = data;
  add_choice(self, "auto", _("Automatic"), _("The first card that works, else the processor"));
  for (guint i = 0; i < devices->len; i++)
    add_device(self, devices->pdata[i]);
  // A remembered card stays a choice, so that it can be seen and left.
  const gboolean is_missing = !is_there(self, devices);
  if (is_missing)
    add_choice(self, self->device, self->device, _("Not there"));
  gtk_widget_set_visible(GTK_WIDGET(self->device_group), devices->len > 1 || is_missing);
}

// --- the object ----------------------------------------------------------------------------------

static void limner_model_dialog_dispose(GObject *object) {
  LimnerModelDialog *self = LIMNER_MODEL_DIALOG(object);
  if (self->listing)
    g_cancellable_cancel(self->listing);
  g_clear_object(&self->listing);
  g_clear_object(&self->queue);
  G_OBJECT_CLASS(limner_model_dialog_parent_class)->dispose(object);
}

static void limner_model_dialog_finalize(GObject *object) {
  LimnerModelDialog *self = LIMNER_MODEL_DIALOG(object);
  g_free(self->device);
  G_OBJECT_CLASS(limner_model_dialog_parent_class)->finalize(object);
}

static void limner_model_dialog_class_init(LimnerModelDialogClass *klass) {
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(klass);
  G_OBJECT_CLASS(klass)->dispose = limner_model_dialog_dispose;
  G_OBJECT_CLASS(klass)->finalize = limner_model_dialog_finalize;
  signals[SIGNAL_DEVICE_CHOSEN] =
      g_signal_new("device-chosen", LIMNER_TYPE_MODEL_DIALOG, G_SIGNAL_RUN_LAST, 0, NULL, NULL,
                   NULL, G_TYPE_NONE, 1, G_TYPE_STRING);
  gtk_widget_class_set_template_from_resource(widget_class,
                                              "/org/limner/Limner/ui/limner-model-dialog.ui");
  gtk_widget_class_bind_template_child(widget_class, LimnerModelDialog, model_row);
  gtk_widget_class_bind_template_child(widget_class, LimnerModelDialog, computes_row);
  gtk_widget_class_bind_template_child(widget_class, LimnerModelDialog, device_group);
  gtk_widget_class_bind_template_child(widget_class, LimnerModelDialog, why_row);
  gtk_widget_class_bind_template_child(widget_class, LimnerModelDialog, memory_group);
}

static void add_format_row(LimnerModelDialog *self, int i) {
  self->rows[i] = ADW_ACTION_ROW(adw_action_row_new());
  self->marks[i] = gtk_image_new_from_icon_name("object-select-symbolic");
  gtk_widget_set_tooltip_text(self->marks[i], _("In use"));
  gtk_accessible_update_property(GTK_ACCESSIBLE(self->marks[i]), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                 _("In use"), -1);
  adw_action_row_add_suffix(self->rows[i], self->marks[i]);
  adw_preferences_group_add(self->memory_group, GTK_WIDGET(self->rows[i]));
}

static void limner_model_dialog_init(LimnerModelDialog *self) {
  gtk_widget_init_template(GTK_WIDGET(self));
  for (int i = 0; i < LIMNER_N_FORMATS; i++)
    add_format_row(self, i);
}

LimnerModelDialog *limner_model_dialog_new(GtkWindow *parent, LimnerJobQueue *queue,
                                           const char *device) {
  LimnerModelDialog *self = g_object_new(LIMNER_TYPE_MODEL_DIALOG, "transient-for", parent, NULL);
  self->queue = g_object_ref(queue);
  self->device = g_strdup(device);
  self->listing = g_cancellable_new();
  g_signal_connect_object(queue, "notify::model-state", G_CALLBACK(update), self,
                          G_CONNECT_SWAPPED);
  g_signal_connect_object(queue, "notify::loaded", G_CALLBACK(update), self, G_CONNECT_SWAPPED);
  update(self);
  limner_devices_list_async(self->listing, on_listed, self);
  return self;
}
