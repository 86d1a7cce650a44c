// SPDX-License-Identifier: MIT
// Models of random weights: names and shapes are a real checkpoint's, values are sane, memory is
// only taken for what is used, and a run draws tokens of the whole codebook.
#include "engine/model.h"
#include "engine/synthetic.h"
#include "tests/engine/data.h"
#include "tests/engine/parity.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

// --- shapes -------------------------------------------------------------------------------------

// lm_head and the pooling head are in checkpoints and never run.
static bool is_left_out(const char *name) {
  return strstr(name, "attn_pool") || strstr(name, "lm_head") || strstr(name, "codebook_used");
}

// A side file's list of "name TAB shape"; counts names whose shape is found.
static int compare_list(const TensorSet *files, FILE *list, int *n_wrong) {
  char line[512], shape[TENSOR_SHAPE_TEXT];
  int n = 0;
  while (fgets(line, sizeof line, list)) {
    char *tab = strchr(line, '\t');
    if (!tab || is_left_out(line))
      continue;
    *tab = '\0';
    tab[1 + strcspn(tab + 1, "\t\n")] = '\0';
    const Tensor *tensor = tensors_find(files, line);
    n++;
    if (tensor && strcmp(tensor_shape_text(tensor->dims, tensor->n_dims, shape), tab + 1) == 0)
      continue;
    printf("# %s %s: found %s\n", line, tab + 1, tensor ? shape : "none");
    (*n_wrong)++;
  }
  return n;
}

static void test_shapes(const char *name, const char *list_name) {
  char path[1100];
  snprintf(path, sizeof path, "%s", real_tokenizer_path(""));
  char *end = strstr(path, "/tokenizer/");
  snprintf(end, sizeof path - (size_t)(end - path), "/%s", list_name);
  FILE *list = fopen(path, "r");
  Synthetic synthetic;
  JanusError error = {0};
  check(synthetic_open(name, &synthetic, &error), "%s %s", name, error.message);
  if (list) {
    int n_wrong = 0;
    const int n = compare_list(synthetic.files, list, &n_wrong);
    check(n_wrong == 0 && (size_t)n == tensors_count(synthetic.files),
          "%s: %d tensors of the list, %zu made, %d differ", name, n,
          tensors_count(synthetic.files), n_wrong);
    fclose(list);
  } else {
    skip("no list of tensors");
  }
  tensors_free(synthetic.files);
  janus_tokenizer_free(synthetic.tokenizer);
}

static void test_unknown(void) {
  Synthetic synthetic;
  JanusError error = {0};
  check(!synthetic_open("janus-pro-3b", &synthetic, &error) && error.code == JANUS_ERROR_REQUEST,
        "an unknown name: %s", error.message);
}

// --- values -------------------------------------------------------------------------------------

static void test_values(void) {
  enum { N = 1 << 20 };
  uint16_t *values = malloc(N * sizeof *values), *again = malloc(N * sizeof *again);
  double sum = 0, squares = 0;
  float least = INFINITY;
  synthetic_fill(values, N, 7, 0, 0.25f);
  synthetic_fill(again, N, 7, 0, 0.25f);
  for (int i = 0; i < N; i++) {
    float x;
    jk_widen(&x, &values[i], JK_BF16, 1);
    sum += (double)x;
    squares += (double)x * (double)x;
    least = fminf(least, fabsf(x));
  }
  const double mean = sum / N, deviation = sqrt(squares / N);
  check(memcmp(values, again, N * sizeof *values) == 0, "one seed, one sequence");
  // Observed: mean 1.9e-04, deviation 0.2493, least 1.0e-04.
  check(fabs(mean) < 1e-3 && fabs(deviation - 0.25) < 0.01 && least > 1e-6f,
        "mean %.1e, deviation %.4f, least %.1e", mean, deviation, (double)least);
  free(values);
  free(again);
}

// --- a run --------------------------------------------------------------------------------------

static bool stop_after(const JanusProgress *progress, void *user_data) {
  return progress->phase != JANUS_PHASE_DECODE || progress->n_done < *(const int *)user_data;
}

static int count_different(const int32_t *tokens, int n) {
  int n_different = 0;
  for (int i = 0; i < n; i++) {
    bool is_new = true;
    for (int j = 0; j < i; j++)
      is_new = is_new && tokens[j] != tokens[i];
    n_different += is_new;
  }
  return n_different;
}

static double peak_gb(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)usage.ru_maxrss * 1024e-9;
}

// Two layers of the 1B: tokens are drawn from many codes, and not all of memory is taken.
static void test_run(JanusWeights weights) {
  const char *name = janus_weights_text(weights);
  const JanusModelOptions options = {
      .synthetic = "janus-pro-1b", .max_layers = 2, .weights = weights, .n_threads = 1};
  const JanusRequest request = {
      .prompt = "a red cube", .n_samples = 2, .cfg = 5, .temperature = 1, .top_p = 1};
  JanusError error = {0};
  int n_steps = 12, n = 0;
  JanusModel *model = janus_model_open(&options, &error);
  check(model, "%s opens %s", name, error.message);
  if (!model)
    return;
  const JanusModelInfo *info = janus_model_get_info(model);
  check(info->n_layers == 2 && info->dim == 2048 && info->n_codes == 16384 &&
            info->weights == weights,
        "%s: %d layers, %d wide", name, info->n_layers, info->dim);
  JanusSession *session = janus_session_new(model, &request, &error);
  check(session && !janus_session_run(session, stop_after, &n_steps, &error) &&
            error.code == JANUS_ERROR_CANCELLED,
        "%s: stopped after %d steps: %s", name, n_steps, error.message);
  const int32_t *tokens = session ? janus_session_get_tokens(session, 1, &n) : NULL;
  // Observed: 12 of 12 in every format.
  check(n == n_steps && count_different(tokens, n) >= 8, "%s: %d different tokens of %d", name,
        n > 0 ? count_different(tokens, n) : 0, n);
  janus_session_free(session);
  janus_model_free(model);
}

int main(int argc, char **argv) {
  set_parity_folder(argc, argv);
  test_shapes("janus-pro-7b", "tensors-7B.txt");
  test_shapes("janus-pro-1b", "tensors-1B.txt");
  test_unknown();
  test_values();
  test_run(JANUS_WEIGHTS_F32);
  // Observed: 1.0 GB in f32.
  check(peak_gb() < 1.9, "two layers of the 1B take %.2f GB", peak_gb());
  return finish();
}
