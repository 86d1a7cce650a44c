// SPDX-License-Identifier: MIT
// The present set, the earlier pictures, and which of them all is the chosen one.
#include "ui/limner-gallery.h"

#include "ui/limner-canvas.h"
#include "ui/limner-drag.h"
#include "ui/limner-focus.h"
#include "ui/limner-kept.h"
#include "ui/limner-progress.h"
#include "ui/limner-sample-card.h"
#include "ui/limner-seen.h"
#include "ui/limner-words.h"

#define THUMBNAIL_PX 128

struct _LimnerGallery {
  GtkWidget parent_instance;
  // Template
  AdwToastOverlay *toasts;
  GtkStack *stack;
  GtkWidget *origin;
  LimnerSeen *origin_seen;
  GtkLabel *origin_label;
  AdwClamp *set_clamp;
  GtkFlowBox *set_box;
  GtkWidget *failure;
  GtkLabel *failure_label;
  GtkButton *help_button;
  GtkWidget *earlier_label;
  GtkGridView *earlier_grid;
  GtkSelectionModel *earlier_selection;
  GListStore *earlier;
  LimnerProgress *progress;
  // Owned
  GHashTable *hidden; // set of LimnerSample that were deleted
  LimnerJob *job;
  GSignalGroup *job_signals;
};

G_DEFINE_FINAL_TYPE(LimnerGallery, limner_gallery, GTK_TYPE_WIDGET)

// --- what is shown -------------------------------------------------------------------------------

static void update_cards(LimnerGallery *self) {
  const gboolean busy = self->job && !limner_job_is_over(self->job);
  GtkFlowBoxChild *child;
  for (int i = 0; (child = gtk_flow_box_get_child_at_index(self->set_box, i)); i++)
    limner_sample_card_set_busy(LIMNER_SAMPLE_CARD(child), busy);
}

// The picture the set is made from stays beside it.
static void update_origin(LimnerGallery *self) {
  const LimnerRequest *request = self->job ? limner_job_get_request(self->job) : NULL;
  LimnerInput *input = request ? request->input : NULL;
  limner_seen_set(self->origin_seen, input, request ? request->fit : JANUS_FIT_PAD);
  gtk_label_set_label(self->origin_label, input ? limner_input_get_name(input) : "");
  gtk_widget_set_visible(self->origin, input != NULL);
}

static gboolean has_card(LimnerGallery *self) {
  GtkFlowBoxChild *card;
  for (int i = 0; (card = gtk_flow_box_get_child_at_index(self->set_box, i)); i++)
    if (gtk_widget_get_visible(GTK_WIDGET(card)))
      return TRUE;
  return FALSE;
}

// Without a card the box would be less than nothing: its margins are negative.
static void update_failure(LimnerGallery *self) {
  const GError *error = self->job ? limner_job_get_error(self->job) : NULL;
  g_autofree char *sentence = error ? limner_engine_error_dup_sentence(error) : NULL;
  if (error)
    gtk_label_set_label(self->failure_label, sentence);
  gtk_widget_set_visible(self->failure, error != NULL);
  gtk_widget_set_visible(GTK_WIDGET(self->set_clamp), self->job && !error && has_card(self));
}

static void update_page(LimnerGallery *self) {
  const gboolean has_earlier = g_list_model_get_n_items(G_LIST_MODEL(self->earlier)) > 0;
  gtk_widget_set_visible(self->earlier_label, has_earlier);
  gtk_widget_set_visible(GTK_WIDGET(self->earlier_grid), has_earlier);
  gtk_stack_set_visible_child_name(self->stack, self->job || has_earlier ? "pictures" : "welcome");
}

static void on_job_changed(LimnerGallery *self) {
  update_cards(self);
  update_failure(self);
}

// --- the set -------------------------------------------------------------------------------------

// As many columns as keep the whole set in view, and how wide it may grow.
static void arrange_set(LimnerGallery *self, guint n_samples) {
  static const struct {
    guint n_samples, n_columns;
    int width_px;
  } plans[] = {{1, 1, 540}, {2, 2, 960}, {3, 3, 1280}, {4, 2, 580}, {6, 3, 960}, {16, 4, 1280}};
  guint i = 0;
  while (i + 1 < G_N_ELEMENTS(plans) && plans[i].n_samples < n_samples)
    i++;
  gtk_flow_box_set_max_children_per_line(self->set_box, plans[i].n_columns);
  adw_clamp_set_maximum_size(self->set_clamp, plans[i].width_px);
  adw_clamp_set_tightening_threshold(self->set_clamp, plans[i].width_px);
}

static GtkWidget *create_card(gpointer item, gpointer data) {
  return limner_sample_card_new(item);
}

