// SPDX-License-Identifier: MIT
// Reading a query's answer in pages, and telling what has changed since the last one.
#include "ui/limner-library-list.h"

enum { FIRST_PAGE = 200 }; // more than is seen at once

// --- items ---------------------------------------------------------------------------------------

struct _LimnerLibraryItem {
  GObject parent_instance;
  LimnerEntry *entry; // owned
};

G_DEFINE_FINAL_TYPE(LimnerLibraryItem, limner_library_item, G_TYPE_OBJECT)

static GParamSpec *entry_property;

static void limner_library_item_get_property(GObject *object, guint id, GValue *value,
                                             GParamSpec *pspec) {
  g_value_set_object(value, LIMNER_LIBRARY_ITEM(object)->entry);
}

static void limner_library_item_finalize(GObject *object) {
  g_clear_object(&LIMNER_LIBRARY_ITEM(object)->entry);
  G_OBJECT_CLASS(limner_library_item_parent_class)->finalize(object);
}

static void limner_library_item_class_init(LimnerLibraryItemClass *klass) {
  G_OBJECT_CLASS(klass)->get_property = limner_library_item_get_property;
  G_OBJECT_CLASS(klass)->finalize = limner_library_item_finalize;
  entry_property =
      g_param_spec_object("entry", NULL, NULL, LIMNER_TYPE_ENTRY,
                          G_PARAM_READABLE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY);
  g_object_class_install_property(G_OBJECT_CLASS(klass), 1, entry_property);
}

static void limner_library_item_init(LimnerLibraryItem *self) {}

LimnerEntry *limner_library_item_get_entry(LimnerLibraryItem *self) {
  return self->entry;
}

static LimnerLibraryItem *item_new(LimnerEntry *entry) {
  LimnerLibraryItem *self = g_object_new(LIMNER_TYPE_LIBRARY_ITEM, NULL);
  self->entry = g_object_ref(entry);
  return self;
}

static gint64 item_id(LimnerLibraryItem *item) {
  return limner_entry_get_facts(item->entry)->id;
}

static void item_update(LimnerLibraryItem *item, LimnerEntry *entry) {
  const LimnerEntryFacts *was = limner_entry_get_facts(item->entry);
  const LimnerEntryFacts *is = limner_entry_get_facts(entry);
  const gboolean is_same = was->is_favourite == is->is_favourite &&
                           was->is_deleted == is->is_deleted && was->is_missing == is->is_missing &&
                           strcmp(was->name, is->name) == 0;
  if (g_set_object(&item->entry, entry) && !is_same)
    g_object_notify_by_pspec(G_OBJECT(item), entry_property);
}

// --- the list ------------------------------------------------------------------------------------

struct _LimnerLibraryList {
  GObject parent_instance;
  // Owned
  LimnerLibrary *library;
  GPtrArray *items; // of LimnerLibraryItem
  char *text, *model;
  GPtrArray *found;      // entries of the pages so far
  GCancellable *reading; // NULL = nothing under way
  // Plain
  LimnerLibraryQuery query; // its strings are the two above
  gboolean is_stale;        // something changed while it was read
  gboolean is_new;          // nothing of this query is shown yet
};

static GType get_item_type(GListModel *model) {
  return LIMNER_TYPE_LIBRARY_ITEM;
}

static guint get_n_items(GListModel *model) {
  return LIMNER_LIBRARY_LIST(model)->items->len;
}

static gpointer get_item(GListModel *model, guint position) {
  GPtrArray *items = LIMNER_LIBRARY_LIST(model)->items;
  return position < items->len ? g_object_ref(items->pdata[position]) : NULL;
}

static void init_model(GListModelInterface *interface) {
  interface->get_item_type = get_item_type;
  interface->get_n_items = get_n_items;
  interface->get_item = get_item;
}

