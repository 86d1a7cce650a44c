// SPDX-License-Identifier: MIT
// Where models lie: what "demo" means, and whether a folder a person chose is a model.
#ifndef LIMNER_MODEL_FOLDER_H
#define LIMNER_MODEL_FOLDER_H

#include <gio/gio.h>

// The folder for what a person typed or chose: "demo" is $LIMNER_DATA_DIR/demo-model, else
// PREFIX/share/limner/demo-model, else the source tree's; anything else is taken as it is. Owned.
char *limner_model_folder_resolve(const char *name);
gboolean limner_model_folder_is_demo(const char *name);
// One sentence in `error` that says what is missing when the folder cannot be a Janus model (no
// config.json, no weights, ...). Reads directory entries only.
gboolean limner_model_folder_check(const char *path, GError **error);

// Where packed copies of large models' weights are kept between starts; it need not be there, and
// may be deleted at any time. Owned.
char *limner_packed_folder_dup(void);
// Smaller copies are packed again at each start, which takes about a second.
#define LIMNER_PACKED_LEAST_BYTES 1000000000

#endif
