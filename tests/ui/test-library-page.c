// SPDX-License-Identifier: MIT
// The library in the window: its list, its small pictures, its page, and the window around it.
// The argument is a small model folder.
#include "app/draft.h"
#include "app/recipe.h"
#include "tests/ui/remove-all.h"
#include "tests/ui/waiting.h"
#include "ui/limner-kept.h"
#include "ui/limner-library-list.h"
#include "ui/limner-library-page.h"
#include "ui/limner-progress.h"
#include "ui/limner-thumbnail.h"
#include "ui/limner-window-private.h"

enum { SIZE_PX = 16 };

static const char *model_folder;

// --- libraries to look at ------------------------------------------------------------------------

typedef struct Place {
  char *root, *pictures, *state;
} Place;

static Place place_new(void) {
  Place place = {.root = g_dir_make_tmp("limner-page-XXXXXX", NULL)};
  place.pictures = g_build_filename(place.root, "pictures", NULL);
  place.state = g_build_filename(place.root, "state", NULL);
  return place;
}

static void place_clear(Place *place) {
  remove_all(place->root);
  g_free(place->root);
  g_free(place->pictures);
  g_free(place->state);
}

static LimnerPicture *new_picture(const char *prompt, guint64 seed, const char *input_sha256) {
  guint8 *rgb = g_malloc(SIZE_PX * SIZE_PX * 3);
  for (guint i = 0; i < SIZE_PX * SIZE_PX * 3; i++)
    rgb[i] = (guint8)(i * 7 + seed * 13);
  g_autoptr(GBytes) bytes = g_bytes_new_take(rgb, SIZE_PX * SIZE_PX * 3);
  const LimnerRequest request = {.prompt = (char *)prompt,
                                 .n_samples = 1,
                                 .seed = seed,
                                 .cfg = 3,
                                 .temperature = 1,
                                 .top_p = 1};
  const JanusModelInfo info = {.name = "Demo", .device = "cpu", .image_size_px = SIZE_PX};
  const gint32 tokens[] = {1, 2, 3, 4};
  g_autoptr(LimnerRecipe) recipe = limner_recipe_new(&request, 0, tokens, 4, &info);
  recipe->input_sha256 = g_strdup(input_sha256);
  return limner_recipe_dup_picture(recipe, bytes);
}

static LimnerEntry *keep(LimnerLibrary *library, const char *prompt, guint64 seed) {
  g_autoptr(LimnerPicture) picture = new_picture(prompt, seed, NULL);
  g_autoptr(GError) error = NULL;
  LimnerEntry *entry = limner_library_keep(library, picture, NULL, &error);
  g_assert_no_error(error);
  return entry;
}

// With `n` pictures, "a boat 0" first.
static LimnerLibrary *new_library(const Place *place, guint n) {
  LimnerLibrary *library = limner_library_open(place->pictures, place->state);
  for (guint i = 0; i < n; i++) {
    g_autofree char *prompt = g_strdup_printf("%s %u", i % 2 ? "a house" : "a boat", i);
    g_object_unref(keep(library, prompt, i));
    g_usleep(2000); // their times order them
  }
  while (g_main_context_iteration(NULL, FALSE))
    ;
  return library;
}

// Threads that look at the folder once more let go of it first.
static void close_library(LimnerLibrary *library) {
  settle();
  wait_until(G_OBJECT(library)->ref_count == 1);
  g_assert_finalize_object(library);
}

#define n_items(model) g_list_model_get_n_items(G_LIST_MODEL(model))

// --- the list ------------------------------------------------------------------------------------

static const char *prompt_at(gpointer list, guint position) {
  g_autoptr(LimnerLibraryItem) item = g_list_model_get_item(G_LIST_MODEL(list), position);
  return limner_entry_get_facts(limner_library_item_get_entry(item))->prompt; // the list holds it
}

typedef struct Change {
  guint position, n_removed, n_added, n;
} Change;