static void keep_pictures(LimnerGallery *self, LimnerJob *job) {
  GListModel *samples = limner_job_get_samples(job);
  guint position = 0;
  for (guint i = 0; i < g_list_model_get_n_items(samples); i++) {
    g_autoptr(LimnerSample) sample = g_list_model_get_item(samples, i);
    if (limner_sample_get_picture(sample) && !g_hash_table_contains(self->hidden, sample))
      g_list_store_insert(self->earlier, position++, sample);
  }
}

static void set_job(LimnerGallery *self, LimnerJob *job) {
  g_set_object(&self->job, job);
  g_signal_group_set_target(self->job_signals, job);
  GListModel *samples = job ? limner_job_get_samples(job) : NULL;
  if (samples)
    arrange_set(self, g_list_model_get_n_items(samples));
  gtk_flow_box_bind_model(self->set_box, samples, create_card, NULL, NULL);
  limner_progress_set_job(self->progress, job);
  update_origin(self);
  on_job_changed(self);
  update_page(self);
}

void limner_gallery_show_job(LimnerGallery *self, LimnerJob *job) {
  if (job == self->job)
    return;
  if (self->job)
    keep_pictures(self, self->job);
  set_job(self, job);
}

void limner_gallery_drop_job(LimnerGallery *self) {
  set_job(self, NULL);
}

LimnerJob *limner_gallery_get_job(LimnerGallery *self) {
  return self->job;
}

void limner_gallery_set_help(LimnerGallery *self, const char *label, const char *action) {
  gtk_button_set_label(self->help_button, label);
  gtk_actionable_set_action_name(GTK_ACTIONABLE(self->help_button), action);
}

AdwToastOverlay *limner_gallery_get_toasts(LimnerGallery *self) {
  return self->toasts;
}

// --- choosing ------------------------------------------------------------------------------------

// Either some of the set or some of the earlier ones: what is chosen is in view.
static void on_set_selected(LimnerGallery *self) {
  g_autoptr(GList) selected = gtk_flow_box_get_selected_children(self->set_box);
  if (selected)
    gtk_selection_model_unselect_all(self->earlier_selection);
}

static void on_earlier_selected(LimnerGallery *self) {
  g_autoptr(GtkBitset) selected = gtk_selection_model_get_selection(self->earlier_selection);
  if (!gtk_bitset_is_empty(selected))
    gtk_flow_box_unselect_all(self->set_box);
}

static GtkWidget *find_focused_card(LimnerGallery *self) {
  GtkRoot *root = gtk_widget_get_root(GTK_WIDGET(self));
  GtkWidget *focus = root ? gtk_root_get_focus(root) : NULL;
  return focus ? gtk_widget_get_ancestor(focus, LIMNER_TYPE_SAMPLE_CARD) : NULL;
}

static void add_card(GPtrArray *chosen, gpointer card) {
  if (card)
    g_ptr_array_add(chosen, g_object_ref(limner_sample_card_get_sample(LIMNER_SAMPLE_CARD(card))));
}

// A card with the focus is chosen, alone unless it is one of those that are selected.
GPtrArray *limner_gallery_dup_chosen(LimnerGallery *self) {
  GPtrArray *chosen = g_ptr_array_new_with_free_func(g_object_unref);
  GtkWidget *focused = find_focused_card(self);
  g_autoptr(GList) cards = gtk_flow_box_get_selected_children(self->set_box);
  g_autoptr(GtkBitset) earlier = gtk_selection_model_get_selection(self->earlier_selection);
  if (focused && !gtk_flow_box_child_is_selected(GTK_FLOW_BOX_CHILD(focused)))
    add_card(chosen, focused);
  else
    for (int i = 0; cards && gtk_flow_box_get_child_at_index(self->set_box, i); i++) {
      GtkFlowBoxChild *card = gtk_flow_box_get_child_at_index(self->set_box, i);
      add_card(chosen, gtk_flow_box_child_is_selected(card) ? card : NULL);
    }
  for (guint64 i = 0; !focused && !cards && i < gtk_bitset_get_size(earlier); i++)
    g_ptr_array_add(chosen, g_list_model_get_item(G_LIST_MODEL(self->earlier),
                                                  gtk_bitset_get_nth(earlier, (guint)i)));
  for (int i = 0; chosen->len == 0 && gtk_flow_box_get_child_at_index(self->set_box, i); i++) {
    GtkWidget *card = GTK_WIDGET(gtk_flow_box_get_child_at_index(self->set_box, i));
    add_card(chosen, gtk_widget_get_visible(card) ? card : NULL);
  }
  return chosen;
}

