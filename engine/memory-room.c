// SPDX-License-Identifier: MIT
// How much memory there is: what the machine, its control groups and the shell's limits leave over.
#include "engine/memory.h"

#include "engine/error.h"
#include "engine/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { PATH_BYTES = 4096, FILE_BYTES = 1 << 16 };

// --- small files ---------------------------------------------------------------------------------

// A file of /proc or /sys as text; NULL when there is none.
static char *read_text(const char *folder, const char *name) {
  char path[PATH_BYTES];
  char *text = NULL;
  size_t n_bytes = 0;
  const bool fits = snprintf(path, sizeof path, "%s/%s", folder, name) < (int)sizeof path;
  return fits && file_read(path, FILE_BYTES, &text, &n_bytes, NULL) ? text : NULL;
}

// The number after `key` at the beginning of a line ("" = the file's first); false when there is
// none, as where a group's limit is "max".
static bool find_number(const char *text, const char *key, uint64_t *number) {
  for (const char *line = text; line; line = strchr(line, '\n'), line += line != NULL) {
    if (strncmp(line, key, strlen(key)) != 0)
      continue;
    const char *digits = line + strlen(key);
    char *end = NULL;
    *number = strtoull(digits, &end, 10);
    return end != digits;
  }
  return false;
}

static bool read_number(const char *folder, const char *name, const char *key, uint64_t *number) {
  char *text = read_text(folder, name);
  const bool ok = text && find_number(text, key, number);
  free(text);
  return ok;
}

static void limit_to(MemoryRoom *room, uint64_t free_bytes, const char *limit) {
  if (free_bytes >= room->free_bytes)
    return;
  room->free_bytes = free_bytes;
  room->limit = limit;
}

static uint64_t above_zero(uint64_t a, uint64_t b) {
  return a > b ? a - b : 0;
}

// --- who limits ----------------------------------------------------------------------------------

static void ask_machine(MemoryRoom *room, const char *proc) {
  uint64_t kilobytes = 0;
  if (read_number(proc, "meminfo", "MemTotal:", &kilobytes))
    room->total_bytes = 1024 * kilobytes;
  if (read_number(proc, "meminfo", "MemAvailable:", &kilobytes))
    limit_to(room, 1024 * kilobytes, "on this machine");
}

// Files that a group has read count against it until the room is wanted.
static void ask_group(MemoryRoom *room, const char *folder) {
  uint64_t most = 0, current = 0, active = 0, inactive = 0;
  if (!read_number(folder, "memory.max", "", &most) ||
      !read_number(folder, "memory.current", "", &current))
    return;
  read_number(folder, "memory.stat", "active_file ", &active);
  read_number(folder, "memory.stat", "inactive_file ", &inactive);
  if (room->total_bytes == 0 || most < room->total_bytes)
    room->total_bytes = most;
  limit_to(room, above_zero(most, above_zero(current, active + inactive)),
           "in this program's control group");
}

// The group of version 2 that the process is in, and those it is inside of.
static void ask_groups(MemoryRoom *room, const char *proc, const char *groups) {
  char folder[PATH_BYTES];
  char *text = read_text(proc, "self/cgroup");
  const char *entry = text ? strstr(text, "0::/") : NULL;
  const int n_path = entry ? (int)strcspn(entry + 3, "\n") : 0;
  if (entry && snprintf(folder, sizeof folder, "%s%.*s", groups, n_path, entry + 3) < PATH_BYTES)
    while (strlen(folder) >= strlen(groups)) {
      ask_group(room, folder);
      char *slash = strrchr(folder, '/');
      *(slash ? slash : folder) = '\0';
    }
  free(text);
}

static void ask_shell(MemoryRoom *room, const char *proc, uint64_t address_bytes) {
  uint64_t pages = 0;
  if (address_bytes == UINT64_MAX || !read_number(proc, "self/statm", "", &pages))
    return;
  limit_to(room, above_zero(address_bytes, pages * (uint64_t)sysconf(_SC_PAGESIZE)),
           "under the limit of ulimit -v");
}

MemoryRoom janus_memory_room_in(const char *proc, const char *groups, uint64_t address_bytes) {
  MemoryRoom room = {.free_bytes = UINT64_MAX, .limit = ""};
  ask_machine(&room, proc);
  ask_groups(&room, proc, groups);
  ask_shell(&room, proc, address_bytes);
  return room;
}

MemoryRoom janus_memory_room(void) {
  struct rlimit limit = {.rlim_cur = RLIM_INFINITY};
  getrlimit(RLIMIT_AS, &limit);
  return janus_memory_room_in("/proc", "/sys/fs/cgroup",
                              limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur);
}

// --- checks --------------------------------------------------------------------------------------

// What takes less of a card's memory.
static const char *advice(const MemoryRoom *room) {
  return room->owner ? "; --weights fp8, q8 or q4 and fewer samples need less, --device cpu none "
                       "of it"
                     : "";
}

bool janus_memory_check(const JanusMemory *needed, const MemoryRoom *room, JanusError *error) {
  if (room->total_bytes == 0 || needed->total_bytes <= room->total_bytes)
    return true;
  return janus_fail(error, JANUS_ERROR_MEMORY,
                    "not enough memory: %.1f GB needed (weights %.1f, keys and values %.1f, "
                    "activations %.1f), %s has %.1f GB%s",
                    (double)needed->total_bytes / 1e9, (double)needed->weights_bytes / 1e9,
                    (double)needed->kv_bytes / 1e9, (double)needed->activation_bytes / 1e9,
                    room->owner ? room->owner : "this machine", (double)room->total_bytes / 1e9,
                    advice(room));
}

bool janus_memory_check_room(const JanusMemory *needed, const MemoryRoom *room, JanusError *error) {
  if (!janus_memory_check(needed, room, error))
    return false;
  const uint64_t n_bytes = needed->unmade_bytes + needed->kv_bytes + needed->activation_bytes;
  char packed[BYTES_TEXT], kv[BYTES_TEXT], activations[BYTES_TEXT], sum[BYTES_TEXT];
  char found[BYTES_TEXT];
  return n_bytes <= room->free_bytes ||
         janus_fail(
             error, JANUS_ERROR_MEMORY,
             "not enough memory: %s needed beside %s weights (%s ones %s, keys and values %s, "
             "activations %s), %s are free %s%s",
             janus_bytes_text(n_bytes, sum), room->owner ? "loaded" : "mapped",
             room->owner ? "other" : "packed", janus_bytes_text(needed->unmade_bytes, packed),
             janus_bytes_text(needed->kv_bytes, kv),
             janus_bytes_text(needed->activation_bytes, activations),
             janus_bytes_text(room->free_bytes, found), room->limit, advice(room));
}

bool janus_memory_has_room(uint64_t n_bytes, const char *purpose, JanusError *error) {
  const MemoryRoom room = janus_memory_room();
  char needed[BYTES_TEXT], found[BYTES_TEXT];
  return n_bytes <= room.free_bytes ||
         janus_fail(error, JANUS_ERROR_MEMORY,
                    "not enough memory: %s needed for %s, %s are free %s",
                    janus_bytes_text(n_bytes, needed), purpose,
                    janus_bytes_text(room.free_bytes, found), room.limit);
}
