// SPDX-License-Identifier: MIT
// Turning what is typed and chosen into a query, and the cells of the grid.
#include "ui/limner-library-page.h"

#include "ui/limner-focus.h"
#include "ui/limner-library-list.h"
#include "ui/limner-thumbnail.h"
#include "ui/limner-words.h"

#include <glib/gi18n.h>

struct _LimnerLibraryPage {
  GtkWidget parent_instance;
  // Template
  GtkWidget *header;
  GtkEditable *search_entry;
  GtkToggleButton *favourites_button;
  GtkMenuButton *filter_button;
  GtkDropDown *kind_drop;
  GtkDropDown *date_drop;
  GtkDropDown *model_drop;
  GtkStringList *models;
  GtkCheckButton *trash_check;
  AdwToastOverlay *toasts;
  GtkStack *stack;
  GtkWidget *scroller;
  GtkGridView *grid;
  GtkMultiSelection *selection;
  GtkLabel *count_label;
  GtkWidget *bar;
  GtkWidget *chosen_box;
  GtkWidget *delete_button;
  // Owned
  LimnerLibrary *library;
  LimnerThumbnails *thumbnails;
  LimnerLibraryList *list;
  GCancellable *loading_models; // NULL = nothing under way
  // Plain
  gboolean is_clearing;
};

G_DEFINE_FINAL_TYPE(LimnerLibraryPage, limner_library_page, GTK_TYPE_WIDGET)

enum { SIGNAL_OPEN, SIGNAL_PROBLEM, N_SIGNALS };
static guint signals[N_SIGNALS];

// --- the query -----------------------------------------------------------------------------------

static gint64 get_from_us(guint choice) {
  static const int days[] = {0, 0, 6, 29, 364};
  if (choice == 0 || choice >= G_N_ELEMENTS(days))
    return 0;
  g_autoptr(GDateTime) now = g_date_time_new_now_local();
  g_autoptr(GDateTime) midnight =
      g_date_time_new_local(g_date_time_get_year(now), g_date_time_get_month(now),
                            g_date_time_get_day_of_month(now), 0, 0, 0);
  g_autoptr(GDateTime) from = g_date_time_add_days(midnight, -days[choice]);
  return g_date_time_to_unix(from) * G_USEC_PER_SEC;
}

static const char *get_model(LimnerLibraryPage *self) {
  const guint choice = gtk_drop_down_get_selected(self->model_drop);
  return choice > 0 && choice != GTK_INVALID_LIST_POSITION
             ? gtk_string_list_get_string(self->models, choice)
             : NULL;
}

static LimnerLibraryQuery get_query(LimnerLibraryPage *self) {
  static const unsigned kinds[] = {0, LIMNER_KIND_PAINTED, LIMNER_KIND_EDITED};
  const guint kind = gtk_drop_down_get_selected(self->kind_drop);
  return (LimnerLibraryQuery){
      .text = gtk_editable_get_text(self->search_entry),
      .kinds = kind < G_N_ELEMENTS(kinds) ? kinds[kind] : 0,
      .only_favourites = gtk_toggle_button_get_active(self->favourites_button),
      .only_deleted = gtk_check_button_get_active(self->trash_check),
      .model = get_model(self),
      .from_us = get_from_us(gtk_drop_down_get_selected(self->date_drop)),
  };
}

// Whether the filter's button stands for something; words and favourites are seen beside it.
static gboolean is_filtered(const LimnerLibraryQuery *query) {
  return query->kinds || query->only_deleted || query->model || query->from_us;
}

static void update_query(LimnerLibraryPage *self) {
  if (!self->list || self->is_clearing)
    return;
  const LimnerLibraryQuery query = get_query(self);
  const char *words = query.only_deleted ? _("Put Back (Del)") : _("Delete (Del)");
  limner_library_list_set_query(self->list, &query);
  gtk_selection_model_unselect_all(GTK_SELECTION_MODEL(self->selection));
  if (is_filtered(&query))
    gtk_widget_add_css_class(GTK_WIDGET(self->filter_button), "filtered");
  else
    gtk_widget_remove_css_class(GTK_WIDGET(self->filter_button), "filtered");
  gtk_button_set_icon_name(GTK_BUTTON(self->delete_button),
                           query.only_deleted ? "edit-undo-symbolic" : "user-trash-symbolic");
  gtk_widget_set_tooltip_text(self->delete_button, words);
  gtk_accessible_update_property(GTK_ACCESSIBLE(self->delete_button), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                 query.only_deleted ? _("Put back") : _("Delete"), -1);
}

