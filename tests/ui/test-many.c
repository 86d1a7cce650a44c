// SPDX-License-Identifier: MIT
// 10,000 pictures of real size in the window: how long until they are there, how smoothly they are
// scrolled through, how soon words find them, and how much memory all that takes.
//
// Bounds are on what this process computes, which a busy machine does not change; the wall's time
// is said beside it. Observed figures stand beside the bounds: two cores, software drawing.
#include "app/png-text.h"
#include "app/recipe.h"
#include "tests/ui/remove-all.h"
#include "tests/ui/waiting.h"
#include "ui/limner-library-page.h"
#include "ui/limner-window-private.h"

#include <glib/gstdio.h>
#include <time.h>

enum {
  MANY = 10000,
  SIZE_PX = 384,
  N_FRAMES = 200,
  SMOOTH_PX = 40,
  FAST_PX = 600,
  N_FAST_FRAMES = 60
};

// --- the pictures --------------------------------------------------------------------------------

// Soft shapes, as pictures have them. As a PNG without texts.
static GBytes *new_pixels(guint variant) {
  guint8 *rgb = g_malloc(SIZE_PX * SIZE_PX * 3);
  for (guint y = 0, i = 0; y < SIZE_PX; y++)
    for (guint x = 0; x < SIZE_PX; x++) {
      rgb[i++] = (guint8)(x / 2 + variant * 40);
      rgb[i++] = (guint8)(y / 2 + (x * y >> 10));
      rgb[i++] = (guint8)((x ^ y) >> (1 + variant % 3));
    }
  g_autoptr(GBytes) bytes = g_bytes_new_take(rgb, SIZE_PX * SIZE_PX * 3);
  g_autoptr(LimnerPicture) picture = limner_picture_new(bytes, SIZE_PX, SIZE_PX);
  return limner_picture_dup_png(picture, NULL);
}

static char *dup_recipe(guint i) {
  static const char *const things[] = {"a red house", "a blue boat", "a green tree", "a fox"};
  g_autofree char *prompt =
      g_strdup_printf("%s on a hill at night, number %u", things[i % G_N_ELEMENTS(things)], i);
  const LimnerRequest request = {
      .prompt = prompt, .n_samples = 1, .seed = i, .cfg = 5, .temperature = 1, .top_p = 1};
  const JanusModelInfo info = {.name = "Demo", .device = "cpu", .image_size_px = SIZE_PX};
  gint32 tokens[576];
  for (guint k = 0; k < G_N_ELEMENTS(tokens); k++)
    tokens[k] = (gint32)((i * 31 + k * 17) % 1024);
  g_autoptr(LimnerRecipe) recipe = limner_recipe_new(&request, 0, tokens, 576, &info);
  return limner_recipe_dup_json(recipe);
}

// Encoding and synchronising 10,000 of them would take minutes: a few pictures' pixels, each with
// its own recipe and so its own SHA-256.
static void write_many(const char *folder) {
  GBytes *pixels[8];
  for (guint i = 0; i < G_N_ELEMENTS(pixels); i++)
    pixels[i] = new_pixels(i);
  for (guint i = 0; i < MANY; i++) {
    g_autofree char *json = dup_recipe(i);
    g_autofree char *path = g_strdup_printf("%s/limner-%u_0.png", folder, i);
    g_autoptr(GBytes) png =
        limner_png_text_add(pixels[i % G_N_ELEMENTS(pixels)], "limner", json, TRUE);
    g_assert_true(g_file_set_contents_full(path, g_bytes_get_data(png, NULL),
                                           (gssize)g_bytes_get_size(png), G_FILE_SET_CONTENTS_NONE,
                                           0644, NULL));
  }
  for (guint i = 0; i < G_N_ELEMENTS(pixels); i++)
    g_bytes_unref(pixels[i]);
}

// --- measuring -----------------------------------------------------------------------------------

