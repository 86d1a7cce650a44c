// SPDX-License-Identifier: MIT
// Working with what is painted: comparing pictures, and the window's ways to them. The argument is
// a small model folder, with which jobs are really run.
#include "app/recipe.h"
#include "tests/ui/remove-all.h"
#include "tests/ui/waiting.h"
#include "ui/limner-canvas.h"
#include "ui/limner-divider.h"
#include "ui/limner-drag.h"
#include "ui/limner-history.h"
#include "ui/limner-kept.h"
#include "ui/limner-presets.h"
#include "ui/limner-settings.h"
#include "ui/limner-stage.h"
#include "ui/limner-window-private.h"

static const char *model_folder;

// --- a window with a library ---------------------------------------------------------------------

typedef struct Studio {
  char *root;
  LimnerLibrary *library;
  LimnerJobQueue *queue;
  LimnerWindow *window;
} Studio;

static Studio studio_new(void) {
  Studio studio = {.root = g_dir_make_tmp("limner-studio-XXXXXX", NULL),
                   .queue = limner_job_queue_new()};
  g_autofree char *pictures = g_build_filename(studio.root, "pictures", NULL);
  g_autofree char *state = g_build_filename(studio.root, "state", NULL);
  studio.library = limner_library_open(pictures, state);
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
  wait_until(G_OBJECT(studio->library)->ref_count == 1);
  g_assert_finalize_object(studio->library);
  remove_all(studio->root);
  g_free(studio->root);
}

static void act(Studio *studio, const char *action) {
  gtk_widget_activate_action(GTK_WIDGET(studio->window), action, NULL);
}

#define n_items(model) g_list_model_get_n_items(G_LIST_MODEL(model))

static GListModel *pictures_of(Studio *studio) {
  return template_child(studio->window->library_page, LIMNER_TYPE_LIBRARY_PAGE, "selection");
}

// Paints and waits until the library has all of it; the job, borrowed.
static LimnerJob *paint(Studio *studio, const char *prompt, LimnerInput *input, int n_samples) {
  const LimnerRequest request = {.prompt = (char *)prompt,
                                 .input = input,
                                 .uses_input_tokens = TRUE,
                                 .n_samples = n_samples,
                                 .seed = 7,
                                 .cfg = 3,
                                 .image_cfg = 3,
                                 .temperature = 1,
                                 .top_p = 1};
  LimnerJob *before = limner_gallery_get_job(studio->window->gallery);
  const guint n_before = n_items(pictures_of(studio));
  limner_window_paint(studio->window, &request);
  wait_until(limner_gallery_get_job(studio->window->gallery) != before);
  LimnerJob *job = limner_gallery_get_job(studio->window->gallery);
  wait_until(limner_job_is_over(job));
  g_assert_no_error(limner_job_get_error(job));
  wait_until(n_items(pictures_of(studio)) == n_before + (guint)n_samples);
  return job;
}

static LimnerSample *sample_of(LimnerJob *job, guint index) {
  g_autoptr(LimnerSample) sample = g_list_model_get_item(limner_job_get_samples(job), index);
  return sample; // the job holds it
}

static LimnerInput *new_photo(void) {
  guint8 rgb[8 * 4 * 3];
  for (guint i = 0; i < sizeof rgb; i++)
    rgb[i] = (guint8)(i * 5);
  g_autoptr(GBytes) bytes = g_bytes_new(rgb, sizeof rgb);
  g_autoptr(LimnerPicture) picture = limner_picture_new(bytes, 8, 4);
  return limner_input_new_from_picture(picture, "photo.jpg", NULL);
}

// --- the stage -----------------------------------------------------------------------------------

static GdkTexture *new_texture(int side_px) {
  const gsize n_bytes = (gsize)side_px * (gsize)side_px * 3;
  g_autoptr(GBytes) bytes = g_bytes_new_take(g_malloc0(n_bytes), n_bytes);
  return gdk_memory_texture_new(side_px, side_px, GDK_MEMORY_R8G8B8, bytes, (gsize)side_px * 3);
}

static void count(gpointer data) {
  (*(guint *)data)++;
}