static void clear(GtkWidget *widget, const char *action, GVariant *parameter) {
  LimnerLibraryPage *self = LIMNER_LIBRARY_PAGE(widget);
  self->is_clearing = TRUE;
  gtk_editable_set_text(self->search_entry, "");
  gtk_toggle_button_set_active(self->favourites_button, FALSE);
  gtk_check_button_set_active(self->trash_check, FALSE);
  gtk_drop_down_set_selected(self->kind_drop, 0);
  gtk_drop_down_set_selected(self->date_drop, 0);
  gtk_drop_down_set_selected(self->model_drop, 0);
  self->is_clearing = FALSE;
  gtk_menu_button_popdown(self->filter_button);
  update_query(self);
}

// Esc first empties the box.
static void on_stop_search(LimnerLibraryPage *self) {
  if (*gtk_editable_get_text(self->search_entry))
    gtk_editable_set_text(self->search_entry, "");
  else
    gtk_widget_activate_action(GTK_WIDGET(self), "win.escape", NULL);
}

// --- the models to choose from -------------------------------------------------------------------

static gpointer dup_models(LimnerLibrary *library, gpointer data, GCancellable *cancellable,
                           GError **error) {
  return limner_library_dup_models(library, error);
}

static gboolean has_models(LimnerLibraryPage *self, GStrv names) {
  const guint n = g_strv_length(names);
  if (g_list_model_get_n_items(G_LIST_MODEL(self->models)) != n + 1)
    return FALSE;
  for (guint i = 0; i < n; i++)
    if (strcmp(names[i], gtk_string_list_get_string(self->models, i + 1)) != 0)
      return FALSE;
  return TRUE;
}

// A page that goes cancels first, so that it is there unless the loading was cancelled.
static void on_models(GObject *source, GAsyncResult *result, gpointer data) {
  g_autoptr(GError) error = NULL;
  g_auto(GStrv) names = limner_library_call_finish(LIMNER_LIBRARY(source), result, &error);
  if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  LimnerLibraryPage *self = data;
  g_clear_object(&self->loading_models);
  if (!names || has_models(self, names))
    return;
  g_autofree char *chosen = g_strdup(get_model(self));
  self->is_clearing = TRUE;
  const guint n_before = g_list_model_get_n_items(G_LIST_MODEL(self->models)) - 1;
  gtk_string_list_splice(self->models, 1, n_before, (const char *const *)names);
  gtk_drop_down_set_selected(self->model_drop, 0);
  for (guint i = 0; chosen && names[i]; i++)
    if (strcmp(names[i], chosen) == 0)
      gtk_drop_down_set_selected(self->model_drop, i + 1);
  self->is_clearing = FALSE;
}

static void load_models(LimnerLibraryPage *self) {
  if (!self->library || self->loading_models)
    return;
  self->loading_models = g_cancellable_new();
  limner_library_call_async(self->library, dup_models, NULL, NULL, (GDestroyNotify)g_strfreev,
                            self->loading_models, on_models, self);
}

// --- what is shown -------------------------------------------------------------------------------

static guint count_selected(LimnerLibraryPage *self) {
  g_autoptr(GtkBitset) selected =
      gtk_selection_model_get_selection(GTK_SELECTION_MODEL(self->selection));
  return (guint)gtk_bitset_get_size(selected);
}

static void on_selection_changed(LimnerLibraryPage *self) {
  const guint n_all = self->list ? g_list_model_get_n_items(G_LIST_MODEL(self->list)) : 0;
  const guint n_chosen = count_selected(self);
  g_autofree char *all = g_strdup_printf(ngettext("%u picture", "%u pictures", n_all), n_all);
  // Translators: how many are selected, and of how many: "2 of 31 pictures"
  g_autofree char *words = n_chosen ? g_strdup_printf(_("%u of %s"), n_chosen, all) : g_strdup(all);
  gtk_label_set_label(self->count_label, words);
  gtk_widget_set_sensitive(self->chosen_box, n_chosen > 0);
}

