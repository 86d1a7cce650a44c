// SPDX-License-Identifier: MIT
// What bench measured, for programs and for people.
#include "app/cli/bench.h"
#include "app/cli/common.h"

#include <stdio.h>

// Of a picture among so many: its share of the steps, and its decoding where that was measured.
// Steps in the middle of the picture are the mean of all.
static double picture_s(const CliBenchReport *report, const CliBenchSize *size) {
  const JanusBenchResult *r = &size->result;
  const double shared_s = r->look_s + r->prefill_s + report->info->n_image_tokens * r->step_s;
  return shared_s / size->n_samples + MAX(report->phases.vq_decode_s, 0);
}

// --- for programs --------------------------------------------------------------------------------

static void print_size_json(const CliBenchReport *report, const CliBenchSize *size) {
  const JanusBenchResult *r = &size->result;
  const char *weights = janus_weights_text(report->info->weights);
  printf("{\"samples\": %d, \"rows\": %d, \"weights\": \"%s\", \"steps\": %d, \"context\": %d, ",
         size->n_samples, r->n_rows, weights, r->n_steps, r->n_context);
  printf("\"step_s\": %.6g, \"step_min_s\": %.6g, \"step_max_s\": %.6g, ", r->step_s, r->step_min_s,
         r->step_max_s);
  printf("\"bytes\": %zu, \"weights_bytes\": %zu, \"kv_bytes\": %zu, \"kv_new_bytes\": %zu, ",
         r->bytes, r->weights_bytes, r->kv_bytes, r->kv_new_bytes);
  printf("\"fraction\": %.4f, \"fraction_min\": %.4f, \"fraction_max\": %.4f, ", r->fraction,
         r->fraction_min, r->fraction_max);
  printf("\"stream\": %.6g, \"spread\": %.4f, \"flops\": %.6g, \"peak_share\": %.4f, ", r->stream,
         r->spread, r->flops, r->peak_share);
  printf("\"parts\": {\"linear_s\": %.6g, \"attention_s\": %.6g, \"other_s\": %.6g}, ",
         r->parts.linear_s, r->parts.attention_s, r->parts.other_s);
  printf("\"look_s\": %.6g, \"prefill_s\": %.6g, \"prefilled\": %d, \"prefill_share\": %.4f, ",
         r->look_s, r->prefill_s, r->n_prefilled, r->prefill_share);
  printf("\"picture_s\": %.6g}", picture_s(report, size));
}

static void print_seconds_json(const char *name, double seconds) {
  if (seconds < 0)
    printf(", \"%s\": null", name);
  else
    printf(", \"%s\": %.6g", name, seconds);
}

void cli_bench_print_json(const CliBenchReport *report) {
  const JanusModelInfo *info = report->info;
  g_autofree char *model = cli_json_text(report->model);
  g_autofree char *device = cli_json_text(info->device);
  g_autofree char *device_name = cli_json_text(info->device_name);
  const JanusBenchResult *first = &report->sizes[0].result;
  printf("{\"model\": %s, \"layers\": %d, \"weights\": \"%s\", \"kind\": \"%s\", ", model,
         info->n_layers, janus_weights_text(info->weights),
         report->is_edit ? "edit" : "text-to-image");
  printf("\"device\": %s, \"device_name\": %s, \"stream_bytes\": %zu, \"peak_flops\": %.6g, ",
         device, device_name, report->limits.stream_bytes, report->limits.peak_flops);
  printf("\"stream_before\": %.6g, \"stream_after\": %.6g, \"first_token\": %d, \"decode\": [",
         report->stream_before, report->stream_after, report->n_prompt_known);
  for (int i = 0; i < report->n_sizes; i++) {
    printf("%s", i ? ", " : "");
    print_size_json(report, &report->sizes[i]);
  }
  printf("], \"open\": %.6g, \"prefill\": %.6g, \"prefilled\": %d", report->open_s,
         first->prefill_s, first->n_prefilled);
  print_seconds_json("vq_decode", report->phases.vq_decode_s);
  print_seconds_json("vq_encode", report->phases.vq_encode_s);
  print_seconds_json("siglip", report->phases.siglip_s);
  printf(", \"peak_memory\": %" G_GUINT64_FORMAT ", \"predicted_memory\": %" G_GUINT64_FORMAT "}\n",
         report->peak_bytes, report->predicted_bytes);
}

// --- for people ----------------------------------------------------------------------------------

static void print_size(const CliBenchSize *size) {
  const JanusBenchResult *r = &size->result;
  printf("%7d %5d %9.2f %9.2f %9.2f %7.3f %9.2f %5.2f-%4.2f %9.2f %7.2f %8.1f %7.1f %6.1f\n",
         size->n_samples, r->n_rows, r->step_s * 1e3, r->step_min_s * 1e3, r->step_max_s * 1e3,
         (double)r->bytes * 1e-9, r->fraction, r->fraction_min, r->fraction_max, r->stream * 1e-9,
         r->peak_share, r->parts.linear_s * 1e3, r->parts.attention_s * 1e3,
         r->parts.other_s * 1e3);
}

// What comes before the first token, and what a picture takes.
static void print_picture(const CliBenchReport *report, const CliBenchSize *size) {
  const JanusBenchResult *r = &size->result;
  printf("%d sample%s: ", size->n_samples, size->n_samples == 1 ? "" : "s");
  if (report->is_edit)
    printf("the picture looked at in %.3f s, ", r->look_s);
  printf("%d positions of the prompt in %.3f s (%.2f of the peak), a picture in %.2f s\n",
         r->n_prefilled, r->prefill_s, r->prefill_share, picture_s(report, size));
}

static void print_phase(const char *name, double seconds) {
  if (seconds >= 0)
    printf("%s: %.3f s\n", name, seconds);
}

void cli_bench_print_text(const CliBenchReport *report) {
  const JanusModelInfo *info = report->info;
  g_autofree char *peak = cli_bytes_text(report->peak_bytes);
  g_autofree char *predicted = cli_bytes_text(report->predicted_bytes);
  printf("%s, %d layers, %s, %s: %s\n", report->model, info->n_layers,
         janus_weights_text(info->weights), report->is_edit ? "edit" : "text to image",
         info->device_name);
  printf("stream: %.1f GB/s before, %.1f after; peak of the instruction: %.0f GFLOP/s\n",
         report->stream_before * 1e-9, report->stream_after * 1e-9,
         report->limits.peak_flops * 1e-9);
  printf("steps from token %d of %d, context %d; milliseconds, GB, shares of stream and peak\n",
         report->n_prompt_known, info->n_image_tokens, report->sizes[0].result.n_context);
  printf("samples  rows    median     least      most   bytes  fraction  (repeats)    stream    "
         "peak   linear  attent  other\n");
  for (int i = 0; i < report->n_sizes; i++)
    print_size(&report->sizes[i]);
  for (int i = 0; i < report->n_sizes; i++)
    print_picture(report, &report->sizes[i]);
  print_phase("VQ decode", report->phases.vq_decode_s);
  print_phase("VQ encode", report->phases.vq_encode_s);
  print_phase("SigLIP", report->phases.siglip_s);
  printf("opened in %.1f s; memory: %s at the most, %s foretold\n", report->open_s, peak,
         predicted);
}