static void test_stage(void) {
  GtkWidget *window = gtk_window_new();
  LimnerStage *stage = g_object_ref_sink(g_object_new(LIMNER_TYPE_STAGE, NULL));
  g_autoptr(GdkTexture) picture = new_texture(100);
  g_autoptr(GdkTexture) other = new_texture(50);
  guint n_zoomed = 0;
  g_signal_connect_swapped(stage, "zoomed", G_CALLBACK(count), &n_zoomed);
  gtk_widget_set_size_request(GTK_WIDGET(stage), 636, 436); // with a margin of 18: 600 x 400
  gtk_window_set_child(GTK_WINDOW(window), GTK_WIDGET(stage));
  gtk_window_present(GTK_WINDOW(window));
  wait_until(gtk_widget_get_width(GTK_WIDGET(stage)) > 0);
  limner_stage_set_pictures(stage, picture, other);
  g_assert_cmpfloat_with_epsilon(limner_stage_get_scale(stage), 4, 0.01);
  double x = 0, y = 0;
  limner_stage_pan(stage, 50, 50); // all of it is seen: there is nothing to move
  limner_stage_get_middle(stage, &x, &y);
  g_assert_cmpfloat(x, ==, 0.5);
  g_assert_cmpfloat(y, ==, 0.5);
  limner_stage_set_zoom(stage, 8);
  g_assert_cmpuint(n_zoomed, >=, 2);
  limner_stage_pan(stage, 80, -10000);
  limner_stage_get_middle(stage, &x, &y);
  g_assert_cmpfloat_with_epsilon(x, 0.6, 1e-6);  // 80 of 800 pixels
  g_assert_cmpfloat_with_epsilon(y, 0.25, 1e-6); // as far as it goes
  limner_stage_zoom_by(stage, 1000);
  g_assert_cmpfloat(limner_stage_get_scale(stage), ==, 16);
  limner_stage_zoom_by(stage, 1e-6);
  g_assert_true(limner_stage_fits(stage));
  // Side by side each has half the room.
  limner_stage_set_mode(stage, LIMNER_STAGE_SIDES);
  g_assert_cmpfloat_with_epsilon(limner_stage_get_scale(stage), 2.94, 0.01);
  g_assert_false(gtk_widget_get_visible(limner_stage_get_divider(stage)));
  limner_stage_set_mode(stage, LIMNER_STAGE_SLIDER);
  GtkWidget *divider = limner_stage_get_divider(stage);
  g_assert_true(gtk_widget_get_visible(divider));
  wait_until(gtk_widget_get_width(divider) > 0);
  graphene_rect_t before, after;
  g_assert_true(gtk_widget_compute_bounds(divider, GTK_WIDGET(stage), &before));
  limner_divider_set_position(LIMNER_DIVIDER(divider), 2); // clamped
  g_assert_cmpfloat(limner_divider_get_position(LIMNER_DIVIDER(divider)), ==, 1);
  settle();
  g_assert_true(gtk_widget_compute_bounds(divider, GTK_WIDGET(stage), &after));
  g_assert_cmpfloat(after.origin.x, >, before.origin.x + 190); // half the picture's width
  GtkWidget *scale = gtk_widget_get_first_child(divider);      // of which others are told
  const char *words = "100 %";
  gtk_test_accessible_assert_property(GTK_ACCESSIBLE(scale), GTK_ACCESSIBLE_PROPERTY_VALUE_NOW,
                                      100.0);
  gtk_test_accessible_assert_property(GTK_ACCESSIBLE(scale), GTK_ACCESSIBLE_PROPERTY_VALUE_TEXT,
                                      words);
  gtk_range_set_value(GTK_RANGE(scale), 25); // by an assistive program
  g_assert_cmpfloat(limner_divider_get_position(LIMNER_DIVIDER(divider)), ==, 0.25);
  g_assert_true(gtk_widget_grab_focus(divider));
  gtk_window_destroy(GTK_WINDOW(window));
  g_assert_finalize_object(stage);
}

// --- comparing -----------------------------------------------------------------------------------

static LimnerStage *stage_of(Studio *studio) {
  return template_child(studio->window->large_view, LIMNER_TYPE_LARGE_VIEW, "stage");
}

static void compare_with(Studio *studio, const char *name) {
  gtk_widget_activate_action(GTK_WIDGET(studio->window), "win.compare-with", "s", name);
}

static void test_compare_origin(void) {
  Studio studio = studio_new();
  LimnerLargeView *view = studio.window->large_view;
  g_autoptr(LimnerInput) photo = new_photo();
  paint(&studio, "make it night", photo, 1);
  act(&studio, "win.compare"); // from the gallery
  g_assert_true(limner_window_is_large(studio.window));
  g_assert_true(limner_large_view_is_comparing(view));
  wait_until(limner_stage_get_other(stage_of(&studio)));
  g_assert_cmpint(limner_stage_get_mode(stage_of(&studio)), ==, LIMNER_STAGE_SLIDER);
  g_assert_cmpint(gdk_texture_get_width(limner_stage_get_other(stage_of(&studio))), ==, 384);
  gtk_test_accessible_assert_property(
      GTK_ACCESSIBLE(stage_of(&studio)), GTK_ACCESSIBLE_PROPERTY_LABEL,
      "Sample 1 of 1, make it night, compared with: the picture it was made from");
  gtk_widget_activate_action(GTK_WIDGET(view), "large.sides", NULL);
  g_assert_cmpint(limner_stage_get_mode(stage_of(&studio)), ==, LIMNER_STAGE_SIDES);
  act(&studio, "win.escape"); // first the comparing, then the view
  g_assert_true(limner_window_is_large(studio.window));
  g_assert_cmpint(limner_stage_get_mode(stage_of(&studio)), ==, LIMNER_STAGE_ONE);
  act(&studio, "win.escape");
  g_assert_false(limner_window_is_large(studio.window));
  studio_clear(&studio);
}

