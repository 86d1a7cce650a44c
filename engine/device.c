// SPDX-License-Identifier: MIT
// Opening the device that a person asked for, or the best there is.
#include "engine/device.h"

#include "engine/error.h"
#include "engine/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_THREADS = 1024, MAX_CARDS = 64, NO_CARD = -1 };

bool device_is_auto(const JanusModelOptions *options) {
  return !options->device || strcmp(options->device, "auto") == 0;
}

// "cuda" is 0, "cuda:N" N, "cpu" none, and so is "auto", behind which who opens a model tries cards
// itself; false for everything else.
static bool parse(const char *text, int *card) {
  char *end = NULL;
  *card = NO_CARD;
  if (!text || strcmp(text, "auto") == 0)
    return true;
  if (strcmp(text, "cuda") == 0)
    *card = 0;
  else if (strncmp(text, "cuda:", 5) == 0 && text[5] >= '0' && text[5] <= '9')
    *card = (int)strtol(text + 5, &end, 10);
  else
    return strcmp(text, "cpu") == 0;
  return (!end || *end == '\0') && *card < MAX_CARDS;
}

bool device_check_options(const JanusModelOptions *options, JanusError *error) {
  int card;
  if (!parse(options->device, &card))
    return janus_fail(error, JANUS_ERROR_REQUEST,
                      "device: expected auto, cpu, cuda or cuda:N, found %s", options->device);
  return (options->n_threads >= 0 && options->n_threads <= MAX_THREADS) ||
         janus_fail(error, JANUS_ERROR_REQUEST, "threads: expected 0 to %d, found %d", MAX_THREADS,
                    options->n_threads);
}

// --- the CPU ------------------------------------------------------------------------------------

// The instruction set that LIMNER_CPU_ISA allows, else the best; tests and comparisons set it.
static bool pick_isa(jk_isa *isa, JanusError *error) {
  static const char *const words[] = {
      [JK_ISA_GENERIC] = "generic", [JK_ISA_AVX2] = "avx2", [JK_ISA_AVX512] = "avx512"};
  const char *text = getenv("LIMNER_CPU_ISA");
  *isa = jk_cpu_best_isa();
  if (!text || !*text)
    return true;
  for (int i = JK_ISA_GENERIC; i <= JK_ISA_AVX512; i++) {
    if (!words[i] || strcmp(text, words[i]) != 0)
      continue;
    *isa = (jk_isa)i;
    return true;
  }
  return janus_fail(error, JANUS_ERROR_REQUEST,
                    "LIMNER_CPU_ISA: expected generic, avx2 or avx512, found %s", text);
}

static bool open_cpu(int n_threads, jk_device **out, JanusError *error) {
  jk_isa isa;
  if (!pick_isa(&isa, error))
    return false;
  const jk_status status = jk_cpu_open(n_threads, isa, out);
  return status == JK_OK || janus_fail(error, JANUS_ERROR_DEVICE, "the CPU cannot be opened: %s",
                                       jk_status_text(status));
}

// --- cards --------------------------------------------------------------------------------------

static bool open_card(int card, jk_device **out, JanusError *error) {
  char reason[200] = "";
  const jk_status status = jk_cuda_open(card, out, reason, sizeof reason);
  if (status == JK_OK)
    return true;
  return janus_fail(error, status == JK_NO_DEVICE ? JANUS_ERROR_UNSUPPORTED : JANUS_ERROR_DEVICE,
                    "device cuda:%d cannot be used: %s; --device cpu can", card,
                    *reason ? reason : jk_status_text(status));
}

bool janus_device_can_open(const char *name, JanusError *error) {
  const JanusModelOptions options = {.device = name, .n_threads = 1};
  char opened[DEVICE_NAME_BYTES];
  jk_device *device = NULL;
  if (!device_open(&options, &device, opened, error))
    return false;
  device->close(device);
  return true;
}

bool device_open(const JanusModelOptions *options, jk_device **out, char name[DEVICE_NAME_BYTES],
                 JanusError *error) {
  int card;
  *out = NULL;
  if (!device_check_options(options, error) || !parse(options->device, &card))
    return false;
  if (card < 0) {
    snprintf(name, DEVICE_NAME_BYTES, "cpu");
    return open_cpu(options->n_threads, out, error);
  }
  snprintf(name, DEVICE_NAME_BYTES, "cuda:%d", card);
  return open_card(card, out, error);
}

// --- what there is ------------------------------------------------------------------------------

static bool describe_card(int index, jk_card *card, JanusError *why_not) {
  char reason[200] = "";
  if (index >= MAX_CARDS)
    return false;
  const jk_status status = jk_cuda_describe(index, card, reason, sizeof reason);
  return status == JK_OK ||
         janus_fail(why_not, status == JK_NO_DEVICE ? JANUS_ERROR_UNSUPPORTED : JANUS_ERROR_DEVICE,
                    "device cuda:%d cannot be used: %s", index, reason);
}

bool device_has_card(int index, JanusError *why_not) {
  jk_card card;
  return describe_card(index, &card, why_not);
}

static void describe_cpu(JanusDevice *device) {
  *device = (JanusDevice){.name = "cpu", .total_bytes = janus_memory_room().total_bytes};
  snprintf(device->label, sizeof device->label, "CPU (%s)", jk_isa_text(jk_cpu_best_isa()));
}

int janus_devices_list(JanusDevice *devices, int most, JanusError *why_no_card) {
  jk_card card;
  int n = 0;
  if (most > 0)
    describe_cpu(&devices[n++]);
  for (int i = 0; n < most && describe_card(i, &card, i == 0 ? why_no_card : NULL); i++) {
    JanusDevice *device = &devices[n++];
    *device = (JanusDevice){.total_bytes = card.n_bytes};
    snprintf(device->name, sizeof device->name, "cuda:%d", i);
    snprintf(device->label, sizeof device->label, "%s", card.name);
  }
  return n;
}
