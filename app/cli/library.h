// SPDX-License-Identifier: MIT
// The library as subcommands use it.
#ifndef LIMNER_CLI_LIBRARY_H
#define LIMNER_CLI_LIBRARY_H

#include "app/cli/options.h"
#include "app/library.h"

// Row of a table of options.
#define CLI_LIBRARY(folder)                                                                        \
  {                                                                                                \
    "--library", CLI_TEXT, folder, .argument = "DIR",                                              \
                                   .help = "the library's folder (Limner in the pictures folder)"  \
  }

// The library of a folder, NULL = the usual one, scanned. NULL after one line on stderr where there
// is no such folder: none is made to look into it.
LimnerLibrary *cli_library_open(const char *folder);
void cli_library_close(LimnerLibrary *library); // NULL is fine

#endif