static void test_compare_samples(void) {
  Studio studio = studio_new();
  LimnerLargeView *view = studio.window->large_view;
  LimnerJob *job = paint(&studio, "a boat", NULL, 3);
  GtkFlowBox *set = template_child(studio.window->gallery, LIMNER_TYPE_GALLERY, "set_box");
  gtk_flow_box_select_child(set, gtk_flow_box_get_child_at_index(set, 0));
  gtk_flow_box_select_child(set, gtk_flow_box_get_child_at_index(set, 2));
  g_autoptr(GPtrArray) chosen = limner_gallery_dup_chosen(studio.window->gallery);
  g_assert_cmpuint(chosen->len, ==, 2);
  act(&studio, "win.compare");
  g_assert_true(limner_large_view_get_sample(view) == sample_of(job, 0));
  GdkTexture *third = limner_stage_get_other(stage_of(&studio));
  g_assert_nonnull(third);
  gtk_test_accessible_assert_property(GTK_ACCESSIBLE(stage_of(&studio)),
                                      GTK_ACCESSIBLE_PROPERTY_LABEL,
                                      "Sample 1 of 3, a boat, compared with: Sample 3, seed 7");
  act(&studio, "win.next"); // what it is compared with stays
  g_assert_true(limner_large_view_get_sample(view) == sample_of(job, 1));
  g_assert_true(limner_stage_get_other(stage_of(&studio)) == third);
  compare_with(&studio, "previous");
  g_assert_true(limner_stage_get_other(stage_of(&studio)) != third);
  act(&studio, "win.compare");
  g_assert_false(limner_large_view_is_comparing(view));
  g_assert_null(limner_stage_get_other(stage_of(&studio)));
  studio_clear(&studio);
}

// boat, changed twice: the tree leads to any two of them.
static void test_compare_chain(void) {
  Studio studio = studio_new();
  LimnerWindow *window = studio.window;
  g_autoptr(LimnerSample) boat = g_object_ref(sample_of(paint(&studio, "a boat", NULL, 1), 0));
  g_autoptr(LimnerInput) input = limner_input_new_from_sample(boat);
  g_autoptr(LimnerSample) night =
      g_object_ref(sample_of(paint(&studio, "make it night", input, 1), 0));
  g_autoptr(LimnerInput) second = limner_input_new_from_sample(night);
  paint(&studio, "let it snow", second, 1);
  act(&studio, "win.library");
  GtkSelectionModel *selection = GTK_SELECTION_MODEL(pictures_of(&studio));
  gtk_selection_model_select_item(selection, 0, TRUE);
  gtk_selection_model_select_item(selection, 2, FALSE); // the snow and the boat
  act(&studio, "win.compare");
  wait_until(limner_window_is_large(window));
  wait_until(limner_stage_get_other(stage_of(&studio)));
  gtk_test_accessible_assert_property(GTK_ACCESSIBLE(stage_of(&studio)),
                                      GTK_ACCESSIBLE_PROPERTY_LABEL,
                                      "Sample 1 of 1, let it snow, compared with: a boat");
  compare_with(&studio, "origin");
  GdkTexture *parent = limner_stage_get_other(stage_of(&studio));
  compare_with(&studio, "first");
  wait_until(limner_stage_get_other(stage_of(&studio)) != parent);
  gtk_test_accessible_assert_property(GTK_ACCESSIBLE(stage_of(&studio)),
                                      GTK_ACCESSIBLE_PROPERTY_LABEL,
                                      "Sample 1 of 1, let it snow, compared with: The First");
  act(&studio, "win.tree");
  wait_until(limner_tree_get_n_nodes(window->tree) == 3);
  settle();
  GtkWidget *first = gtk_widget_get_first_child(GTK_WIDGET(window->tree));
  gtk_widget_grab_focus(first);
  act(&studio, "win.compare");
  wait_until(limner_window_is_large(window) && limner_stage_get_other(stage_of(&studio)));
  gtk_test_accessible_assert_property(GTK_ACCESSIBLE(stage_of(&studio)),
                                      GTK_ACCESSIBLE_PROPERTY_LABEL,
                                      "Sample 1 of 1, a boat, compared with: let it snow");
  studio_clear(&studio);
}