G_DEFINE_FINAL_TYPE_WITH_CODE(LimnerLibraryList, limner_library_list, G_TYPE_OBJECT,
                              G_IMPLEMENT_INTERFACE(G_TYPE_LIST_MODEL, init_model))

static GParamSpec *loading_property;
static guint problem_signal;

static gboolean is_at(const LimnerLibraryList *self, guint position, GPtrArray *found, guint at) {
  return item_id(self->items->pdata[position]) == limner_entry_get_facts(found->pdata[at])->id;
}

// Takes the found entries [start, end) for the items [start, end_before), which are found again
// where they only moved.
static void replace(LimnerLibraryList *self, guint start, guint end_before, guint end) {
  g_autoptr(GHashTable) known = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
  g_autoptr(GPtrArray) before = self->items;
  for (guint i = start; i < end_before; i++) {
    const gint64 id = item_id(before->pdata[i]);
    g_hash_table_insert(known, g_memdup2(&id, sizeof id), before->pdata[i]);
  }
  self->items = g_ptr_array_new_full(self->found->len, g_object_unref);
  for (guint i = 0; i < start; i++)
    g_ptr_array_add(self->items, g_object_ref(before->pdata[i]));
  for (guint i = start; i < end; i++) {
    LimnerEntry *entry = self->found->pdata[i];
    LimnerLibraryItem *item = g_hash_table_lookup(known, &limner_entry_get_facts(entry)->id);
    if (item)
      item_update(g_object_ref(item), entry);
    g_ptr_array_add(self->items, item ? item : item_new(entry));
  }
  for (guint i = end_before; i < before->len; i++)
    g_ptr_array_add(self->items, g_object_ref(before->pdata[i]));
}

// Makes the items those found, and says which stretch became another one.
static void apply(LimnerLibraryList *self) {
  const guint n_before = self->items->len, n = self->found->len;
  guint start = 0, n_same = 0;
  while (start < MIN(n_before, n) && is_at(self, start, self->found, start))
    start++;
  while (n_same < MIN(n_before, n) - start &&
         is_at(self, n_before - 1 - n_same, self->found, n - 1 - n_same))
    n_same++;
  for (guint i = 0; i < start; i++)
    item_update(self->items->pdata[i], self->found->pdata[i]);
  for (guint i = 1; i <= n_same; i++)
    item_update(self->items->pdata[n_before - i], self->found->pdata[n - i]);
  const guint n_removed = n_before - n_same - start, n_added = n - n_same - start;
  if (n_removed + n_added == 0)
    return;
  replace(self, start, start + n_removed, start + n_added);
  g_list_model_items_changed(G_LIST_MODEL(self), start, n_removed, n_added);
}

static void read_page(LimnerLibraryList *self);

static void finish(LimnerLibraryList *self) {
  g_clear_object(&self->reading);
  g_clear_pointer(&self->found, g_ptr_array_unref);
  if (self->is_stale)
    read_page(self);
}

static void show(LimnerLibraryList *self) {
  const gboolean was_new = self->is_new;
  self->is_new = FALSE;
  apply(self);
  if (was_new)
    g_object_notify_by_pspec(G_OBJECT(self), loading_property);
}

// A list that goes cancels first, so that it is there unless the reading was cancelled.
static void on_page(GObject *source, GAsyncResult *result, gpointer data) {
  g_autoptr(GError) error = NULL;
  g_autoptr(GPtrArray) page = limner_library_query_finish(LIMNER_LIBRARY(source), result, &error);
  if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  LimnerLibraryList *self = data;
  if (!page) {
    self->is_new = FALSE;
    g_object_notify_by_pspec(G_OBJECT(self), loading_property);
    g_signal_emit(self, problem_signal, 0, error->message);
    finish(self);
    return;
  }
  const gboolean is_first = self->found->len == 0;
  const gboolean is_last = !is_first || page->len < FIRST_PAGE;
  g_ptr_array_extend_and_steal(self->found, g_steal_pointer(&page));
  if (is_last || self->is_new)
    show(self);
  if (is_last)
    finish(self);
  else
    read_page(self);
}

