// SPDX-License-Identifier: MIT
// One picture of a job as the window sees it.
#include "app/sample-private.h"

struct _LimnerSample {
  GObject parent_instance;
  // Owned
  LimnerRequest *request;
  LimnerPicture *picture;
  GBytes *tokens;
  // Plain
  guint index;
  guint n_rows;
  guint grid;
  gboolean finished;
};

G_DEFINE_FINAL_TYPE(LimnerSample, limner_sample, G_TYPE_OBJECT)

enum { PROP_0, PROP_PICTURE, PROP_N_ROWS, PROP_FINISHED, N_PROPS };
static GParamSpec *properties[N_PROPS];

static void limner_sample_get_property(GObject *object, guint id, GValue *value,
                                       GParamSpec *pspec) {
  LimnerSample *self = LIMNER_SAMPLE(object);
  switch (id) {
  case PROP_PICTURE:
    g_value_set_boxed(value, self->picture);
    break;
  case PROP_N_ROWS:
    g_value_set_uint(value, self->n_rows);
    break;
  case PROP_FINISHED:
    g_value_set_boolean(value, self->finished);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID(object, id, pspec);
  }
}

static void limner_sample_finalize(GObject *object) {
  LimnerSample *self = LIMNER_SAMPLE(object);
  limner_request_free(self->request);
  g_clear_pointer(&self->picture, limner_picture_unref);
  g_clear_pointer(&self->tokens, g_bytes_unref);
  G_OBJECT_CLASS(limner_sample_parent_class)->finalize(object);
}

static void limner_sample_class_init(LimnerSampleClass *klass) {
  GObjectClass *object_class = G_OBJECT_CLASS(klass);
  const GParamFlags flags = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS | G_PARAM_EXPLICIT_NOTIFY;
  object_class->get_property = limner_sample_get_property;
  object_class->finalize = limner_sample_finalize;
  properties[PROP_PICTURE] = g_param_spec_boxed("picture", NULL, NULL, LIMNER_TYPE_PICTURE, flags);
  properties[PROP_N_ROWS] = g_param_spec_uint("n-rows", NULL, NULL, 0, G_MAXUINT, 0, flags);
  properties[PROP_FINISHED] = g_param_spec_boolean("finished", NULL, NULL, FALSE, flags);
  g_object_class_install_properties(object_class, N_PROPS, properties);
}

static void limner_sample_init(LimnerSample *self) {}

LimnerSample *limner_sample_new(const LimnerRequest *request, guint index) {
  LimnerSample *self = g_object_new(LIMNER_TYPE_SAMPLE, NULL);
  self->request = limner_request_copy(request);
  self->index = index;
  return self;
}

void limner_sample_update_clear(SampleUpdate *update) {
  g_clear_pointer(&update->picture, limner_picture_unref);
  g_clear_pointer(&update->tokens, g_bytes_unref);
  *update = (SampleUpdate){0};
}

void limner_sample_apply(LimnerSample *self, SampleUpdate *update) {
  GObject *object = G_OBJECT(self);
  g_object_freeze_notify(object);
  if (update->tokens) {
    g_clear_pointer(&self->tokens, g_bytes_unref);
    self->tokens = g_steal_pointer(&update->tokens);
  }
  if (update->grid)
    self->grid = update->grid;
  if (update->n_rows > self->n_rows) {
    self->n_rows = update->n_rows;
    g_object_notify_by_pspec(object, properties[PROP_N_ROWS]);
  }
  if (update->picture && !self->finished) {
    g_clear_pointer(&self->picture, limner_picture_unref);
    self->picture = g_steal_pointer(&update->picture);
    g_object_notify_by_pspec(object, properties[PROP_PICTURE]);
  }
  if (update->finished && !self->finished) {
    self->finished = TRUE;
    g_object_notify_by_pspec(object, properties[PROP_FINISHED]);
  }
  limner_sample_update_clear(update);
  g_object_thaw_notify(object);
}

LimnerPicture *limner_sample_get_picture(LimnerSample *self) {
  return self->picture;
}

guint limner_sample_get_index(LimnerSample *self) {
  return self->index;
}

guint limner_sample_get_n_rows(LimnerSample *self) {
  return self->n_rows;
}

guint limner_sample_get_grid(LimnerSample *self) {
  return self->grid;
}

gboolean limner_sample_get_finished(LimnerSample *self) {
  return self->finished;
}

const gint32 *limner_sample_get_tokens(LimnerSample *self, int *n_tokens) {
  gsize n_bytes = 0;
  const gint32 *tokens = self->tokens ? g_bytes_get_data(self->tokens, &n_bytes) : NULL;
  *n_tokens = (int)(n_bytes / sizeof *tokens);
  return tokens;
}

const LimnerRequest *limner_sample_get_request(LimnerSample *self) {
  return self->request;
}

char *limner_sample_dup_file_name(LimnerSample *self) {
  return g_strdup_printf("limner-%" G_GUINT64_FORMAT "_%u.png", self->request->seed, self->index);
}