static void on_items_changed(GListModel *list, guint position, guint n_removed, guint n_added,
                             gpointer data) {
  Change *change = data;
  *change = (Change){position, n_removed, n_added, change->n + 1};
}

static void test_list(void) {
  Place place = place_new();
  LimnerLibrary *library = new_library(&place, 5);
  LimnerLibraryList *list = limner_library_list_new(library);
  g_assert_true(limner_library_list_is_loading(list));
  wait_until(!limner_library_list_is_loading(list));
  g_assert_cmpuint(n_items(list), ==, 5);
  g_assert_cmpstr(prompt_at(list, 0), ==, "a boat 4");
  Change change = {0};
  g_signal_connect(list, "items-changed", G_CALLBACK(on_items_changed), &change);
  g_autoptr(LimnerLibraryItem) second = g_list_model_get_item(G_LIST_MODEL(list), 1);
  // A new picture comes in front; the others stay the items they are.
  g_autoptr(LimnerEntry) entry = keep(library, "a tree", 77);
  wait_until(n_items(list) == 6);
  g_assert_cmpuint(change.position, ==, 0);
  g_assert_cmpuint(change.n_removed, ==, 0);
  g_assert_cmpuint(change.n_added, ==, 1);
  g_autoptr(LimnerLibraryItem) third = g_list_model_get_item(G_LIST_MODEL(list), 2);
  g_assert_true(third == second);
  // A favourite is no other item.
  LimnerEntry *before = limner_library_item_get_entry(second);
  g_assert_true(limner_library_set_favourite(library, before, TRUE, NULL));
  wait_until(limner_entry_get_facts(limner_library_item_get_entry(second))->is_favourite);
  g_assert_cmpuint(change.n, ==, 1);
  // One that is deleted goes alone.
  g_assert_true(limner_library_delete(library, limner_library_item_get_entry(second), NULL));
  wait_until(n_items(list) == 5);
  g_assert_cmpuint(change.position, ==, 2);
  g_assert_cmpuint(change.n_removed, ==, 1);
  limner_library_list_set_query(list, &(LimnerLibraryQuery){.text = "HOUSE"});
  wait_until(!limner_library_list_is_loading(list));
  g_assert_cmpuint(n_items(list), ==, 1);
  limner_library_list_set_query(list, &(LimnerLibraryQuery){.text = "boat"}); // goes while it reads
  g_assert_finalize_object(list);
  close_library(library);
  place_clear(&place);
}

// --- small pictures ------------------------------------------------------------------------------

static void test_thumbnail(void) {
  Place place = place_new();
  LimnerLibrary *library = new_library(&place, 1);
  g_autoptr(LimnerEntry) entry = keep(library, "a tree", 77);
  LimnerThumbnails *thumbnails = limner_thumbnails_new(library);
  LimnerThumbnail *thumbnail =
      LIMNER_THUMBNAIL(g_object_ref_sink(limner_thumbnail_new(thumbnails)));
  limner_thumbnail_set_entry(thumbnail, entry);
  wait_until(limner_thumbnail_has_picture(thumbnail));
  gtk_test_accessible_assert_property(GTK_ACCESSIBLE(thumbnail), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                      "a tree");
  g_assert_cmpuint(limner_thumbnails_get_n_held(thumbnails), ==, 1);
  g_assert_cmpint(gdk_texture_get_width(limner_thumbnails_get(thumbnails, entry, 1)), ==, SIZE_PX);
  limner_thumbnail_set_entry(thumbnail, NULL);
  g_assert_false(limner_thumbnail_has_picture(thumbnail));
  limner_thumbnail_set_entry(thumbnail, entry); // from memory
  g_assert_true(limner_thumbnail_has_picture(thumbnail));
  g_autoptr(LimnerEntry) other = keep(library, "a fox", 78);
  limner_thumbnail_set_entry(thumbnail, other); // goes while it is read
  g_assert_finalize_object(thumbnail);
  settle();
  g_assert_finalize_object(thumbnails);
  g_assert_finalize_object(library);
  place_clear(&place);
}

