// SPDX-License-Identifier: MIT
// A library that can be opened, and is no module for cards.
int limner_other_library(void);

int limner_other_library(void) {
  return 0;
}