static void update_page(LimnerLibraryPage *self) {
  if (!self->list)
    return;
  const LimnerLibraryQuery query = get_query(self);
  const gboolean has_some = g_list_model_get_n_items(G_LIST_MODEL(self->list)) > 0;
  limner_focus_leave_gone(GTK_WIDGET(self->grid));
  const gboolean is_asked = is_filtered(&query) || query.only_favourites || *query.text;
  if (has_some || !limner_library_list_is_loading(self->list))
    gtk_stack_set_visible_child_name(self->stack, has_some   ? "grid"
                                                  : is_asked ? "nothing"
                                                             : "empty");
  gtk_widget_set_visible(self->bar, has_some);
  on_selection_changed(self);
}

static void on_list_problem(LimnerLibraryPage *self, const char *sentence) {
  g_signal_emit(self, signals[SIGNAL_PROBLEM], 0, sentence);
}

static void on_activated(LimnerLibraryPage *self, guint position) {
  g_autoptr(LimnerLibraryItem) item = g_list_model_get_item(G_LIST_MODEL(self->list), position);
  if (item)
    g_signal_emit(self, signals[SIGNAL_OPEN], 0, limner_library_item_get_entry(item));
}

// --- cells ---------------------------------------------------------------------------------------

static void on_entry_changed(LimnerLibraryItem *item, GParamSpec *pspec, GtkListItem *cell) {
  LimnerThumbnail *thumbnail = LIMNER_THUMBNAIL(gtk_list_item_get_child(cell));
  LimnerEntry *entry = limner_library_item_get_entry(item);
  g_autofree char *words = limner_words_for_entry(entry);
  limner_thumbnail_set_entry(thumbnail, entry);
  gtk_widget_set_tooltip_text(GTK_WIDGET(thumbnail), limner_entry_get_facts(entry)->prompt);
  GtkWidget *frame = gtk_widget_get_parent(GTK_WIDGET(thumbnail)); // which takes the focus
  if (frame)
    gtk_accessible_update_property(GTK_ACCESSIBLE(frame), GTK_ACCESSIBLE_PROPERTY_LABEL, words, -1);
}

// Its file, as file managers offer it: the original with all that it says.
static GdkContentProvider *on_prepare_drag(GtkDragSource *source, double x, double y,
                                           LimnerLibrary *library) {
  GtkWidget *widget = gtk_event_controller_get_widget(GTK_EVENT_CONTROLLER(source));
  LimnerEntry *entry = limner_thumbnail_get_entry(LIMNER_THUMBNAIL(widget));
  if (!entry || limner_entry_get_facts(entry)->is_missing)
    return NULL;
  g_autofree char *path = limner_library_dup_path(library, entry);
  g_autoptr(GFile) file = g_file_new_for_path(path);
  GdkFileList *files = gdk_file_list_new_from_array(&file, 1);
  g_autoptr(GdkPaintable) icon = gtk_widget_paintable_new(widget);
  gtk_drag_source_set_icon(source, icon, 0, 0);
  GdkContentProvider *content = gdk_content_provider_new_typed(GDK_TYPE_FILE_LIST, files);
  g_boxed_free(GDK_TYPE_FILE_LIST, files);
  return content;
}

static void on_setup_item(GtkSignalListItemFactory *factory, GtkListItem *cell, gpointer data) {
  LimnerLibraryPage *self = LIMNER_LIBRARY_PAGE(data);
  GtkWidget *thumbnail = limner_thumbnail_new(self->thumbnails);
  GtkDragSource *source = gtk_drag_source_new();
  gtk_drag_source_set_actions(source, GDK_ACTION_COPY);
  g_signal_connect_object(source, "prepare", G_CALLBACK(on_prepare_drag), self->library, 0);
  gtk_widget_add_controller(thumbnail, GTK_EVENT_CONTROLLER(source));
  gtk_list_item_set_child(cell, thumbnail);
}

static void on_bind_item(GtkSignalListItemFactory *factory, GtkListItem *cell) {
  LimnerLibraryItem *item = gtk_list_item_get_item(cell);
  g_signal_connect(item, "notify::entry", G_CALLBACK(on_entry_changed), cell);
  on_entry_changed(item, NULL, cell);
}

static void on_unbind_item(GtkSignalListItemFactory *factory, GtkListItem *cell) {
  g_signal_handlers_disconnect_by_func(gtk_list_item_get_item(cell), on_entry_changed, cell);
  limner_thumbnail_set_entry(LIMNER_THUMBNAIL(gtk_list_item_get_child(cell)), NULL);
}

