// SPDX-License-Identifier: MIT
// How fast ggml multiplies by matrices of the 7B's shapes: one program for ggml and for
// ik_llama.cpp's ggml, built elsewhere from their own repositories. Prints one JSON object a line:
// type, rows, bytes a second of the weights, and the read bandwidth of the same moment.
// Usage: peer-ggml THREADS ROWS[,ROWS...] TYPE[,TYPE...]
#include <ggml-backend.h>
#include <ggml.h>
#if __has_include(<ggml-cpu.h>)
#include <ggml-cpu.h>
#endif

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace {

constexpr int n_in = 4096, n_out = 11008, n_matrices = 12, n_repetitions = 9;

double now_s() {
  using namespace std::chrono;
  return duration<double>(steady_clock::now().time_since_epoch()).count();
}

std::vector<std::string> split(const char *text) {
  std::vector<std::string> words;
  std::stringstream stream(text);
  for (std::string word; std::getline(stream, word, ',');)
    words.push_back(word);
  return words;
}

// Reads a gigabyte with all threads; the best of two.
double stream(const std::vector<uint64_t> &data, int n_threads) {
  double best_s = INFINITY;
  for (int i = 0; i < 2; i++) {
    std::vector<std::thread> threads;
    std::vector<uint64_t> sums(16 * n_threads);
    const double begin = now_s();
    for (int t = 0; t < n_threads; t++)
      threads.emplace_back([&, t] {
        const size_t n = data.size() / n_threads, first = n * t;
        uint64_t sum[8] = {0};
        for (size_t k = first; k + 8 <= first + n; k += 8)
          for (int j = 0; j < 8; j++)
            sum[j] += data[k + j];
        for (uint64_t s : sum)
          sums[16 * t] += s;
      });
    for (std::thread &thread : threads)
      thread.join();
    best_s = std::min(best_s, now_s() - begin);
  }
  return data.size() * sizeof(uint64_t) / best_s;
}

ggml_type find_type(const std::string &name) {
  for (int i = 0; i < GGML_TYPE_COUNT; i++) {
    const char *found = ggml_type_name((ggml_type)i);
    if (found && name == found)
      return (ggml_type)i;
  }
  fprintf(stderr, "no type %s\n", name.c_str());
  exit(2);
}

// A matrix product with more weights than the caches hold, one matrix after the other.
struct Products {
  ggml_context *weights, *rest;
  ggml_cgraph *graph;
  ggml_backend_buffer_t weights_buffer, rest_buffer;
  size_t n_bytes;
};

#ifdef GGML_BACKEND_API
// Where the CPU keeps weights in an order of its own, if it does so for this type.
ggml_backend_buffer_type_t weights_place(ggml_tensor *tensor, ggml_backend_t backend) {
  ggml_backend_dev_t device = ggml_backend_get_device(backend);
  auto *registry = ggml_backend_dev_backend_reg(device);
  auto get = (ggml_backend_dev_get_extra_bufts_t)ggml_backend_reg_get_proc_address(
      registry, "ggml_backend_dev_get_extra_bufts");
  for (ggml_backend_buffer_type_t *place = get ? get(device) : nullptr; place && *place; place++) {
    ggml_backend_buffer_t buffer = ggml_backend_buft_alloc_buffer(*place, 0);
    ggml_context *ctx = ggml_init({1 << 16, nullptr, true});
    ggml_tensor *w = ggml_new_tensor_2d(ctx, tensor->type, n_in, n_out);
    w->buffer = buffer;
    ggml_tensor *y = ggml_mul_mat(ctx, w, ggml_new_tensor_2d(ctx, GGML_TYPE_F32, n_in, 1));
    const bool takes = ggml_backend_dev_supports_op(device, y);
    ggml_free(ctx);
    ggml_backend_buffer_free(buffer);
    if (takes)
      return *place;
  }
  return ggml_backend_get_default_buffer_type(backend);
}
#else
ggml_backend_buffer_type_t weights_place(ggml_tensor *tensor, ggml_backend_t backend) {
  return ggml_backend_get_default_buffer_type(backend);
}
#endif

std::vector<float> random_floats(size_t n, float scale) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal(0, scale);
  std::vector<float> values(n);
  for (float &value : values)
    value = normal(random);
  return values;
}