LimnerSample *limner_gallery_get_chosen(LimnerGallery *self) {
  g_autoptr(GPtrArray) chosen = limner_gallery_dup_chosen(self);
  return chosen->len > 0 ? chosen->pdata[0] : NULL; // held by its list
}

// --- what was deleted ----------------------------------------------------------------------------

static gboolean is_one_of(LimnerSample *sample, GPtrArray *entries) {
  LimnerEntry *entry = limner_sample_get_entry(sample);
  for (guint i = 0; entry && i < entries->len; i++)
    if (limner_entry_get_facts(entry)->id == limner_entry_get_facts(entries->pdata[i])->id)
      return TRUE;
  return FALSE;
}

static void hide_earlier(LimnerGallery *self, GPtrArray *entries) {
  for (guint i = g_list_model_get_n_items(G_LIST_MODEL(self->earlier)); i-- > 0;) {
    g_autoptr(LimnerSample) sample = g_list_model_get_item(G_LIST_MODEL(self->earlier), i);
    if (!is_one_of(sample, entries))
      continue;
    g_hash_table_add(self->hidden, g_object_ref(sample));
    g_list_store_remove(self->earlier, i);
  }
  limner_focus_leave_gone(GTK_WIDGET(self->earlier_grid));
}

static LimnerSample *dup_hidden(LimnerGallery *self, GPtrArray *entries) {
  GHashTableIter iter;
  gpointer sample;
  g_hash_table_iter_init(&iter, self->hidden);
  while (g_hash_table_iter_next(&iter, &sample, NULL))
    if (is_one_of(sample, entries))
      return g_object_ref(sample);
  return NULL;
}

static gboolean is_of_set(LimnerGallery *self, LimnerSample *sample) {
  guint position = 0;
  return self->job &&
         g_list_store_find(G_LIST_STORE(limner_job_get_samples(self->job)), sample, &position);
}

// What is no part of the set any more comes back as the newest of the earlier ones.
static void show_again(LimnerGallery *self, GPtrArray *entries) {
  LimnerSample *sample;
  while ((sample = dup_hidden(self, entries))) {
    g_hash_table_remove(self->hidden, sample);
    if (!is_of_set(self, sample))
      g_list_store_insert(self->earlier, 0, sample);
    g_object_unref(sample);
  }
}

void limner_gallery_set_hidden(LimnerGallery *self, GPtrArray *entries, gboolean is_hidden) {
  GtkFlowBoxChild *card;
  if (is_hidden)
    hide_earlier(self, entries);
  for (int i = 0; (card = gtk_flow_box_get_child_at_index(self->set_box, i)); i++) {
    LimnerSample *sample = limner_sample_card_get_sample(LIMNER_SAMPLE_CARD(card));
    if (!is_one_of(sample, entries))
      continue;
    if (is_hidden)
      g_hash_table_add(self->hidden, g_object_ref(sample));
    gtk_flow_box_unselect_child(self->set_box, card);
    gtk_widget_set_visible(GTK_WIDGET(card), !is_hidden);
  }
  if (!is_hidden)
    show_again(self, entries);
  update_failure(self);
  update_page(self);
}

// --- going from one to the next ------------------------------------------------------------------

static LimnerSample *dup_at(LimnerGallery *self, int index) {
  GListModel *set = self->job ? limner_job_get_samples(self->job) : NULL;
  const int n_set = set ? (int)g_list_model_get_n_items(set) : 0;
  if (index < 0)
    return NULL;
  return index < n_set ? g_list_model_get_item(set, (guint)index)
                       : g_list_model_get_item(G_LIST_MODEL(self->earlier), (guint)(index - n_set));
}

static LimnerSample *find_shown(LimnerGallery *self, int from, int step) {
  for (int i = from + step;; i += step) {
    g_autoptr(LimnerSample) there = dup_at(self, i);
    if (!there || !g_hash_table_contains(self->hidden, there))
      return there; // held by its list
  }
}

LimnerSample *limner_gallery_get_neighbour(LimnerGallery *self, LimnerSample *sample, int step) {
  for (int i = 0;; i++) {
    g_autoptr(LimnerSample) here = dup_at(self, i);
    if (!here)
      return NULL;
    if (here == sample)
      return find_shown(self, i, step);
  }
}

static void on_activated(LimnerGallery *self) {
  gtk_widget_activate_action(GTK_WIDGET(self), "win.view", NULL);
}

// --- earlier pictures ----------------------------------------------------------------------------

static void on_setup_item(GtkSignalListItemFactory *factory, GtkListItem *item) {
  GtkWidget *canvas = g_object_new(LIMNER_TYPE_CANVAS, "fixed-side", THUMBNAIL_PX, "halign",
                                   GTK_ALIGN_CENTER, "valign", GTK_ALIGN_CENTER, NULL);
  limner_canvas_make_draggable(LIMNER_CANVAS(canvas));
  gtk_list_item_set_child(item, canvas);
}