// --- several together ----------------------------------------------------------------------------

static guint count_files(const char *folder, const char *end) {
  guint n = 0;
  GDir *dir = g_dir_open(folder, 0, NULL);
  const char *name;
  while (dir && (name = g_dir_read_name(dir)))
    n += g_str_has_suffix(name, end);
  g_clear_pointer(&dir, g_dir_close);
  return n;
}

static GtkFlowBoxChild *card_of(Studio *studio, int index) {
  GtkFlowBox *set = template_child(studio->window->gallery, LIMNER_TYPE_GALLERY, "set_box");
  return gtk_flow_box_get_child_at_index(set, index);
}

static void select_card(Studio *studio, int index) {
  GtkFlowBox *set = template_child(studio->window->gallery, LIMNER_TYPE_GALLERY, "set_box");
  gtk_flow_box_select_child(set, card_of(studio, index));
}

static void test_several_deleted(void) {
  Studio studio = studio_new();
  LimnerGallery *gallery = studio.window->gallery;
  LimnerJob *job = paint(&studio, "a boat", NULL, 3);
  for (guint i = 0; i < 3; i++)
    wait_until(limner_sample_get_entry(sample_of(job, i)));
  select_card(&studio, 0);
  select_card(&studio, 1);
  act(&studio, "win.delete");
  wait_until(n_items(pictures_of(&studio)) == 1);
  g_assert_false(gtk_widget_get_visible(GTK_WIDGET(card_of(&studio, 1))));
  g_assert_true(limner_gallery_get_chosen(gallery) == sample_of(job, 2)); // the one that is left
  g_assert_null(limner_gallery_get_neighbour(gallery, sample_of(job, 2), -1));
  act(&studio, "win.undo");
  wait_until(n_items(pictures_of(&studio)) == 3);
  g_assert_true(gtk_widget_get_visible(GTK_WIDGET(card_of(&studio, 1))));
  // Without any card the window is still laid out.
  for (int i = 0; i < 3; i++)
    select_card(&studio, i);
  act(&studio, "win.delete");
  wait_until(n_items(pictures_of(&studio)) == 0);
  settle();
  act(&studio, "win.undo");
  wait_until(n_items(pictures_of(&studio)) == 3);
  // What is deleted when its set is the present one no more does not come back by itself.
  select_card(&studio, 2);
  act(&studio, "win.delete");
  wait_until(n_items(pictures_of(&studio)) == 2);
  limner_gallery_show_job(gallery, NULL);
  GListModel *earlier = template_child(gallery, LIMNER_TYPE_GALLERY, "earlier");
  g_assert_cmpuint(n_items(earlier), ==, 2);
  act(&studio, "win.undo");
  g_assert_cmpuint(n_items(earlier), ==, 3);
  wait_until(n_items(pictures_of(&studio)) == 3);
  GtkSelectionModel *selection = template_child(gallery, LIMNER_TYPE_GALLERY, "earlier_selection");
  gtk_selection_model_select_all(selection);
  act(&studio, "win.delete");
  g_assert_cmpuint(n_items(earlier), ==, 0);
  wait_until(n_items(pictures_of(&studio)) == 0);
  act(&studio, "win.undo");
  g_assert_cmpuint(n_items(earlier), ==, 3);
  wait_until(n_items(pictures_of(&studio)) == 3);
  studio_clear(&studio);
}

static guint count_pictures(Studio *studio, const char *folder) {
  g_autofree char *path = g_build_filename(studio->root, "pictures", folder, NULL);
  return count_files(path, ".png");
}

// Sooner than the deletion is done, over and over.
static void test_undone_at_once(void) {
  enum { N_SAMPLES = 6, N_TIMES = 20 };
  Studio studio = studio_new();
  LimnerJob *job = paint(&studio, "a boat", NULL, N_SAMPLES);
  for (guint i = 0; i < N_SAMPLES; i++)
    wait_until(limner_sample_get_entry(sample_of(job, i)));
  for (int times = 0; times < N_TIMES; times++) {
    for (int i = 0; i < N_SAMPLES; i++)
      select_card(&studio, i);
    act(&studio, "win.delete");
    if (times % 2) // at any moment of it
      for (int i = 0; i < times; i++)
        g_main_context_iteration(NULL, FALSE);
    act(&studio, "win.undo");
    settle();
    g_assert_cmpuint(count_pictures(&studio, NULL), ==, N_SAMPLES);
    g_assert_cmpuint(count_pictures(&studio, ".trash"), ==, 0);
    wait_until(n_items(pictures_of(&studio)) == N_SAMPLES);
  }
  studio_clear(&studio);
}

