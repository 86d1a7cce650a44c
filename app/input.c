// SPDX-License-Identifier: MIT
// Pictures to change as shared values.
#include "app/input.h"

#include "app/picture-load.h"

struct LimnerInput {
  gatomicrefcount ref_count;
  LimnerPicture *picture;
  char *name;
  GMutex lock;
  char *sha256; // under the lock until it is set, then never changed
};

G_DEFINE_BOXED_TYPE(LimnerInput, limner_input, limner_input_ref, limner_input_unref)

LimnerInput *limner_input_new_from_picture(LimnerPicture *picture, const char *name,
                                           const char *sha256) {
  LimnerInput *input = g_new0(LimnerInput, 1);
  g_atomic_ref_count_init(&input->ref_count);
  g_mutex_init(&input->lock);
  input->picture = limner_picture_ref(picture);
  input->name = g_strdup(name);
  input->sha256 = g_strdup(sha256);
  return input;
}

LimnerInput *limner_input_new_from_bytes(GBytes *file, const char *name, GError **error) {
  g_autoptr(LimnerPicture) picture = limner_picture_decode(file, name, error);
  if (!picture)
    return NULL;
  g_autofree char *sha256 = g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, file);
  return limner_input_new_from_picture(picture, name, sha256);
}

LimnerInput *limner_input_load(const char *path, GError **error) {
  g_autoptr(GBytes) file = limner_file_load(path, error);
  return file ? limner_input_new_from_bytes(file, path, error) : NULL;
}

LimnerInput *limner_input_ref(LimnerInput *input) {
  g_atomic_ref_count_inc(&input->ref_count);
  return input;
}

void limner_input_unref(LimnerInput *input) {
  if (!g_atomic_ref_count_dec(&input->ref_count))
    return;
  limner_picture_unref(input->picture);
  g_mutex_clear(&input->lock);
  g_free(input->name);
  g_free(input->sha256);
  g_free(input);
}

LimnerPicture *limner_input_get_picture(const LimnerInput *input) {
  return input->picture;
}

const char *limner_input_get_name(const LimnerInput *input) {
  return input->name;
}

const char *limner_input_get_sha256(LimnerInput *input) {
  g_mutex_lock(&input->lock);
  if (!input->sha256) {
    g_autoptr(GBytes) png = limner_picture_dup_png(input->picture, NULL);
    input->sha256 = png ? g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, png) : NULL;
  }
  g_mutex_unlock(&input->lock);
  return input->sha256;
}