static void on_bind_item(GtkSignalListItemFactory *factory, GtkListItem *item) {
  LimnerSample *sample = gtk_list_item_get_item(item);
  GtkWidget *canvas = gtk_list_item_get_child(item);
  g_autofree char *words = limner_words_for_sample(sample);
  limner_canvas_set_sample(LIMNER_CANVAS(canvas), sample);
  gtk_widget_set_tooltip_text(canvas, limner_sample_get_request(sample)->prompt);
  gtk_accessible_update_property(GTK_ACCESSIBLE(canvas), GTK_ACCESSIBLE_PROPERTY_LABEL, words, -1);
  GtkWidget *cell = gtk_widget_get_parent(canvas); // which takes the focus
  if (cell)
    gtk_accessible_update_property(GTK_ACCESSIBLE(cell), GTK_ACCESSIBLE_PROPERTY_LABEL, words, -1);
}

// --- the object ----------------------------------------------------------------------------------

static void limner_gallery_dispose(GObject *object) {
  LimnerGallery *self = LIMNER_GALLERY(object);
  g_clear_object(&self->job_signals);
  g_clear_object(&self->job);
  gtk_widget_dispose_template(GTK_WIDGET(object), LIMNER_TYPE_GALLERY);
  G_OBJECT_CLASS(limner_gallery_parent_class)->dispose(object);
}

static void limner_gallery_finalize(GObject *object) {
  g_hash_table_unref(LIMNER_GALLERY(object)->hidden);
  G_OBJECT_CLASS(limner_gallery_parent_class)->finalize(object);
}

static void bind_template(GtkWidgetClass *widget_class) {
  gtk_widget_class_set_template_from_resource(widget_class,
                                              "/org/limner/Limner/ui/limner-gallery.ui");
  gtk_widget_class_bind_template_child(widget_class, LimnerGallery, toasts);
  gtk_widget_class_bind_template_child(widget_class, LimnerGallery, stack);
  gtk_widget_class_bind_template_child(widget_class, LimnerGallery, origin);
  gtk_widget_class_bind_template_child(widget_class, LimnerGallery, origin_seen);
  gtk_widget_class_bind_template_child(widget_class, LimnerGallery, origin_label);
  gtk_widget_class_bind_template_child(widget_class, LimnerGallery, set_clamp);
  gtk_widget_class_bind_template_child(widget_class, LimnerGallery, set_box);
  gtk_widget_class_bind_template_child(widget_class, LimnerGallery, failure);
  gtk_widget_class_bind_template_child(widget_class, LimnerGallery, failure_label);
  gtk_widget_class_bind_template_child(widget_class, LimnerGallery, help_button);
  gtk_widget_class_bind_template_child(widget_class, LimnerGallery, earlier_label);
  gtk_widget_class_bind_template_child(widget_class, LimnerGallery, earlier_grid);
  gtk_widget_class_bind_template_child(widget_class, LimnerGallery, earlier_selection);
  gtk_widget_class_bind_template_child(widget_class, LimnerGallery, earlier);
  gtk_widget_class_bind_template_child(widget_class, LimnerGallery, progress);
  gtk_widget_class_bind_template_callback(widget_class, on_set_selected);
  gtk_widget_class_bind_template_callback(widget_class, on_earlier_selected);
  gtk_widget_class_bind_template_callback(widget_class, on_activated);
  gtk_widget_class_bind_template_callback(widget_class, on_setup_item);
  gtk_widget_class_bind_template_callback(widget_class, on_bind_item);
}

static void limner_gallery_class_init(LimnerGalleryClass *klass) {
  G_OBJECT_CLASS(klass)->dispose = limner_gallery_dispose;
  G_OBJECT_CLASS(klass)->finalize = limner_gallery_finalize;
  g_type_ensure(LIMNER_TYPE_PROGRESS);
  g_type_ensure(LIMNER_TYPE_SAMPLE);
  g_type_ensure(LIMNER_TYPE_SEEN);
  bind_template(GTK_WIDGET_CLASS(klass));
}

static void limner_gallery_init(LimnerGallery *self) {
  gtk_widget_init_template(GTK_WIDGET(self));
  self->hidden = g_hash_table_new_full(NULL, NULL, g_object_unref, NULL);
  self->job_signals = g_signal_group_new(LIMNER_TYPE_JOB);
  g_signal_group_connect_swapped(self->job_signals, "notify", G_CALLBACK(on_job_changed), self);
  update_failure(self);
  update_page(self);
}