static double now_ms(clockid_t clock) {
  struct timespec t;
  clock_gettime(clock, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

typedef struct Span {
  double process_ms, window_ms, wall_ms; // computed by all threads, by this one; by the clock
} Span;

static Span begin(void) {
  return (Span){now_ms(CLOCK_PROCESS_CPUTIME_ID), now_ms(CLOCK_THREAD_CPUTIME_ID),
                now_ms(CLOCK_MONOTONIC)};
}

static Span since(Span then) {
  const Span now = begin();
  return (Span){now.process_ms - then.process_ms, now.window_ms - then.window_ms,
                now.wall_ms - then.wall_ms};
}

static double resident_mb(void) {
  g_autofree char *text = NULL;
  long n_pages = 0, n_resident = 0;
  if (g_file_get_contents("/proc/self/statm", &text, NULL, NULL))
    sscanf(text, "%ld %ld", &n_pages, &n_resident);
  return (double)n_resident * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

// --- the test ------------------------------------------------------------------------------------

typedef struct Studio {
  char *root, *pictures, *state;
  LimnerLibrary *library;
  LimnerJobQueue *queue;
  LimnerWindow *window;
} Studio;

#define n_items(model) g_list_model_get_n_items(G_LIST_MODEL(model))

static GListModel *list_of(Studio *studio) {
  return template_child(studio->window->library_page, LIMNER_TYPE_LIBRARY_PAGE, "selection");
}

// From nothing to a window with all of them in its list.
static void open_window(Studio *studio) {
  const Span start = begin();
  studio->library = limner_library_open(studio->pictures, studio->state);
  studio->queue = limner_job_queue_new();
  studio->window = g_object_ref(limner_window_new(NULL, studio->queue, NULL));
  limner_window_set_library(studio->window, studio->library);
  gtk_window_present(GTK_WINDOW(studio->window));
  gtk_widget_activate_action(GTK_WIDGET(studio->window), "win.library", NULL);
  wait_until(n_items(list_of(studio)) == MANY);
  const Span took = since(start);
  g_test_message("started with %d pictures: %.0f ms of computing, %.0f of them the window's, in "
                 "%.0f ms",
                 MANY, took.process_ms, took.window_ms, took.wall_ms);
  // 1500 ms is the aim of the clock as well. Observed: 305 ms, and 1412 ms by the clock of a
  // machine on which nine programs wanted two cores; the rest of the computing reads pictures
  // meanwhile.
  g_assert_cmpfloat(took.window_ms, <, 1500);
  g_assert_cmpfloat(took.wall_ms, <, 4 * 1500);
}

typedef struct Scrolling {
  GtkAdjustment *adjustment;
  int step_px;
  guint n_frames;
  Span last;
  double computed_ms[N_FRAMES], wall_ms[N_FRAMES]; // from one frame to the next
  guint n;
} Scrolling;

static gboolean on_tick(GtkWidget *widget, GdkFrameClock *clock, gpointer data) {
  Scrolling *scrolling = data;
  const Span took = since(scrolling->last);
  if (scrolling->n < scrolling->n_frames) {
    scrolling->computed_ms[scrolling->n] = took.window_ms;
    scrolling->wall_ms[scrolling->n] = took.wall_ms;
  }
  scrolling->last = begin();
  gtk_adjustment_set_value(scrolling->adjustment,
                           gtk_adjustment_get_value(scrolling->adjustment) + scrolling->step_px);
  return scrolling->n++ < scrolling->n_frames;
}

static int compare(const void *a, const void *b) {
  const double x = *(const double *)a, y = *(const double *)b;
  return x < y ? -1 : x > y;
}

// By so many pixels a frame: 40 are three screens a second. What the median frame took the window.
static double scroll(Studio *studio, int step_px, guint n_frames) {
  GtkWidget *scroller =
      template_child(studio->window->library_page, LIMNER_TYPE_LIBRARY_PAGE, "scroller");
  Scrolling scrolling = {.step_px = step_px, .n_frames = n_frames, .last = begin()};
  scrolling.adjustment = gtk_scrolled_window_get_vadjustment(GTK_SCROLLED_WINDOW(scroller));
  gtk_widget_add_tick_callback(scroller, on_tick, &scrolling, NULL);
  wait_until(scrolling.n > n_frames);
  qsort(scrolling.computed_ms, n_frames, sizeof(double), compare);
  qsort(scrolling.wall_ms, n_frames, sizeof(double), compare);
  g_test_message("scrolled by %d px in %u frames: the median one took the window %.1f ms of "
                 "computing (%.1f ms by the clock), one in twenty %.1f ms, the longest %.1f ms",
                 (int)n_frames * step_px, n_frames, scrolling.computed_ms[n_frames / 2],
                 scrolling.wall_ms[n_frames / 2], scrolling.computed_ms[n_frames * 19 / 20],
                 scrolling.computed_ms[n_frames - 1]);
  return scrolling.computed_ms[n_frames / 2];
}

// What the library answers, and what the window makes of it until the list has changed.
static void search(Studio *studio) {
  const LimnerLibraryQuery query = {.text = "HOUSE 77"};
  g_autoptr(GError) error = NULL;
  Span start = begin();
  g_autoptr(GPtrArray) found = limner_library_query(studio->library, &query, &error);
  g_assert_no_error(error);
  const Span answered = since(start);
  GtkEditable *entry =
      template_child(studio->window->library_page, LIMNER_TYPE_LIBRARY_PAGE, "search_entry");
  start = begin();
  gtk_editable_set_text(entry, "HOUSE 77");
  wait_until(n_items(list_of(studio)) == found->len);
  const Span shown = since(start);
  g_test_message("searched: %u found with %.1f ms of computing; shown after another %.1f ms of the "
                 "window's, %.0f ms after typing",
                 found->len, answered.process_ms, shown.window_ms, shown.wall_ms);
  g_assert_cmpuint(found->len, >, 0);
  g_assert_cmpfloat(answered.process_ms, <, 50); // observed: 14
  g_assert_cmpfloat(shown.window_ms, <, 200);    // observed: 67
}

static void check_memory(Studio *studio) {
  LimnerThumbnails *thumbnails = limner_library_page_get_thumbnails(studio->window->library_page);
  const guint n_held = limner_thumbnails_get_n_held(thumbnails);
  const double mb = resident_mb();
  g_test_message("%u small pictures in memory; %.0f MB in all, without a model", n_held, mb);
  g_assert_cmpuint(n_held, <=, LIMNER_MAX_THUMBNAILS);
  g_assert_cmpuint(n_held, >, 100); // they were seen
  g_assert_cmpfloat(mb, <, 400);    // observed: 244
}

static void test_many(void) {
  Studio studio = {.root = g_dir_make_tmp("limner-many-XXXXXX", NULL)};
  studio.pictures = g_build_filename(studio.root, "pictures", NULL);
  studio.state = g_build_filename(studio.root, "state", NULL);
  g_assert_cmpint(g_mkdir(studio.pictures, 0755), ==, 0);
  write_many(studio.pictures);
  LimnerLibrary *first = limner_library_open(studio.pictures, studio.state);
  Span start = begin();
  g_assert_true(limner_library_rescan(first, NULL, NULL, NULL));
  g_test_message("the index made anew: %.0f ms of computing", since(start).process_ms);
  settle();
  wait_until(G_OBJECT(first)->ref_count == 1);
  g_assert_finalize_object(first);
  open_window(&studio);
  settle();
  g_assert_cmpfloat(scroll(&studio, SMOOTH_PX, N_FRAMES), <, 16); // observed: 12
  scroll(&studio, FAST_PX, N_FAST_FRAMES); // past more of them than are kept in memory
  settle();
  check_memory(&studio);
  search(&studio);
  gtk_window_destroy(GTK_WINDOW(studio.window));
  limner_job_queue_shutdown(studio.queue);
  settle();
  g_assert_finalize_object(studio.window);
  g_assert_finalize_object(studio.queue);
  wait_until(G_OBJECT(studio.library)->ref_count == 1);
  g_assert_finalize_object(studio.library);
  remove_all(studio.root);
  g_free(studio.root);
  g_free(studio.pictures);
  g_free(studio.state);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  adw_init();
  still_cursor();
  g_test_add_func("/many/pictures", test_many);
  return g_test_run();
}
