// SPDX-License-Identifier: MIT
// The widgets of editing by themselves: the drop zone and what it says, what the model sees, our
// pictures on the clipboard, and the controls with a picture.
#include "tests/ui/waiting.h"
#include "ui/limner-controls.h"
#include "ui/limner-drag.h"
#include "ui/limner-drop-zone.h"
#include "ui/limner-pick.h"
#include "ui/limner-prompt.h"
#include "ui/limner-seen.h"
#include "ui/limner-slider.h"

#include <adwaita.h>
#include <glib/gstdio.h>

static gpointer make(GType type) {
  return g_object_ref_sink(g_object_new(type, NULL));
}

static LimnerPicture *new_picture(int width_px, int height_px) {
  const gsize n_bytes = (gsize)width_px * (gsize)height_px * 3;
  guint8 *rgb = g_malloc(n_bytes);
  for (gsize i = 0; i < n_bytes; i++)
    rgb[i] = (guint8)(i * 7 + i / 1000);
  g_autoptr(GBytes) bytes = g_bytes_new_take(rgb, n_bytes);
  return limner_picture_new(bytes, width_px, height_px);
}

static LimnerInput *new_input(int width_px, int height_px, const char *name) {
  g_autoptr(LimnerPicture) picture = new_picture(width_px, height_px);
  return limner_input_new_from_picture(picture, name, NULL);
}

// A picture file in a folder of this test's. Owned.
static GFile *new_file(const char *name, int width_px, int height_px) {
  g_autofree char *path = g_build_filename(g_get_user_cache_dir(), name, NULL);
  g_autoptr(LimnerPicture) picture = new_picture(width_px, height_px);
  g_autoptr(GError) error = NULL;
  g_mkdir_with_parents(g_get_user_cache_dir(), 0700);
  limner_picture_save_png(picture, path, &error);
  g_assert_no_error(error);
  return g_file_new_for_path(path);
}

static gboolean is_shown(gpointer widget, GType type, const char *name) {
  return gtk_widget_get_visible(template_child(widget, type, name));
}

#define zone_shows(zone, name) is_shown(zone, LIMNER_TYPE_DROP_ZONE, name)

static const char *zone_note(LimnerDropZone *zone) {
  return gtk_label_get_label(template_child(zone, LIMNER_TYPE_DROP_ZONE, "note_label"));
}

static void test_seen(void) {
  g_autoptr(LimnerInput) input = new_input(60, 20, "wide");
  LimnerSeen *seen = make(LIMNER_TYPE_SEEN);
  g_assert_false(limner_seen_has_picture(seen));
  limner_seen_set(seen, input, JANUS_FIT_PAD);
  limner_seen_set(seen, input, JANUS_FIT_CROP);
  wait_until(limner_seen_has_picture(seen));
  limner_seen_set(seen, NULL, JANUS_FIT_PAD);
  g_assert_false(limner_seen_has_picture(seen));
  limner_seen_set(seen, input, JANUS_FIT_PAD); // goes while it is worked out
  g_assert_finalize_object(seen);
}

static void test_zone_states(void) {
  LimnerDropZone *zone = make(LIMNER_TYPE_DROP_ZONE);
  GtkWidget *frame = template_child(zone, LIMNER_TYPE_DROP_ZONE, "frame");
  g_autoptr(LimnerInput) square = new_input(40, 40, "square.png");
  g_autoptr(LimnerInput) tall = new_input(40, 90, "tall.png");
  g_assert_true(zone_shows(zone, "empty_box"));
  g_assert_false(zone_shows(zone, "clear_button"));
  gtk_test_accessible_assert_property(GTK_ACCESSIBLE(frame), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                      "Picture to change: none");
  limner_drop_zone_set_input(zone, square);
  g_assert_true(zone_shows(zone, "full_box"));
  g_assert_false(zone_shows(zone, "empty_box"));
  g_assert_false(zone_shows(zone, "fit_box")); // nothing to choose
  limner_drop_zone_set_input(zone, tall);
  g_assert_true(zone_shows(zone, "fit_box"));
  g_assert_cmpint(limner_drop_zone_get_fit(zone), ==, JANUS_FIT_PAD);
  gtk_toggle_button_set_active(template_child(zone, LIMNER_TYPE_DROP_ZONE, "crop_button"), TRUE);
  g_assert_cmpint(limner_drop_zone_get_fit(zone), ==, JANUS_FIT_CROP);
  gtk_test_accessible_assert_property(GTK_ACCESSIBLE(frame), GTK_ACCESSIBLE_PROPERTY_LABEL,
                                      "Picture to change: tall.png");
  gtk_widget_activate_action(GTK_WIDGET(zone), "zone.clear", NULL);
  g_assert_null(limner_drop_zone_get_input(zone));
  g_assert_true(zone_shows(zone, "empty_box"));
  g_assert_finalize_object(zone);
}