// --- the page ------------------------------------------------------------------------------------

static const char *shown_page(gpointer page) {
  return gtk_stack_get_visible_child_name(template_child(page, LIMNER_TYPE_LIBRARY_PAGE, "stack"));
}

static void test_page(void) {
  Place place = place_new();
  LimnerLibrary *library = limner_library_open(place.pictures, place.state);
  LimnerLibraryPage *page = g_object_ref_sink(g_object_new(LIMNER_TYPE_LIBRARY_PAGE, NULL));
  GtkEditable *entry = template_child(page, LIMNER_TYPE_LIBRARY_PAGE, "search_entry");
  GtkToggleButton *favourites = template_child(page, LIMNER_TYPE_LIBRARY_PAGE, "favourites_button");
  GtkLabel *count = template_child(page, LIMNER_TYPE_LIBRARY_PAGE, "count_label");
  GtkSelectionModel *selection = template_child(page, LIMNER_TYPE_LIBRARY_PAGE, "selection");
  limner_library_page_set_library(page, library);
  wait_until(g_strcmp0(shown_page(page), "empty") == 0);
  g_autoptr(LimnerEntry) boat = keep(library, "a boat", 1);
  g_autoptr(LimnerEntry) house = keep(library, "a house", 2);
  wait_until(n_items(selection) == 2);
  g_assert_cmpstr(shown_page(page), ==, "grid");
  g_assert_cmpstr(gtk_label_get_label(count), ==, "2 pictures");
  gtk_selection_model_select_item(selection, 1, TRUE);
  g_assert_cmpstr(gtk_label_get_label(count), ==, "1 of 2 pictures");
  g_autoptr(GPtrArray) chosen = limner_library_page_dup_chosen(page);
  g_assert_cmpuint(chosen->len, ==, 1);
  g_autoptr(LimnerEntry) before = limner_library_page_dup_neighbour(page, chosen->pdata[0], -1);
  g_autoptr(LimnerEntry) behind = limner_library_page_dup_neighbour(page, chosen->pdata[0], 1);
  g_assert_nonnull(before);
  g_assert_null(behind);
  gtk_editable_set_text(entry, "bicycle");
  wait_until(g_strcmp0(shown_page(page), "nothing") == 0);
  gtk_widget_activate_action(GTK_WIDGET(page), "library.clear", NULL);
  wait_until(n_items(selection) == 2 && g_strcmp0(shown_page(page), "grid") == 0);
  gtk_toggle_button_set_active(favourites, TRUE);
  wait_until(g_strcmp0(shown_page(page), "nothing") == 0);
  g_assert_true(limner_library_set_favourite(library, house, TRUE, NULL));
  wait_until(n_items(selection) == 1);
  g_assert_finalize_object(page);
  close_library(library);
  place_clear(&place);
}

// --- the window ----------------------------------------------------------------------------------

typedef struct Studio {
  Place place;
  LimnerLibrary *library;
  LimnerJobQueue *queue;
  LimnerWindow *window;
} Studio;

static Studio studio_new(void) {
  Studio studio = {.place = place_new(), .queue = limner_job_queue_new()};
  studio.library = limner_library_open(studio.place.pictures, studio.place.state);
  studio.window = g_object_ref(limner_window_new(NULL, studio.queue, NULL));
  limner_window_set_library(studio.window, studio.library);
  gtk_window_present(GTK_WINDOW(studio.window));
  limner_job_queue_set_model(studio.queue, model_folder, "cpu");
  return studio;
}

static void studio_clear(Studio *studio) {
  settle(); // libadwaita before 1.3 leaks what it is just moving
  gtk_window_destroy(GTK_WINDOW(studio->window));
  limner_job_queue_shutdown(studio->queue);
  settle();
  g_assert_finalize_object(studio->window);
  g_assert_finalize_object(studio->queue);
  close_library(studio->library);
  place_clear(&studio->place);
}