static void read_page(LimnerLibraryList *self) {
  if (!self->found) {
    self->found = g_ptr_array_new_with_free_func(g_object_unref);
    self->reading = g_cancellable_new();
    self->is_stale = FALSE;
  }
  self->query.offset = self->found->len;
  self->query.limit = self->found->len ? 0 : FIRST_PAGE;
  limner_library_query_async(self->library, &self->query, self->reading, on_page, self);
}

static void stop_reading(LimnerLibraryList *self) {
  if (self->reading)
    g_cancellable_cancel(self->reading);
  g_clear_object(&self->reading);
  g_clear_pointer(&self->found, g_ptr_array_unref);
}

static void on_changed(LimnerLibraryList *self) {
  self->is_stale = TRUE;
  if (!self->reading)
    read_page(self);
}

void limner_library_list_set_query(LimnerLibraryList *self, const LimnerLibraryQuery *query) {
  stop_reading(self);
  g_free(self->text);
  g_free(self->model);
  self->query = *query;
  self->query.text = self->text = g_strdup(query->text);
  self->query.model = self->model = g_strdup(query->model);
  self->is_new = TRUE;
  read_page(self);
}

gboolean limner_library_list_is_loading(LimnerLibraryList *self) {
  return self->is_new;
}

gboolean limner_library_list_find(LimnerLibraryList *self, gint64 id, guint *position) {
  for (guint i = 0; i < self->items->len; i++)
    if (item_id(self->items->pdata[i]) == id) {
      *position = i;
      return TRUE;
    }
  return FALSE;
}

// --- the object ----------------------------------------------------------------------------------

static void limner_library_list_get_property(GObject *object, guint id, GValue *value,
                                             GParamSpec *pspec) {
  g_value_set_boolean(value, LIMNER_LIBRARY_LIST(object)->is_new);
}

static void limner_library_list_dispose(GObject *object) {
  LimnerLibraryList *self = LIMNER_LIBRARY_LIST(object);
  stop_reading(self);
  g_clear_object(&self->library);
  G_OBJECT_CLASS(limner_library_list_parent_class)->dispose(object);
}

static void limner_library_list_finalize(GObject *object) {
  LimnerLibraryList *self = LIMNER_LIBRARY_LIST(object);
  g_ptr_array_unref(self->items);
  g_free(self->text);
  g_free(self->model);
  G_OBJECT_CLASS(limner_library_list_parent_class)->finalize(object);
}

static void limner_library_list_class_init(LimnerLibraryListClass *klass) {
  GObjectClass *object_class = G_OBJECT_CLASS(klass);
  object_class->get_property = limner_library_list_get_property;
  object_class->dispose = limner_library_list_dispose;
  object_class->finalize = limner_library_list_finalize;
  loading_property =
      g_param_spec_boolean("loading", NULL, NULL, FALSE,
                           G_PARAM_READABLE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY);
  g_object_class_install_property(object_class, 1, loading_property);
  problem_signal = g_signal_new("problem", LIMNER_TYPE_LIBRARY_LIST, G_SIGNAL_RUN_LAST, 0, NULL,
                                NULL, NULL, G_TYPE_NONE, 1, G_TYPE_STRING);
}

static void limner_library_list_init(LimnerLibraryList *self) {
  self->items = g_ptr_array_new_with_free_func(g_object_unref);
}

LimnerLibraryList *limner_library_list_new(LimnerLibrary *library) {
  LimnerLibraryList *self = g_object_new(LIMNER_TYPE_LIBRARY_LIST, NULL);
  self->library = g_object_ref(library);
  g_signal_connect_object(library, "changed", G_CALLBACK(on_changed), self, G_CONNECT_SWAPPED);
  limner_library_list_set_query(self, &(LimnerLibraryQuery){0});
  return self;
}