static void test_zone_file(void) {
  LimnerDropZone *zone = make(LIMNER_TYPE_DROP_ZONE);
  g_autoptr(GFile) first = new_file("first.png", 30, 20);
  g_autoptr(GFile) second = new_file("second.png", 20, 30);
  g_autoptr(GFile) missing = g_file_new_for_path("/nonexistent/picture.png");
  limner_drop_zone_load(zone, first);
  g_assert_true(limner_drop_zone_is_loading(zone));
  limner_drop_zone_load(zone, second); // the newest wins
  wait_until(!limner_drop_zone_is_loading(zone));
  LimnerInput *input = limner_drop_zone_get_input(zone);
  g_assert_cmpstr(limner_input_get_name(input), ==, "second.png");
  g_assert_cmpint(limner_picture_get_height(limner_input_get_picture(input)), ==, 30);
  g_assert_false(zone_shows(zone, "note_label"));
  limner_drop_zone_load(zone, missing);
  wait_until(!limner_drop_zone_is_loading(zone));
  g_assert_true(g_str_has_prefix(zone_note(zone), "picture.png cannot be read: "));
  g_assert_true(limner_drop_zone_get_input(zone) == input); // the former one stays
  g_autofree char *folder_path = g_file_get_path(first);
  g_autoptr(GFile) folder = g_file_get_parent(first);
  limner_drop_zone_load(zone, folder);
  wait_until(!limner_drop_zone_is_loading(zone));
  g_assert_true(g_str_has_suffix(zone_note(zone), " is not a file"));
  limner_drop_zone_load(zone, first); // goes while it reads
  g_assert_finalize_object(zone);
}

static void on_pasted(GObject *source, GAsyncResult *result, gpointer data) {
  g_autoptr(GError) error = NULL;
  LimnerInput *input = limner_pick_finish(result, NULL, &error);
  *(char **)data = input ? g_strdup(limner_input_get_name(input)) : g_strdup(error->message);
  g_clear_pointer(&input, limner_input_unref);
}

// Takes the content and pastes it. What came: a picture's name or an error. Owned.
static char *paste(GdkContentProvider *content) {
  GdkClipboard *clipboard = gdk_display_get_clipboard(gdk_display_get_default());
  char *words = NULL;
  gdk_clipboard_set_content(clipboard, content);
  limner_pick_clipboard_async(clipboard, NULL, on_pasted, &words);
  wait_until(words);
  g_object_unref(content);
  return words;
}

static GdkContentProvider *new_uri_list(const char *uris) {
  g_autoptr(GBytes) bytes = g_bytes_new(uris, strlen(uris));
  return gdk_content_provider_new_for_bytes("text/uri-list", bytes);
}

static void test_pick(void) {
  g_autoptr(LimnerInput) input = new_input(24, 24, "Sample 2, seed 712");
  g_autofree char *own = paste(limner_content_provider_new(input));
  g_assert_cmpstr(own, ==, "Sample 2, seed 712");
  g_autoptr(GdkTexture) texture = limner_texture_new(limner_input_get_picture(input));
  g_autofree char *foreign = paste(gdk_content_provider_new_typed(GDK_TYPE_TEXTURE, texture));
  g_assert_cmpstr(foreign, ==, "Pasted picture");
  g_autoptr(GFile) file = new_file("third.png", 30, 20);
  g_autofree char *uri = g_file_get_uri(file);
  g_autofree char *uris = g_strdup_printf("%s\r\n%s\r\n", uri, uri);
  g_autofree char *from_uri = paste(new_uri_list(uris));
  g_assert_cmpstr(from_uri, ==, "third.png");
  g_autofree char *text = paste(gdk_content_provider_new_typed(G_TYPE_STRING, uri));
  g_assert_cmpstr(text, ==, "third.png");
  g_autofree char *prose = paste(gdk_content_provider_new_typed(G_TYPE_STRING, "a boat"));
  g_assert_cmpstr(prose, ==, "There is no picture to paste");
  g_autofree char *web = paste(new_uri_list("https://example.org/cat.png\r\n"));
  g_assert_true(g_str_has_prefix(web, "This is only an address on the web"));
}