static void test_several_exported(void) {
  Studio studio = studio_new();
  paint(&studio, "a boat", NULL, 3);
  g_autofree char *jpegs = g_build_filename(studio.root, "jpegs", NULL);
  g_autofree char *bare = g_build_filename(studio.root, "bare", NULL);
  select_card(&studio, 0);
  select_card(&studio, 2);
  g_autoptr(GPtrArray) samples = limner_gallery_dup_chosen(studio.window->gallery);
  limner_window_export(studio.window, samples, jpegs, LIMNER_FORMAT_JPEG, FALSE);
  wait_until(count_files(jpegs, "_2.jpg") == 1);
  settle();
  g_assert_cmpuint(count_files(jpegs, ".jpg"), ==, 2);
  // Saved by the library already, they are not saved a second time.
  g_assert_true(limner_window_save_several(studio.window));
  settle();
  g_autofree char *own = g_build_filename(studio.root, "pictures", NULL);
  g_assert_cmpuint(count_files(own, ".png"), ==, 3);
  act(&studio, "win.library");
  gtk_selection_model_select_all(GTK_SELECTION_MODEL(pictures_of(&studio)));
  g_autoptr(GPtrArray) entries = limner_window_dup_chosen(studio.window);
  limner_window_export(studio.window, entries, bare, LIMNER_FORMAT_PNG, TRUE);
  limner_window_export(studio.window, entries, bare, LIMNER_FORMAT_PNG,
                       FALSE); // nothing overwritten
  wait_until(count_files(bare, ".png") == 6);
  settle();
  guint n_told = 0;
  for (int i = 0; i < 3; i++)
    for (int copy = 1; copy <= 2; copy++) {
      g_autofree char *name =
          g_strdup_printf(copy == 1 ? "limner-7_%d.png" : "limner-7_%d-2.png", i);
      g_autofree char *path = g_build_filename(bare, name, NULL);
      g_autofree char *json = NULL, *parameters = NULL;
      g_assert_true(limner_recipe_read_chunks(path, &json, &parameters, NULL));
      n_told += json != NULL;
    }
  g_assert_cmpuint(n_told, ==, 3); // of each one copy
  studio_clear(&studio);
}

// --- the queue -----------------------------------------------------------------------------------

// The button of a row whose accessible name is that; borrowed.
static GtkWidget *find_named(GtkWidget *widget, const char *name) {
  if (GTK_IS_BUTTON(widget) && !gtk_test_accessible_check_property(
                                   GTK_ACCESSIBLE(widget), GTK_ACCESSIBLE_PROPERTY_LABEL, name))
    return widget;
  GtkWidget *found = NULL;
  for (GtkWidget *child = gtk_widget_get_first_child(widget); child && !found;
       child = gtk_widget_get_next_sibling(child))
    found = find_named(child, name);
  return found;
}

static LimnerJob *new_job(const char *prompt) {
  const LimnerRequest request = {
      .prompt = (char *)prompt, .n_samples = 2, .seed = 7, .cfg = 3, .temperature = 1, .top_p = 1};
  return limner_job_new(&request);
}

static void on_repeat(GtkWidget *list, LimnerJob *job, gpointer data) {
  *(LimnerJob **)data = job;
}

// Before there is a model everything waits.
static void test_queue_list(void) {
  LimnerJobQueue *queue = limner_job_queue_new();
  GtkWidget *list = g_object_ref_sink(g_object_new(LIMNER_TYPE_QUEUE_LIST, NULL));
  static const char *const prompts[] = {"a boat", "a tree", "a fox"};
  LimnerJob *jobs[3], *repeated = NULL;
  g_signal_connect(list, "repeat", G_CALLBACK(on_repeat), &repeated);
  limner_queue_list_set_queue(LIMNER_QUEUE_LIST(list), queue);
  limner_job_queue_set_model(queue, model_folder, "cpu");
  for (int i = 0; i < 3; i++) {
    jobs[i] = new_job(prompts[i]);
    limner_job_queue_add(queue, jobs[i]);
  }
  g_assert_false(gtk_widget_get_sensitive(find_named(list, "“a fox” later")));
  g_assert_true(gtk_widget_get_sensitive(find_named(list, "“a fox” sooner")));
  g_signal_emit_by_name(find_named(list, "“a fox” sooner"), "clicked");
  g_autoptr(LimnerJob) second = g_list_model_get_item(G_LIST_MODEL(queue), 1);
  g_assert_true(second == jobs[2] || limner_job_is_over(jobs[0])); // else it runs already
  g_signal_emit_by_name(find_named(list, "“a fox” once more, with another seed"), "clicked");
  g_assert_true(repeated == jobs[2]);
  g_signal_emit_by_name(find_named(list, "Take “a tree” out"), "clicked");
  for (int i = 0; i < 3; i++)
    wait_until(limner_job_is_over(jobs[i]));
  g_assert_cmpint(limner_job_get_state(jobs[1]), ==, LIMNER_JOB_CANCELLED);
  g_assert_cmpint(limner_job_get_state(jobs[2]), ==, LIMNER_JOB_DONE);
  g_assert_null(find_named(list, "“a fox” later"));
  g_assert_finalize_object(list);
  limner_job_queue_shutdown(queue);
  for (int i = 0; i < 3; i++)
    g_object_unref(jobs[i]);
  g_object_unref(queue);
}