static void act(Studio *studio, const char *action) {
  gtk_widget_activate_action(GTK_WIDGET(studio->window), action, NULL);
}

static GListModel *pictures_of(Studio *studio) {
  return template_child(studio->window->library_page, LIMNER_TYPE_LIBRARY_PAGE, "selection");
}

// Paints an example and waits until the library has it.
static void paint(Studio *studio) {
  const guint n_before = n_items(pictures_of(studio));
  act(studio, "win.paint-example");
  wait_until(n_items(pictures_of(studio)) >= n_before + 2);
  LimnerJob *job = limner_gallery_get_job(studio->window->gallery);
  wait_until(limner_job_is_over(job));
}

static void test_window_keeps(void) {
  Studio studio = studio_new();
  LimnerWindow *window = studio.window;
  paint(&studio);
  LimnerSample *sample = limner_gallery_get_chosen(window->gallery);
  wait_until(limner_sample_get_entry(sample));
  act(&studio, "win.library");
  g_assert_true(limner_window_is_library(window));
  gtk_selection_model_select_item(GTK_SELECTION_MODEL(pictures_of(&studio)), 0, TRUE);
  act(&studio, "win.favourite");
  g_autoptr(LimnerLibraryItem) item = g_list_model_get_item(pictures_of(&studio), 0);
  wait_until(limner_entry_get_facts(limner_library_item_get_entry(item))->is_favourite);
  act(&studio, "win.delete");
  wait_until(n_items(pictures_of(&studio)) == 1);
  act(&studio, "win.undo");
  wait_until(n_items(pictures_of(&studio)) == 2);
  act(&studio, "win.edit");
  g_assert_true(limner_window_is_library(window)); // nothing is chosen any more
  gtk_selection_model_select_item(GTK_SELECTION_MODEL(pictures_of(&studio)), 1, TRUE);
  act(&studio, "win.edit");
  LimnerDropZone *zone = limner_controls_get_drop_zone(window->controls);
  wait_until(limner_drop_zone_get_input(zone));
  g_assert_false(limner_window_is_library(window));
  studio_clear(&studio);
}

// Whoever has the focus gets the keys: nobody who is gone.
static gboolean has_keys(GtkWindow *window) {
  GtkWidget *focus = gtk_window_get_focus(window);
  return !focus || gtk_widget_get_root(focus) == GTK_ROOT(window);
}

static void check_focus(GListModel *pictures, guint position, guint n_removed, guint n_added,
                        gpointer data) {
  guint *n_checks = data;
  g_assert_true(has_keys(g_object_get_data(G_OBJECT(pictures), "window")));
  *n_checks += n_removed > 0;
}

// Of earlier pictures: the one with the focus, then the last.
static void test_earlier_deleted(Studio *studio) {
  LimnerGallery *gallery = studio->window->gallery;
  GtkWidget *grid = template_child(gallery, LIMNER_TYPE_GALLERY, "earlier_grid");
  GtkSelectionModel *selection = template_child(gallery, LIMNER_TYPE_GALLERY, "earlier_selection");
  paint(studio);
  paint(studio);
  settle();
  for (guint n = n_items(selection); n > 0; n--) {
    g_assert_true(gtk_widget_grab_focus(gtk_widget_get_first_child(grid)));
    gtk_selection_model_select_item(selection, 0, TRUE);
    act(studio, "win.delete");
    g_assert_cmpuint(n_items(selection), ==, n - 1);
    g_assert_true(has_keys(GTK_WINDOW(studio->window)));
    settle();
  }
}