Products prepare(ggml_type type, int n_rows, ggml_backend_t backend) {
  Products p;
  p.weights = ggml_init({1 << 20, nullptr, true});
  p.rest = ggml_init({8 << 20, nullptr, true});
  std::vector<ggml_tensor *> w;
  for (int i = 0; i < n_matrices; i++)
    w.push_back(ggml_new_tensor_2d(p.weights, type, n_in, n_out));
  p.weights_buffer =
      ggml_backend_alloc_ctx_tensors_from_buft(p.weights, weights_place(w[0], backend));
  const std::vector<float> values = random_floats((size_t)n_in * n_out, 1 / 64.0f);
  std::vector<uint8_t> packed(ggml_row_size(type, n_in) * n_out);
  ggml_quantize_chunk(type, values.data(), packed.data(), 0, n_out, n_in, nullptr);
  ggml_tensor *x = ggml_new_tensor_2d(p.rest, GGML_TYPE_F32, n_in, n_rows);
  p.graph = ggml_new_graph(p.rest);
  p.n_bytes = 0;
  for (ggml_tensor *matrix : w) {
    ggml_backend_tensor_set(matrix, packed.data(), 0, packed.size());
    ggml_build_forward_expand(p.graph, ggml_mul_mat(p.rest, matrix, x));
    p.n_bytes += packed.size();
  }
  p.rest_buffer = ggml_backend_alloc_ctx_tensors_from_buft(
      p.rest, ggml_backend_get_default_buffer_type(backend));
  const std::vector<float> inputs = random_floats((size_t)n_in * n_rows, 1);
  ggml_backend_tensor_set(x, inputs.data(), 0, inputs.size() * sizeof(float));
  return p;
}

void release(Products &p) {
  ggml_backend_buffer_free(p.weights_buffer);
  ggml_backend_buffer_free(p.rest_buffer);
  ggml_free(p.weights);
  ggml_free(p.rest);
}

void measure(const std::string &name, int n_rows, int n_threads, ggml_backend_t backend,
             const std::vector<uint64_t> &data) {
  Products p = prepare(find_type(name), n_rows, backend);
  std::vector<double> fractions, rates;
  ggml_backend_graph_compute(backend, p.graph);
  double before = stream(data, n_threads);
  for (int i = 0; i < n_repetitions; i++) {
    const double begin = now_s();
    ggml_backend_graph_compute(backend, p.graph);
    rates.push_back(p.n_bytes / (now_s() - begin));
    const double after = stream(data, n_threads);
    fractions.push_back(rates.back() / std::max(before, after));
    before = after;
  }
  std::sort(rates.begin(), rates.end());
  std::sort(fractions.begin(), fractions.end());
  const double rate = rates[n_repetitions / 2];
  printf("{\"type\": \"%s\", \"rows\": %d, \"bytes\": %zu, \"rate\": %.5g, \"flops\": %.5g, "
         "\"fraction\": %.4f, \"fraction_min\": %.4f, \"fraction_max\": %.4f, \"stream\": %.5g}\n",
         name.c_str(), n_rows, p.n_bytes, rate,
         2.0 * n_in * n_out * n_matrices * n_rows / (p.n_bytes / rate),
         fractions[n_repetitions / 2], fractions.front(), fractions.back(), before);
  fflush(stdout);
  release(p);
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: %s THREADS ROWS[,ROWS...] TYPE[,TYPE...]\n", argv[0]);
    return 2;
  }
  const int n_threads = atoi(argv[1]);
  ggml_backend_t backend = ggml_backend_cpu_init();
  ggml_backend_cpu_set_n_threads(backend, n_threads);
  std::vector<uint64_t> data((size_t)1 << 27);
  std::mt19937_64 random(2);
  for (uint64_t &word : data)
    word = random();
  for (const std::string &type : split(argv[3]))
    for (const std::string &rows : split(argv[2]))
      measure(type, atoi(rows.c_str()), n_threads, backend, data);
  ggml_backend_free(backend);
  return 0;
}