static void note_order(LimnerJob *job, GParamSpec *pspec, gpointer data) {
  if (limner_job_get_state(job) == LIMNER_JOB_DONE)
    g_string_append_c(data, limner_job_get_request(job)->prompt[2]);
}

// Nothing runs before the main loop lets the model's opening be known, so that the order is sure.
static void test_queue_order(void) {
  LimnerJobQueue *queue = limner_job_queue_new();
  GString *order = g_string_new(NULL);
  static const char *const prompts[] = {"a boat", "a tree", "a fox", "a cat"};
  LimnerJob *jobs[4];
  for (int i = 0; i < 4; i++) {
    jobs[i] = new_job(prompts[i]);
    g_signal_connect(jobs[i], "notify::state", G_CALLBACK(note_order), order);
  }
  limner_job_queue_set_model(queue, model_folder, "cpu");
  for (int i = 0; i < 4; i++)
    limner_job_queue_add(queue, jobs[i]);
  g_assert_true(limner_job_queue_move(queue, jobs[3], -1));
  g_assert_true(limner_job_queue_move(queue, jobs[3], -1));
  g_assert_false(limner_job_queue_move(queue, jobs[2], 1)); // the last already
  for (int i = 0; i < 4; i++)
    wait_until(limner_job_is_over(jobs[i]));
  settle();
  g_assert_cmpstr(order->str, ==, "bctf");
  limner_job_queue_shutdown(queue);
  g_assert_false(limner_job_queue_move(queue, jobs[0], 1));
  for (int i = 0; i < 4; i++)
    g_assert_finalize_object(jobs[i]);
  g_assert_finalize_object(queue);
  g_string_free(order, TRUE);
}

// Discarded: no card, no draft, no file. After these: what waits becomes a draft.
static void test_stopping(void) {
  Studio studio = studio_new();
  LimnerWindow *window = studio.window;
  const LimnerRequest request = {.prompt = (char *)"a boat",
                                 .n_samples = 8,
                                 .seed = 7,
                                 .cfg = 3,
                                 .temperature = 1,
                                 .top_p = 1};
  limner_window_paint(window, &request);
  wait_until(limner_gallery_get_job(window->gallery));
  LimnerJob *job = g_object_ref(limner_gallery_get_job(window->gallery));
  act(&studio, "win.stop-discard");
  wait_until(limner_job_is_over(job));
  const gboolean is_stopped = limner_job_get_state(job) == LIMNER_JOB_CANCELLED;
  g_object_unref(job);
  settle();
  if (is_stopped) { // else it was too fast to be stopped
    g_assert_null(limner_gallery_get_job(window->gallery));
    g_assert_false(gtk_widget_get_visible(window->draft_bar));
    GListModel *earlier = template_child(window->gallery, LIMNER_TYPE_GALLERY, "earlier");
    g_assert_cmpuint(n_items(earlier), ==, 0);
  }
  const guint n_before = n_items(pictures_of(&studio));
  limner_window_paint(window, &request);
  limner_window_paint(window, &request);
  wait_until(limner_job_queue_get_n_active(studio.queue) == 2);
  act(&studio, "win.stop-after");
  wait_until(limner_job_queue_get_n_active(studio.queue) == 0);
  wait_until(n_items(pictures_of(&studio)) == n_before + 8);
  settle();
  g_assert_true(gtk_widget_get_visible(window->draft_bar));
  g_assert_cmpstr(gtk_label_get_label(window->draft_label), ==, "“a boat” is not painted yet");
  studio_clear(&studio);
}

// --- prompts and presets -------------------------------------------------------------------------

