// SPDX-License-Identifier: MIT
// The window and cards, on the emulated one: what it says when a card cannot be used or is lost,
// the button that goes on with the processor, and the choice of a device. The argument is a small
// model folder, with which jobs are really run.
#define WAIT_S 100 // the emulated card is slow; observed: 12
#include "tests/ui/remove-all.h"
#include "tests/ui/waiting.h"
#include "ui/limner-model-dialog.h"
#include "ui/limner-settings.h"
#include "ui/limner-window-private.h"

#include <string.h>

// Behind those that open a card and check what it computes; some tokens are painted by then.
#define LAUNCHES_INTO_PAINTING "230"
// Behind those of the weights.
#define ALLOCATIONS_INTO_THE_RUN "345"

static const char *model_folder;

typedef struct Desk {
  char *root;
  GSettings *settings;
  LimnerLibrary *library;
  LimnerJobQueue *queue;
  LimnerWindow *window;
} Desk;

static void wait_a_moment(void) {
  const gint64 end_us = g_get_monotonic_time() + 300000;
  while (g_get_monotonic_time() < end_us)
    if (!g_main_context_iteration(NULL, FALSE))
      g_usleep(1000);
}

static gboolean is_settled(Desk *desk) {
  const LimnerModelState state = limner_job_queue_get_model_state(desk->queue);
  return state == LIMNER_MODEL_READY || state == LIMNER_MODEL_FAILED;
}

// A window whose model has opened, or not, on the device that is remembered.
static Desk desk_new(const char *device, const char *variable, const char *value) {
  g_unsetenv("LIMNER_EMULATED_CARD");
  g_unsetenv("LIMNER_EMULATED_LOSE");
  g_unsetenv("LIMNER_EMULATED_REFUSE");
  if (variable)
    g_setenv(variable, value, TRUE);
  Desk desk = {.root = g_dir_make_tmp("limner-cards-XXXXXX", NULL),
               .settings = limner_settings_new(),
               .queue = limner_job_queue_new()};
  g_assert_nonnull(desk.settings);
  limner_settings_set_string(desk.settings, "device", device);
  g_autofree char *pictures = g_build_filename(desk.root, "pictures", NULL);
  g_autofree char *state = g_build_filename(desk.root, "state", NULL);
  desk.library = limner_library_open(pictures, state);
  desk.window = g_object_ref(limner_window_new(NULL, desk.queue, desk.settings));
  limner_window_set_library(desk.window, desk.library);
  gtk_window_present(GTK_WINDOW(desk.window));
  limner_window_set_model(desk.window, model_folder);
  wait_until(is_settled(&desk));
  wait_a_moment();
  return desk;
}

static void desk_clear(Desk *desk) {
  wait_a_moment(); // libadwaita before 1.3 leaks what it is just moving
  gtk_window_destroy(GTK_WINDOW(desk->window));
  limner_job_queue_shutdown(desk->queue);
  wait_a_moment();
  g_assert_finalize_object(desk->window);
  g_assert_finalize_object(desk->queue);
  wait_until(G_OBJECT(desk->library)->ref_count == 1);
  g_assert_finalize_object(desk->library);
  g_object_unref(desk->settings);
  remove_all(desk->root);
  g_free(desk->root);
}

// --- what is in view -----------------------------------------------------------------------------

static gboolean has_bar(Desk *desk) {
  return gtk_info_bar_get_revealed(desk->window->message_bar);
}

static const char *bar_text(Desk *desk) {
  return gtk_label_get_label(desk->window->message_label);
}

// A button that can be seen and does this; NULL = none.
static GtkWidget *find_button(GtkWidget *widget, const char *action) {
  if (GTK_IS_BUTTON(widget) && gtk_widget_get_mapped(widget) &&
      g_strcmp0(gtk_actionable_get_action_name(GTK_ACTIONABLE(widget)), action) == 0)
    return widget;
  GtkWidget *found = NULL;
  for (GtkWidget *child = gtk_widget_get_first_child(widget); child && !found;
       child = gtk_widget_get_next_sibling(child))
    found = find_button(child, action);
  return found;
}

static void press(Desk *desk, const char *action) {
  wait_until(find_button(GTK_WIDGET(desk->window), action));
  g_signal_emit_by_name(find_button(GTK_WIDGET(desk->window), action), "clicked");
}

static guint n_kept(Desk *desk) {
  GListModel *pictures =
      template_child(desk->window->library_page, LIMNER_TYPE_LIBRARY_PAGE, "selection");
  return g_list_model_get_n_items(pictures);
}

static void paint(Desk *desk, const char *prompt) {
  const LimnerRequest request = {
      .prompt = (char *)prompt, .n_samples = 1, .seed = 7, .cfg = 3, .temperature = 1, .top_p = 1};
  limner_window_paint(desk->window, &request);
}