static void test_window_deletes(void) {
  Studio studio = studio_new();
  paint(&studio);
  act(&studio, "win.library");
  settle();
  GListModel *pictures = pictures_of(&studio);
  GtkWidget *focus = gtk_window_get_focus(GTK_WINDOW(studio.window));
  g_assert_nonnull(focus);
  g_assert_true(gtk_widget_is_ancestor(
      focus, template_child(studio.window->library_page, LIMNER_TYPE_LIBRARY_PAGE, "grid")));
  guint n_checks = 0;
  g_object_set_data(G_OBJECT(pictures), "window", studio.window);
  g_signal_connect_after(pictures, "items-changed", G_CALLBACK(check_focus), &n_checks);
  gtk_selection_model_select_all(GTK_SELECTION_MODEL(pictures));
  act(&studio, "win.delete");
  wait_until(n_items(pictures) == 0);
  g_assert_cmpuint(n_checks, >, 0);
  act(&studio, "win.undo");
  wait_until(n_items(pictures) == 2);
  act(&studio, "win.back");
  test_earlier_deleted(&studio);
  studio_clear(&studio);
}

static void open_first(Studio *studio) {
  act(studio, "win.library");
  GtkWidget *grid = template_child(studio->window->library_page, LIMNER_TYPE_LIBRARY_PAGE, "grid");
  g_signal_emit_by_name(grid, "activate", 0);
  wait_until(limner_window_is_large(studio->window));
}

static void test_window_opens(void) {
  Studio studio = studio_new();
  LimnerWindow *window = studio.window;
  paint(&studio);
  g_autofree char *prompt =
      g_strdup(limner_job_get_request(limner_gallery_get_job(window->gallery))->prompt);
  open_first(&studio);
  LimnerSample *first = limner_large_view_get_sample(window->large_view);
  g_assert_cmpstr(limner_sample_get_request(first)->prompt, ==, prompt);
  const guint64 seed = limner_sample_get_request(first)->seed;
  g_autoptr(LimnerPicture) picture = limner_picture_ref(limner_sample_get_picture(first));
  act(&studio, "win.next");
  wait_until(limner_large_view_get_sample(window->large_view) != first);
  act(&studio, "win.back");
  g_assert_true(limner_window_is_library(window)); // where it came from
  open_first(&studio);
  // Its settings again, and with them the same pixels.
  act(&studio, "win.use-settings");
  wait_until(!limner_window_is_large(window));
  act(&studio, "win.generate");
  LimnerJob *before = limner_gallery_get_job(window->gallery);
  wait_until(limner_gallery_get_job(window->gallery) != before);
  LimnerJob *job = limner_gallery_get_job(window->gallery);
  g_assert_cmpuint(limner_job_get_request(job)->seed, ==, seed);
  wait_until(limner_job_is_over(job));
  gboolean is_there = FALSE;
  for (guint i = 0; i < n_items(limner_job_get_samples(job)); i++) {
    g_autoptr(LimnerSample) sample = g_list_model_get_item(limner_job_get_samples(job), i);
    is_there |= g_bytes_equal(limner_picture_get_bytes(limner_sample_get_picture(sample)),
                              limner_picture_get_bytes(picture));
  }
  g_assert_true(is_there);
  // And others like it.
  open_first(&studio);
  act(&studio, "win.more-like-this");
  wait_until(limner_gallery_get_job(window->gallery) != job);
  LimnerJob *more = limner_gallery_get_job(window->gallery);
  g_assert_cmpuint(limner_job_get_request(more)->seed, !=, seed);
  g_assert_cmpstr(limner_job_get_request(more)->prompt, ==, prompt);
  wait_until(limner_job_is_over(more));
  studio_clear(&studio);
}

// A file that says how it was made is a picture to change, until its settings are asked for.
static void test_window_recipe(void) {
  Studio studio = studio_new();
  LimnerWindow *window = studio.window;
  LimnerDropZone *zone = limner_controls_get_drop_zone(window->controls);
  GtkWidget *offer = template_child(zone, LIMNER_TYPE_DROP_ZONE, "recipe_box");
  g_autofree char *path = g_build_filename(studio.place.root, "told.png", NULL);
  g_autoptr(LimnerPicture) picture = new_picture("a boat at night", 4711, NULL);
  g_assert_true(limner_picture_save_png(picture, path, NULL));
  g_autoptr(GFile) file = g_file_new_for_path(path);
  limner_drop_zone_load(zone, file);
  wait_until(limner_drop_zone_get_input(zone));
  g_assert_true(gtk_widget_get_visible(offer));
  act(&studio, "win.use-recipe");
  wait_until(!limner_drop_zone_get_input(zone));
  g_assert_false(gtk_widget_get_visible(offer));
  g_autoptr(LimnerRequest) request = limner_controls_take_request(window->controls);
  g_assert_cmpstr(request->prompt, ==, "a boat at night");
  g_assert_cmpuint(request->seed, ==, 4711);
  g_assert_cmpfloat(request->cfg, ==, 3);
  g_assert_null(request->input);
  studio_clear(&studio);
}