static void note_prompt(GtkWidget *history, const char *prompt, gpointer data) {
  g_free(*(char **)data);
  *(char **)data = g_strdup(prompt);
}

static void test_history(void) {
  LimnerHistory *history = g_object_ref_sink(g_object_new(LIMNER_TYPE_HISTORY, NULL));
  g_autofree char *chosen = NULL;
  g_signal_connect(history, "chosen", G_CALLBACK(note_prompt), &chosen);
  const char *const prompts[] = {"A red house", "a boat at night", "a HOUSE at night", NULL};
  limner_history_set_prompts(history, prompts);
  g_assert_cmpuint(limner_history_get_n_shown(history), ==, 3);
  GtkWidget *entry = gtk_widget_get_first_child(gtk_widget_get_first_child(GTK_WIDGET(history)));
  gtk_editable_set_text(GTK_EDITABLE(entry), "house");
  wait_until(limner_history_get_n_shown(history) == 2);
  g_signal_emit_by_name(entry, "activate");
  g_assert_cmpstr(chosen, ==, "a HOUSE at night"); // the newest
  gtk_editable_set_text(GTK_EDITABLE(entry), "red  HOUSE");
  wait_until(limner_history_get_n_shown(history) == 1);
  g_signal_emit_by_name(entry, "activate");
  g_assert_cmpstr(chosen, ==, "A red house");
  gtk_editable_set_text(GTK_EDITABLE(entry), "zebra");
  wait_until(limner_history_get_n_shown(history) == 0);
  g_signal_emit_by_name(entry, "activate");
  g_assert_cmpstr(chosen, ==, "A red house"); // nothing was chosen
  limner_history_set_prompts(history, NULL);
  g_assert_cmpuint(limner_history_get_n_shown(history), ==, 0);
  g_assert_finalize_object(history);
}

// In the controls, and kept by the settings.
static void test_presets(void) {
  GSettings *settings = limner_settings_new();
  LimnerControls *controls = g_object_ref_sink(g_object_new(LIMNER_TYPE_CONTROLS, NULL));
  limner_controls_bind_settings(controls, settings);
  LimnerPresets *presets = template_child(controls, LIMNER_TYPE_CONTROLS, "presets");
  GObject *guidance = template_child(controls, LIMNER_TYPE_CONTROLS, "guidance_slider");
  GObject *variety = template_child(controls, LIMNER_TYPE_CONTROLS, "variety_slider");
  g_object_set(guidance, "value", 7.5, NULL);
  g_object_set(variety, "value", 0.2, NULL);
  g_signal_emit_by_name(presets, "wanted", "strict");
  g_object_set(guidance, "value", 2.0, NULL);
  g_signal_emit_by_name(presets, "wanted", "loose");
  g_assert_cmpuint(limner_presets_get_n(presets), ==, 2);
  g_object_set(variety, "value", 1.0, NULL);
  g_signal_emit_by_name(presets, "wanted", "loose"); // in its place
  g_assert_cmpuint(limner_presets_get_n(presets), ==, 2);
  g_assert_finalize_object(controls);
  LimnerPresets *later = g_object_ref_sink(g_object_new(LIMNER_TYPE_PRESETS, NULL));
  limner_presets_bind_settings(later, settings);
  g_assert_cmpuint(limner_presets_get_n(later), ==, 2);
  g_assert_nonnull(find_named(GTK_WIDGET(later), "Remove “strict”"));
  g_signal_emit_by_name(find_named(GTK_WIDGET(later), "Remove “loose”"), "clicked");
  g_assert_cmpuint(limner_presets_get_n(later), ==, 1);
  g_assert_finalize_object(later);
  // Applied they move the sliders.
  controls = g_object_ref_sink(g_object_new(LIMNER_TYPE_CONTROLS, NULL));
  limner_controls_bind_settings(controls, settings);
  presets = template_child(controls, LIMNER_TYPE_CONTROLS, "presets");
  g_autoptr(GVariant) kept = g_settings_get_value(settings, "presets");
  g_autoptr(GVariant) strict = g_variant_get_child_value(kept, 0);
  g_signal_emit_by_name(presets, "apply", strict);
  g_autoptr(LimnerRequest) request = limner_controls_take_request(controls);
  g_assert_cmpfloat(request->cfg, ==, 7.5);
  g_assert_cmpfloat(request->temperature, ==, 0.2);
  g_assert_finalize_object(controls);
  g_settings_reset(settings, "presets");
  g_object_unref(settings);
}

// --- a grid over two settings --------------------------------------------------------------------