// --- what the window asks ------------------------------------------------------------------------

void limner_library_page_set_library(LimnerLibraryPage *self, LimnerLibrary *library) {
  self->library = g_object_ref(library);
  self->thumbnails = limner_thumbnails_new(library);
  self->list = limner_library_list_new(library);
  g_signal_connect_object(self->list, "notify::loading", G_CALLBACK(update_page), self,
                          G_CONNECT_SWAPPED);
  g_signal_connect_object(self->list, "problem", G_CALLBACK(on_list_problem), self,
                          G_CONNECT_SWAPPED);
  gtk_multi_selection_set_model(self->selection, G_LIST_MODEL(self->list));
}

LimnerThumbnails *limner_library_page_get_thumbnails(LimnerLibraryPage *self) {
  return self->thumbnails;
}

void limner_library_page_search(LimnerLibraryPage *self) {
  gtk_widget_grab_focus(GTK_WIDGET(self->search_entry));
}

// Where the cursor was, else the newest.
void limner_library_page_focus_grid(LimnerLibraryPage *self) {
  GtkWidget *first = gtk_widget_get_first_child(GTK_WIDGET(self->grid));
  GtkWidget *target = count_selected(self) == 0 && first ? first : GTK_WIDGET(self->grid);
  if (!self->list || g_list_model_get_n_items(G_LIST_MODEL(self->list)) == 0 ||
      !gtk_widget_grab_focus(target))
    limner_library_page_search(self);
}

static LimnerEntry *get_focused(LimnerLibraryPage *self) {
  GtkRoot *root = gtk_widget_get_root(GTK_WIDGET(self));
  GtkWidget *focus = root ? gtk_root_get_focus(root) : NULL;
  GtkWidget *child = focus ? gtk_widget_get_first_child(focus) : NULL;
  return LIMNER_IS_THUMBNAIL(child) && gtk_widget_is_ancestor(child, GTK_WIDGET(self))
             ? limner_thumbnail_get_entry(LIMNER_THUMBNAIL(child))
             : NULL;
}

GPtrArray *limner_library_page_dup_chosen(LimnerLibraryPage *self) {
  GPtrArray *chosen = g_ptr_array_new_with_free_func(g_object_unref);
  g_autoptr(GtkBitset) selected =
      gtk_selection_model_get_selection(GTK_SELECTION_MODEL(self->selection));
  for (guint64 i = 0; i < gtk_bitset_get_size(selected); i++) {
    g_autoptr(LimnerLibraryItem) item =
        g_list_model_get_item(G_LIST_MODEL(self->list), gtk_bitset_get_nth(selected, (guint)i));
    g_ptr_array_add(chosen, g_object_ref(limner_library_item_get_entry(item)));
  }
  LimnerEntry *focused = chosen->len == 0 ? get_focused(self) : NULL;
  if (focused)
    g_ptr_array_add(chosen, g_object_ref(focused));
  return chosen;
}

LimnerEntry *limner_library_page_dup_neighbour(LimnerLibraryPage *self, LimnerEntry *entry,
                                               int step) {
  guint position = 0;
  if (!self->list ||
      !limner_library_list_find(self->list, limner_entry_get_facts(entry)->id, &position))
    return NULL;
  const gint64 there = (gint64)position + step;
  g_autoptr(LimnerLibraryItem) item =
      there >= 0 ? g_list_model_get_item(G_LIST_MODEL(self->list), (guint)there) : NULL;
  return item ? g_object_ref(limner_library_item_get_entry(item)) : NULL;
}

void limner_library_page_choose(LimnerLibraryPage *self, LimnerEntry *entry) {
  guint position = 0;
  if (!self->list ||
      !limner_library_list_find(self->list, limner_entry_get_facts(entry)->id, &position))
    return;
  gtk_selection_model_select_item(GTK_SELECTION_MODEL(self->selection), position, TRUE);
  gtk_widget_activate_action(GTK_WIDGET(self->grid), "list.scroll-to-item", "u", position);
}

AdwToastOverlay *limner_library_page_get_toasts(LimnerLibraryPage *self) {
  return self->toasts;
}

// --- the object ----------------------------------------------------------------------------------