static void open_file(Studio *studio, const char *name) {
  g_autofree char *path = g_build_filename(studio->place.root, name, NULL);
  GFile *files[] = {g_file_new_for_commandline_arg(*name == '!' ? name + 1 : path)};
  limner_window_open(studio->window, files, 1);
  g_object_unref(files[0]);
}

// What the toast says; "" = there is none.
static const char *toast_of(LimnerWindow *window) {
  return window->toast ? adw_toast_get_title(window->toast) : "";
}

#define says(studio, words) (strstr(toast_of((studio)->window), words) != NULL)

// As a file manager opens it: without being asked for, what it says is taken over.
static void test_window_opens_files(void) {
  Studio studio = studio_new();
  LimnerWindow *window = studio.window;
  LimnerDropZone *zone = limner_controls_get_drop_zone(window->controls);
  g_autofree char *told = g_build_filename(studio.place.root, "told.png", NULL);
  g_autofree char *bare = g_build_filename(studio.place.root, "bare.png", NULL);
  g_autofree char *bad = g_build_filename(studio.place.root, "bad.png", NULL);
  g_autoptr(LimnerPicture) picture = new_picture("a boat at night", 4711, NULL);
  g_autoptr(LimnerPicture) plain =
      limner_picture_new(limner_picture_get_bytes(picture), SIZE_PX, SIZE_PX);
  g_assert_true(limner_picture_save_png(picture, told, NULL));
  g_assert_true(limner_picture_save_png(plain, bare, NULL));
  g_assert_true(g_file_set_contents(bad, "no picture", -1, NULL));
  open_file(&studio, "told.png"); // before there is a model, whose defaults come later
  wait_until(says(&studio, "Generate paints this picture again"));
  wait_until(limner_job_queue_get_model(studio.queue));
  settle();
  g_autoptr(LimnerRequest) request = limner_controls_take_request(window->controls);
  g_assert_cmpstr(request->prompt, ==, "a boat at night");
  g_assert_cmpuint(request->seed, ==, 4711);
  g_assert_cmpfloat(request->cfg, ==, 3);
  g_assert_null(request->input);
  open_file(&studio, "bad.png");
  wait_until(says(&studio, "bad.png"));
  g_assert_null(limner_drop_zone_get_input(zone));
  open_file(&studio, "gone.png");
  wait_until(says(&studio, "gone.png cannot be read"));
  open_file(&studio, "!https://example.org/picture.png");
  wait_until(says(&studio, "only an address on the web"));
  act(&studio, "win.library");
  GFile *files[] = {g_file_new_for_path(bare), g_file_new_for_path(told)};
  open_file(&studio, "told.png"); // the newest wins
  limner_window_open(window, files, 2);
  wait_until(says(&studio, "The first of 2 pictures"));
  g_assert_cmpstr(limner_input_get_name(limner_drop_zone_get_input(zone)), ==, "bare.png");
  g_assert_false(limner_window_is_library(window));
  open_file(&studio, "told.png"); // goes while it is read
  studio_clear(&studio);
  g_object_unref(files[0]);
  g_object_unref(files[1]);
}

// --- the tree ------------------------------------------------------------------------------------