static const char *device_of(Desk *desk) {
  return limner_job_queue_get_model(desk->queue)->device;
}

// --- the choice ----------------------------------------------------------------------------------

static GtkWidget *open_choice(Desk *desk) {
  gtk_widget_activate_action(GTK_WIDGET(desk->window), "win.model-facts", NULL);
  GtkWidget *group =
      template_child(desk->window->model_dialog, LIMNER_TYPE_MODEL_DIALOG, "device_group");
  wait_a_moment();
  return group;
}

// The row of the group below a widget that has this title; NULL = none.
static AdwActionRow *find_choice(GtkWidget *widget, const char *title) {
  if (ADW_IS_ACTION_ROW(widget) &&
      strcmp(adw_preferences_row_get_title(ADW_PREFERENCES_ROW(widget)), title) == 0)
    return ADW_ACTION_ROW(widget);
  AdwActionRow *found = NULL;
  for (GtkWidget *child = gtk_widget_get_first_child(widget); child && !found;
       child = gtk_widget_get_next_sibling(child))
    found = find_choice(child, title);
  return found;
}

static gboolean is_chosen(GtkWidget *group, const char *title) {
  GtkWidget *check = adw_action_row_get_activatable_widget(find_choice(group, title));
  return gtk_check_button_get_active(GTK_CHECK_BUTTON(check));
}

static void choose(GtkWidget *group, const char *title) {
  adw_action_row_activate(find_choice(group, title));
}

// --- a card that cannot be used ------------------------------------------------------------------

// Said once for each reason, with a way to more.
static void test_fallback(void) {
  Desk desk = desk_new("auto", "LIMNER_EMULATED_CARD", "old-driver");
  g_assert_cmpstr(device_of(&desk), ==, "cpu");
  g_assert_true(has_bar(&desk));
  g_assert_nonnull(strstr(bar_text(&desk), "too old for this build"));
  g_assert_null(strstr(bar_text(&desk), "--device"));
  press(&desk, "win.model-facts");
  g_assert_nonnull(desk.window->model_dialog);
  desk_clear(&desk);
  desk = desk_new("auto", "LIMNER_EMULATED_CARD", "old-driver");
  g_assert_false(has_bar(&desk));
  desk_clear(&desk);
  desk = desk_new("auto", "LIMNER_EMULATED_CARD", "none");
  g_assert_false(has_bar(&desk));
  desk_clear(&desk);
}

// A remembered card that is not there any more.
static void test_missing(void) {
  Desk desk = desk_new("cuda:5", "LIMNER_EMULATED_CARD", "two");
  g_assert_cmpint(limner_job_queue_get_model_state(desk.queue), ==, LIMNER_MODEL_FAILED);
  g_assert_true(has_bar(&desk));
  g_assert_nonnull(strstr(bar_text(&desk), "found cuda:5"));
  g_assert_null(strstr(bar_text(&desk), "--device"));
  g_assert_true(is_chosen(open_choice(&desk), "cuda:5"));
  press(&desk, "win.use-processor");
  wait_until(limner_job_queue_get_model_state(desk.queue) == LIMNER_MODEL_READY);
  g_assert_cmpstr(device_of(&desk), ==, "cpu");
  g_assert_false(has_bar(&desk));
  g_autofree char *device = limner_settings_dup_string(desk.settings, "device", "");
  g_assert_cmpstr(device, ==, "cuda:5"); // it may be there again another time
  desk_clear(&desk);
}

// --- a card that is lost -------------------------------------------------------------------------

static LimnerJob *shown_job(Desk *desk) {
  return limner_gallery_get_job(desk->window->gallery);
}

static gboolean has_failed(Desk *desk) {
  LimnerJob *job = shown_job(desk);
  return job && limner_job_get_state(job) == LIMNER_JOB_FAILED;
}

static void test_lost(void) {
  Desk desk = desk_new("auto", "LIMNER_EMULATED_LOSE", LAUNCHES_INTO_PAINTING);
  g_assert_cmpstr(device_of(&desk), ==, "cuda:0");
  paint(&desk, "a boat");
  wait_until(has_failed(&desk));
  g_assert_cmpfloat(limner_job_get_state_seconds(shown_job(&desk), LIMNER_JOB_PAINTING), >, 0);
  wait_until(limner_job_queue_get_model_state(desk.queue) == LIMNER_MODEL_FAILED);
  g_assert_false(has_bar(&desk)); // the job says it
  press(&desk, "win.use-processor");
  wait_until(n_kept(&desk) == 1);
  g_assert_cmpstr(device_of(&desk), ==, "cpu");
  wait_until(limner_job_queue_get_n_active(desk.queue) == 0);
  g_assert_cmpint(limner_job_get_state(shown_job(&desk)), ==, LIMNER_JOB_DONE);
  wait_a_moment();
  g_assert_false(gtk_widget_get_visible(desk.window->draft_bar)); // nothing is left of the other
  desk_clear(&desk);
}