static void test_grid_axis(void) {
  LimnerGridAxis axis;
  g_assert_null(limner_grid_axis_parse(&axis, LIMNER_SETTING_VARIETY, " 0,5;1 1.5, 1 "));
  g_assert_cmpuint(axis.n, ==, 3); // each once
  g_assert_cmpfloat(axis.values[0], ==, 0.5);
  g_assert_cmpfloat(axis.values[2], ==, 1.5);
  static const char *const wrong[] = {
      "", " ", "2", "one", "1 -1", "nan", "1x", "inf", "0.1 0.2 0.3 0.4 0.5 0.6 0.7"};
  for (gsize i = 0; i < G_N_ELEMENTS(wrong); i++) {
    g_autofree char *problem = limner_grid_axis_parse(&axis, LIMNER_SETTING_VARIETY, wrong[i]);
    g_test_message("'%s': %s", wrong[i], problem);
    g_assert_nonnull(problem);
  }
}

static void test_grid(void) {
  Studio studio = studio_new();
  LimnerGrid *grid = studio.window->grid;
  GtkEditable *columns = template_child(grid, LIMNER_TYPE_GRID, "column_entry");
  GtkEditable *rows = template_child(grid, LIMNER_TYPE_GRID, "row_entry");
  GtkWidget *button = template_child(grid, LIMNER_TYPE_GRID, "paint_button");
  limner_controls_set_prompt(studio.window->controls, "a boat");
  act(&studio, "win.grid");
  g_assert_cmpstr(gtk_editable_get_text(columns), ==, "3.3 5.0 7.5"); // around the sliders'
  g_assert_cmpstr(gtk_editable_get_text(rows), ==, "0.7 1.0 1.5");
  gtk_editable_set_text(columns, "2 11");
  g_assert_false(gtk_widget_get_sensitive(button));
  gtk_editable_set_text(columns, "2 4 8");
  gtk_editable_set_text(rows, "0 1");
  g_assert_cmpstr(gtk_button_get_label(GTK_BUTTON(button)), ==, "_Paint 6 Pictures");
  g_signal_emit_by_name(button, "clicked");
  wait_until(n_items(pictures_of(&studio)) == 6);
  wait_until(limner_job_queue_get_n_active(studio.queue) == 0);
  settle();
  // Each cell has the picture of its settings.
  GtkWidget *cell = find_named(GTK_WIDGET(grid), "Follow the Prompt 4, Variety 0");
  g_assert_nonnull(cell);
  LimnerSample *sample =
      limner_canvas_get_sample(LIMNER_CANVAS(gtk_button_get_child(GTK_BUTTON(cell))));
  const LimnerRequest *request = limner_sample_get_request(sample);
  g_assert_cmpfloat(request->cfg, ==, 4);
  g_assert_cmpfloat(request->temperature, ==, 0);
  g_assert_true(limner_sample_get_finished(sample));
  GtkWidget *other = find_named(GTK_WIDGET(grid), "Follow the Prompt 8, Variety 1");
  LimnerSample *last =
      limner_canvas_get_sample(LIMNER_CANVAS(gtk_button_get_child(GTK_BUTTON(other))));
  g_assert_cmpuint(limner_sample_get_request(last)->seed, ==, request->seed);
  g_signal_emit_by_name(cell, "clicked");
  g_assert_true(limner_window_is_large(studio.window));
  g_assert_true(limner_large_view_get_sample(studio.window->large_view) == sample);
  act(&studio, "win.escape");
  g_assert_true(adw_leaflet_get_visible_child(studio.window->pages) == GTK_WIDGET(grid));
  act(&studio, "win.escape");
  g_assert_true(adw_leaflet_get_visible_child(studio.window->pages) == studio.window->main_page);
  studio_clear(&studio);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  adw_init();
  still_cursor();
  model_folder = argc > 1 ? argv[1] : NULL;
  g_test_add_func("/studio/stage", test_stage);
  g_test_add_func("/studio/compare/origin", test_compare_origin);
  g_test_add_func("/studio/compare/samples", test_compare_samples);
  g_test_add_func("/studio/compare/chain", test_compare_chain);
  g_test_add_func("/studio/several/deleted", test_several_deleted);
  g_test_add_func("/studio/several/undone-at-once", test_undone_at_once);
  g_test_add_func("/studio/several/exported", test_several_exported);
  g_test_add_func("/studio/queue/list", test_queue_list);
  g_test_add_func("/studio/queue/order", test_queue_order);
  g_test_add_func("/studio/queue/stopping", test_stopping);
  g_test_add_func("/studio/history", test_history);
  g_test_add_func("/studio/presets", test_presets);
  g_test_add_func("/studio/grid/axis", test_grid_axis);
  g_test_add_func("/studio/grid/page", test_grid);
  return g_test_run();
}