static LimnerEntry *keep_child(LimnerLibrary *library, const char *prompt, guint64 seed,
                               LimnerEntry *parent) {
  g_autoptr(LimnerPicture) picture =
      new_picture(prompt, seed, limner_entry_get_facts(parent)->sha256);
  LimnerEntry *entry = limner_library_keep(library, picture, NULL, NULL);
  g_assert_nonnull(entry);
  return entry;
}

static GtkWidget *node_of(LimnerTree *tree, guint index) {
  GtkWidget *node = gtk_widget_get_first_child(GTK_WIDGET(tree));
  while (index-- > 0)
    node = gtk_widget_get_next_sibling(node);
  return node;
}

// boat - night - snow, and boat - day: four pictures, of which `snow` is asked for.
static void test_tree(void) {
  Studio studio = studio_new();
  LimnerWindow *window = studio.window;
  g_autoptr(LimnerEntry) boat = keep(studio.library, "a boat", 1);
  g_autoptr(LimnerEntry) night = keep_child(studio.library, "make it night", 2, boat);
  g_autoptr(LimnerEntry) snow = keep_child(studio.library, "let it snow", 3, night);
  g_autoptr(LimnerEntry) day = keep_child(studio.library, "make it day", 4, boat);
  wait_until(n_items(pictures_of(&studio)) == 4);
  act(&studio, "win.library");
  limner_library_page_choose(window->library_page, snow);
  act(&studio, "win.tree");
  g_assert_true(limner_window_is_tree(window));
  wait_until(limner_tree_get_n_nodes(window->tree) == 4);
  g_assert_true(gtk_widget_has_css_class(node_of(window->tree, 2), "current"));
  gtk_test_accessible_assert_property(GTK_ACCESSIBLE(node_of(window->tree, 0)),
                                      GTK_ACCESSIBLE_PROPERTY_LABEL, "a boat, the first picture");
  settle();
  GtkWidget *from = node_of(window->tree, 0), *straight = node_of(window->tree, 1),
            *branch = node_of(window->tree, 3);
  g_assert_cmpint(gtk_widget_get_allocated_height(from), >, 0);
  graphene_rect_t at[3];
  g_assert_true(gtk_widget_compute_bounds(from, GTK_WIDGET(window->tree), &at[0]));
  g_assert_true(gtk_widget_compute_bounds(straight, GTK_WIDGET(window->tree), &at[1]));
  g_assert_true(gtk_widget_compute_bounds(branch, GTK_WIDGET(window->tree), &at[2]));
  g_assert_cmpfloat(at[1].origin.y, ==, at[0].origin.y); // the first one goes straight on
  g_assert_cmpfloat(at[2].origin.y, >, at[1].origin.y);
  g_assert_cmpfloat(at[2].origin.x, ==, at[1].origin.x);
  // Another step, and a branch from it.
  g_signal_emit_by_name(branch, "clicked");
  wait_until(limner_window_is_large(window));
  act(&studio, "win.escape");
  g_assert_true(limner_window_is_tree(window));
  gtk_widget_grab_focus(straight);
  act(&studio, "win.edit");
  LimnerDropZone *zone = limner_controls_get_drop_zone(window->controls);
  wait_until(limner_drop_zone_get_input(zone));
  g_assert_cmpstr(limner_input_get_sha256(limner_drop_zone_get_input(zone)), ==,
                  limner_entry_get_facts(night)->sha256);
  studio_clear(&studio);
}

// --- jobs that are not done ----------------------------------------------------------------------

static gboolean has_draft_bar(Studio *studio) {
  return gtk_widget_get_visible(studio->window->draft_bar);
}

static LimnerPicture *first_picture(LimnerJob *job) {
  g_autoptr(LimnerSample) sample = g_list_model_get_item(limner_job_get_samples(job), 0);
  return limner_sample_get_picture(sample); // the job holds both
}

static LimnerRequest new_request(void) {
  return (LimnerRequest){.prompt = (char *)"a boat",
                         .n_samples = 2,
                         .seed = 7,
                         .cfg = 3,
                         .temperature = 1,
                         .top_p = 1};
}