// Memory that something else took in the meantime: the card goes on, this job does not.
static void test_no_room(void) {
  Desk desk = desk_new("auto", "LIMNER_EMULATED_REFUSE", ALLOCATIONS_INTO_THE_RUN);
  g_assert_cmpstr(device_of(&desk), ==, "cuda:0");
  paint(&desk, "a boat");
  wait_until(has_failed(&desk));
  g_assert_cmpint(limner_job_get_error(shown_job(&desk))->code, ==, JANUS_ERROR_MEMORY);
  g_assert_cmpint(limner_job_queue_get_model_state(desk.queue), ==, LIMNER_MODEL_READY);
  press(&desk, "win.use-processor");
  wait_until(n_kept(&desk) == 1);
  g_assert_cmpstr(device_of(&desk), ==, "cpu");
  desk_clear(&desk);
}

// With another job behind it, which is shown and waits, the window says it, and keeps the lost one
// to be continued.
static void test_lost_before_others(void) {
  Desk desk = desk_new("auto", "LIMNER_EMULATED_LOSE", LAUNCHES_INTO_PAINTING);
  paint(&desk, "a boat");
  paint(&desk, "a house");
  wait_until(has_bar(&desk));
  g_assert_nonnull(strstr(bar_text(&desk), "the emulated card is lost"));
  g_assert_cmpstr(limner_job_get_request(shown_job(&desk))->prompt, ==, "a house");
  wait_until(gtk_widget_get_mapped(desk.window->draft_bar));
  press(&desk, "win.use-processor");
  wait_until(n_kept(&desk) == 1);
  g_assert_false(has_bar(&desk));
  press(&desk, "win.continue-all");
  wait_until(n_kept(&desk) == 2);
  wait_until(limner_job_queue_get_n_active(desk.queue) == 0);
  desk_clear(&desk);
}

// --- choosing -----------------------------------------------------------------------------------

// What is told while the weights go to the card, last.
static void on_loaded(Desk *desk) {
  if (limner_job_queue_get_plan(desk->queue))
    g_object_set_data_full(G_OBJECT(desk->queue), "told",
                           g_strdup(adw_window_title_get_subtitle(desk->window->title)), g_free);
}

static void test_choice(void) {
  Desk desk = desk_new("auto", "LIMNER_EMULATED_CARD", "two");
  g_signal_connect_swapped(desk.queue, "notify::loaded", G_CALLBACK(on_loaded), &desk);
  GtkWidget *group = open_choice(&desk);
  g_assert_true(gtk_widget_get_visible(group));
  g_assert_true(is_chosen(group, "Automatic"));
  g_assert_false(is_chosen(group, "Processor"));
  g_assert_cmpstr(adw_action_row_get_subtitle(find_choice(group, "emulated card")), ==, "4.3 GB");
  g_assert_cmpstr(adw_action_row_get_subtitle(find_choice(group, "other emulated card")), ==,
                  "8.6 GB");
  choose(group, "other emulated card");
  wait_until(is_settled(&desk) && strcmp(device_of(&desk), "cuda:1") == 0);
  g_autofree char *device = limner_settings_dup_string(desk.settings, "device", "");
  g_assert_cmpstr(device, ==, "cuda:1");
  const char *told = g_object_get_data(G_OBJECT(desk.queue), "told");
  g_assert_true(g_str_has_prefix(told, "Loading tiny-f32… "));
  g_assert_true(g_str_has_suffix(told, " % – f32 needs 2.5 MB of 8.6 GB"));
  gtk_window_close(desk.window->model_dialog);
  wait_a_moment();
  g_assert_null(desk.window->model_dialog);
  group = open_choice(&desk);
  g_assert_true(is_chosen(group, "other emulated card"));
  choose(group, "Processor");
  wait_until(is_settled(&desk) && strcmp(device_of(&desk), "cpu") == 0);
  desk_clear(&desk);
}

static void test_nothing_to_choose(void) {
  Desk desk = desk_new("auto", "LIMNER_EMULATED_CARD", "none");
  g_assert_false(gtk_widget_get_visible(open_choice(&desk)));
  desk_clear(&desk);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  adw_init();
  model_folder = argc > 1 ? argv[1] : NULL;
  g_test_add_func("/cards/fallback", test_fallback);
  g_test_add_func("/cards/missing", test_missing);
  g_test_add_func("/cards/lost", test_lost);
  g_test_add_func("/cards/no-room", test_no_room);
  g_test_add_func("/cards/lost-before-others", test_lost_before_others);
  g_test_add_func("/cards/choice", test_choice);
  g_test_add_func("/cards/nothing-to-choose", test_nothing_to_choose);
  return g_test_run();
}