static void limner_library_page_dispose(GObject *object) {
  LimnerLibraryPage *self = LIMNER_LIBRARY_PAGE(object);
  if (self->loading_models)
    g_cancellable_cancel(self->loading_models);
  g_clear_object(&self->loading_models);
  gtk_widget_dispose_template(GTK_WIDGET(object), LIMNER_TYPE_LIBRARY_PAGE);
  g_clear_object(&self->list);
  g_clear_object(&self->thumbnails);
  g_clear_object(&self->library);
  G_OBJECT_CLASS(limner_library_page_parent_class)->dispose(object);
}

static void bind_template(GtkWidgetClass *widget_class) {
  gtk_widget_class_set_template_from_resource(widget_class,
                                              "/org/limner/Limner/ui/limner-library-page.ui");
  gtk_widget_class_bind_template_child(widget_class, LimnerLibraryPage, header);
  gtk_widget_class_bind_template_child(widget_class, LimnerLibraryPage, search_entry);
  gtk_widget_class_bind_template_child(widget_class, LimnerLibraryPage, favourites_button);
  gtk_widget_class_bind_template_child(widget_class, LimnerLibraryPage, filter_button);
  gtk_widget_class_bind_template_child(widget_class, LimnerLibraryPage, kind_drop);
  gtk_widget_class_bind_template_child(widget_class, LimnerLibraryPage, date_drop);
  gtk_widget_class_bind_template_child(widget_class, LimnerLibraryPage, model_drop);
  gtk_widget_class_bind_template_child(widget_class, LimnerLibraryPage, models);
  gtk_widget_class_bind_template_child(widget_class, LimnerLibraryPage, trash_check);
  gtk_widget_class_bind_template_child(widget_class, LimnerLibraryPage, toasts);
  gtk_widget_class_bind_template_child(widget_class, LimnerLibraryPage, stack);
  gtk_widget_class_bind_template_child(widget_class, LimnerLibraryPage, scroller);
  gtk_widget_class_bind_template_child(widget_class, LimnerLibraryPage, grid);
  gtk_widget_class_bind_template_child(widget_class, LimnerLibraryPage, selection);
  gtk_widget_class_bind_template_child(widget_class, LimnerLibraryPage, count_label);
  gtk_widget_class_bind_template_child(widget_class, LimnerLibraryPage, bar);
  gtk_widget_class_bind_template_child(widget_class, LimnerLibraryPage, chosen_box);
  gtk_widget_class_bind_template_child(widget_class, LimnerLibraryPage, delete_button);
  gtk_widget_class_bind_template_callback(widget_class, update_query);
  gtk_widget_class_bind_template_callback(widget_class, update_page);
  gtk_widget_class_bind_template_callback(widget_class, on_stop_search);
  gtk_widget_class_bind_template_callback(widget_class, load_models);
  gtk_widget_class_bind_template_callback(widget_class, on_selection_changed);
  gtk_widget_class_bind_template_callback(widget_class, on_activated);
  gtk_widget_class_bind_template_callback(widget_class, on_setup_item);
  gtk_widget_class_bind_template_callback(widget_class, on_bind_item);
  gtk_widget_class_bind_template_callback(widget_class, on_unbind_item);
  gtk_widget_class_bind_template_callback(widget_class, limner_library_page_focus_grid);
}

static void limner_library_page_class_init(LimnerLibraryPageClass *klass) {
  GtkWidgetClass *widget_class = GTK_WIDGET_CLASS(klass);
  G_OBJECT_CLASS(klass)->dispose = limner_library_page_dispose;
  bind_template(widget_class);
  gtk_widget_class_install_action(widget_class, "library.clear", NULL, clear);
  signals[SIGNAL_OPEN] = g_signal_new("open", LIMNER_TYPE_LIBRARY_PAGE, G_SIGNAL_RUN_LAST, 0, NULL,
                                      NULL, NULL, G_TYPE_NONE, 1, LIMNER_TYPE_ENTRY);
  signals[SIGNAL_PROBLEM] = g_signal_new("problem", LIMNER_TYPE_LIBRARY_PAGE, G_SIGNAL_RUN_LAST, 0,
                                         NULL, NULL, NULL, G_TYPE_NONE, 1, G_TYPE_STRING);
}

static void limner_library_page_init(LimnerLibraryPage *self) {
  gtk_widget_init_template(GTK_WIDGET(self));
  update_page(self);
}