static void on_written(GObject *source, GAsyncResult *result, gpointer data) {
  g_autoptr(GError) error = NULL;
  gdk_content_provider_write_mime_type_finish(GDK_CONTENT_PROVIDER(source), result, &error);
  g_assert_no_error(error);
  *(gboolean *)data = TRUE;
}

// What other programs get is the file that Save writes, with its recipe.
static void test_provider(void) {
  guint8 rgb[4 * 4 * 3] = {1, 2, 3};
  g_autoptr(GBytes) bytes = g_bytes_new(rgb, sizeof rgb);
  g_autoptr(LimnerPicture) picture =
      limner_picture_new_with_texts(bytes, 4, 4, "a boat\nSeed: 7", "{}");
  g_autoptr(LimnerInput) input = limner_input_new_from_picture(picture, "a boat", NULL);
  GdkContentProvider *content = limner_content_provider_new(input);
  g_autoptr(GOutputStream) stream = g_memory_output_stream_new_resizable();
  gboolean is_written = FALSE;
  gdk_content_provider_write_mime_type_async(content, "image/png", stream, 0, NULL, on_written,
                                             &is_written);
  wait_until(is_written);
  g_output_stream_close(stream, NULL, NULL);
  g_autoptr(GBytes) sent = g_memory_output_stream_steal_as_bytes(G_MEMORY_OUTPUT_STREAM(stream));
  g_autoptr(GBytes) saved = limner_picture_dup_png(picture, NULL);
  g_assert_true(g_bytes_equal(sent, saved));
  gpointer gone = content;
  g_object_add_weak_pointer(G_OBJECT(content), &gone);
  g_object_unref(content);
  for (int i = 0; gone && i < 200; i++)
    g_usleep(10000); // the thread that wrote lets go of it when it ends
  g_assert_null(gone);
}

static void test_controls(void) {
  LimnerControls *controls = make(LIMNER_TYPE_CONTROLS);
  LimnerPrompt *prompt = template_child(controls, LIMNER_TYPE_CONTROLS, "prompt");
  GtkLabel *label = template_child(controls, LIMNER_TYPE_CONTROLS, "prompt_label");
  const LimnerModelSummary model = {.folder = (char *)"demo",
                                    .name = (char *)"Demo model",
                                    .device_name = (char *)"CPU, 1 thread",
                                    .weights = (char *)"f32",
                                    .defaults = {.cfg = 3.5, .image_cfg = 2, .temperature = 1}};
  g_autoptr(LimnerInput) input = new_input(40, 30, "photo.jpg");
  limner_controls_set_model(controls, &model);
  g_assert_true(limner_controls_check(controls)); // an empty prompt is one
  g_assert_false(is_shown(controls, LIMNER_TYPE_CONTROLS, "freedom_slider"));
  g_assert_cmpstr(gtk_label_get_label(label), ==, "_What to Paint");
  limner_controls_change(controls, input);
  g_assert_true(is_shown(controls, LIMNER_TYPE_CONTROLS, "freedom_slider"));
  g_assert_cmpstr(gtk_label_get_label(label), ==, "_What to Change");
  g_assert_false(limner_controls_check(controls)); // for an edit it is not
  g_assert_true(is_shown(controls, LIMNER_TYPE_CONTROLS, "hint_label"));
  limner_prompt_set_text(prompt, "make the house blue");
  g_assert_false(is_shown(controls, LIMNER_TYPE_CONTROLS, "hint_label"));
  g_assert_true(limner_controls_check(controls));
  g_autoptr(LimnerRequest) request = limner_controls_take_request(controls);
  g_assert_true(request->input == input);
  g_assert_cmpint(request->fit, ==, JANUS_FIT_PAD);
  g_assert_cmpfloat(request->image_cfg, ==, 2);
  limner_controls_start(controls, "a boat");
  g_autoptr(LimnerRequest) plain = limner_controls_take_request(controls);
  g_assert_null(plain->input);
  g_assert_finalize_object(controls);
}

int main(int argc, char **argv) {
  g_test_init(&argc, &argv, NULL);
  adw_init();
  g_test_add_func("/ui/seen", test_seen);
  g_test_add_func("/ui/drop-zone/states", test_zone_states);
  g_test_add_func("/ui/drop-zone/file", test_zone_file);
  g_test_add_func("/ui/pick", test_pick);
  g_test_add_func("/ui/provider", test_provider);
  g_test_add_func("/ui/controls/edit", test_controls);
  return g_test_run();
}