// One that another program left.
static void leave_draft(Studio *studio) {
  const LimnerRequest request = new_request();
  limner_draft_free(limner_library_new_draft(studio->library, &request, model_folder));
}

static void test_drafts(void) {
  Studio studio = studio_new();
  LimnerWindow *window = studio.window;
  g_assert_false(has_draft_bar(&studio));
  leave_draft(&studio);
  wait_until(has_draft_bar(&studio));
  g_assert_cmpstr(gtk_label_get_label(window->draft_label), ==, "“a boat” is not painted yet");
  leave_draft(&studio);
  wait_until(strcmp(gtk_label_get_label(window->draft_label), "2 jobs are not finished") == 0);
  act(&studio, "win.discard-all");
  wait_until(!has_draft_bar(&studio));
  leave_draft(&studio);
  wait_until(has_draft_bar(&studio));
  act(&studio, "win.continue-all");
  wait_until(limner_gallery_get_job(window->gallery));
  LimnerJob *job = limner_gallery_get_job(window->gallery);
  wait_until(limner_job_is_over(job) && n_items(pictures_of(&studio)) == 2);
  g_assert_cmpint(limner_job_get_state(job), ==, LIMNER_JOB_DONE);
  settle();
  g_assert_false(has_draft_bar(&studio));
  studio_clear(&studio);
}

// Stopped and continued it ends in the same picture as without.
static void test_stopped(void) {
  Studio studio = studio_new();
  LimnerWindow *window = studio.window;
  const LimnerRequest request = new_request();
  GtkWidget *progress = template_child(window->gallery, LIMNER_TYPE_GALLERY, "progress");
  GtkWidget *box = template_child(progress, LIMNER_TYPE_PROGRESS, "draft_box");
  limner_window_paint(window, &request);
  wait_until(n_items(pictures_of(&studio)) == 2);
  LimnerJob *before = limner_gallery_get_job(window->gallery);
  wait_until(limner_job_is_over(before)); // the library may have a picture before the window
  g_autoptr(LimnerPicture) whole = limner_picture_ref(first_picture(before));
  limner_window_paint(window, &request);
  wait_until(limner_gallery_get_job(window->gallery) != before);
  act(&studio, "win.stop");
  LimnerJob *stopped = limner_gallery_get_job(window->gallery);
  wait_until(limner_job_is_over(stopped));
  if (limner_job_get_state(stopped) == LIMNER_JOB_CANCELLED) { // else it was too fast to be stopped
    g_assert_true(gtk_widget_get_visible(box));
    act(&studio, "win.continue");
    g_assert_null(limner_gallery_get_job(window->gallery));
    wait_until(limner_gallery_get_job(window->gallery));
  }
  LimnerJob *job = limner_gallery_get_job(window->gallery);
  wait_until(limner_job_is_over(job));
  g_assert_cmpint(limner_job_get_state(job), ==, LIMNER_JOB_DONE);
  g_assert_false(gtk_widget_get_visible(box));
  g_assert_true(
      g_bytes_equal(limner_picture_get_bytes(first_picture(job)), limner_picture_get_bytes(whole)));
  studio_clear(&studio);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  adw_init();
  still_cursor();
  model_folder = argc > 1 ? argv[1] : NULL;
  g_test_add_func("/library/list", test_list);
  g_test_add_func("/library/thumbnail", test_thumbnail);
  g_test_add_func("/library/page", test_page);
  g_test_add_func("/library/window/keeps", test_window_keeps);
  g_test_add_func("/library/window/deletes", test_window_deletes);
  g_test_add_func("/library/window/opens", test_window_opens);
  g_test_add_func("/library/window/recipe", test_window_recipe);
  g_test_add_func("/library/window/opens-files", test_window_opens_files);
  g_test_add_func("/library/tree", test_tree);
  g_test_add_func("/library/drafts", test_drafts);
  g_test_add_func("/library/stopped", test_stopped);
  return g_test_run();
}
