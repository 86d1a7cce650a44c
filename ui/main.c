// SPDX-License-Identifier: MIT
// The program limner.
#include "config.h"
#include "ui/limner-application.h"

#include <glib/gi18n.h>

int main(int argc, char **argv) {
  bindtextdomain(GETTEXT_PACKAGE, LIMNER_LOCALE_DIR);
  bind_textdomain_codeset(GETTEXT_PACKAGE, "UTF-8");
  textdomain(GETTEXT_PACKAGE);
  g_set_application_name("Limner");
  g_autoptr(LimnerApplication) application = limner_application_new();
  return g_application_run(G_APPLICATION(application), argc, argv);
}
