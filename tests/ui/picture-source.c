// SPDX-License-Identifier: MIT
// Another program with a picture, for tests of the real window. Arguments:
//   drag FILE...       a window of 120 pixels from which the files can be dragged
//   address URI        the same with the address of a picture, as from a browser
//   picture FILE       the same with the picture itself
//   clipboard FILE     owns the clipboard with the picture
// It says "ready" and stays until it is killed, at most two minutes.
#include <gtk/gtk.h>
#include <string.h>

static GdkContentProvider *provide_files(char **paths) {
  g_autoptr(GString) uris = g_string_new(NULL);
  for (; *paths; paths++) {
    g_autoptr(GFile) file = g_file_new_for_commandline_arg(*paths);
    g_autofree char *uri = g_file_get_uri(file);
    g_string_append_printf(uris, "%s\r\n", uri);
  }
  g_autoptr(GBytes) bytes = g_bytes_new(uris->str, uris->len);
  return gdk_content_provider_new_for_bytes("text/uri-list", bytes);
}

static GdkContentProvider *provide_picture(const char *path) {
  g_autoptr(GError) error = NULL;
  g_autoptr(GdkTexture) texture = gdk_texture_new_from_filename(path, &error);
  if (!texture)
    g_error("%s", error->message);
  return gdk_content_provider_new_typed(GDK_TYPE_TEXTURE, texture);
}

static void offer_drag(GdkContentProvider *content) {
  GtkWidget *window = gtk_window_new();
  GtkDragSource *source = gtk_drag_source_new();
  gtk_drag_source_set_content(source, content);
  gtk_window_set_title(GTK_WINDOW(window), "source");
  gtk_window_set_decorated(GTK_WINDOW(window), FALSE);
  gtk_window_set_default_size(GTK_WINDOW(window), 120, 120);
  gtk_window_set_child(GTK_WINDOW(window), gtk_label_new("drag me"));
  gtk_widget_add_controller(window, GTK_EVENT_CONTROLLER(source));
  gtk_window_present(GTK_WINDOW(window));
}

static gboolean on_late(gpointer data) {
  exit(3);
}

int main(int argc, char **argv) {
  if (argc < 3)
    return 2;
  gtk_init();
  const gboolean has_files = strcmp(argv[1], "drag") == 0 || strcmp(argv[1], "address") == 0;
  g_autoptr(GdkContentProvider) content =
      has_files ? provide_files(argv + 2) : provide_picture(argv[2]);
  if (strcmp(argv[1], "clipboard") == 0)
    gdk_clipboard_set_content(gdk_display_get_clipboard(gdk_display_get_default()), content);
  else
    offer_drag(content);
  g_timeout_add_seconds(120, on_late, NULL);
  g_print("ready\n");
  while (TRUE)
    g_main_context_iteration(NULL, TRUE);
}
