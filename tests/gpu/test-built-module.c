// SPDX-License-Identifier: MIT
// The CUDA module as it was built: it opens, all its symbols are found, and it says itself whether
// there is a card. Argument: the module.
#include "tests/kernels/check.h"

#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
  char reason[200] = "";
  jk_device *dev = NULL;
  setenv("LIMNER_CUDA_MODULE", argc > 1 ? argv[1] : "", 1);
  const jk_status status = jk_cuda_open(0, &dev, reason, sizeof reason);
  const bool is_opened = !strstr(reason, "module") && !strstr(reason, "not in this build");
  check(is_opened && (status == JK_OK) == (dev != NULL), "the module opens: %s",
        dev ? dev->name : reason);
  if (dev)
    dev->close(dev);
  return check_done();
}
