// SPDX-License-Identifier: MIT
// Inside the engine: how much memory there is, and refusing what does not fit.
#ifndef JANUS_MEMORY_H
#define JANUS_MEMORY_H

#include "engine/engine.h"

// Of a prompt, where memory is foretold before there is one.
enum { USUAL_PROMPT_TOKENS = 64 };

// What a process may take.
typedef struct MemoryRoom {
  uint64_t
      total_bytes;     // of the machine, or of the control group when that allows less; 0 = unknown
  uint64_t free_bytes; // what it can still take, at least; UINT64_MAX = unknown
  const char *limit;   // who says so, as the end of "are free ..."; borrowed
  const char *owner;   // whose memory it is: NULL = this machine's, else a card's name; borrowed
} MemoryRoom;

// The least of what the machine has available, what the control groups (v2) leave over and what
// `ulimit -v` leaves over; pages of files count as free, since they can be read again.
MemoryRoom janus_memory_room(void);
// The same from folders like /proc and /sys/fs/cgroup, for tests; `address_bytes` is the limit of
// ulimit -v, UINT64_MAX = none.
MemoryRoom janus_memory_room_in(const char *proc, const char *groups, uint64_t address_bytes);

// Fails with MEMORY when `needed` is more than there is at all.
bool janus_memory_check(const JanusMemory *needed, const MemoryRoom *room, JanusError *error);

// Fails with MEMORY when `needed` is more than there is at all, or what is still to be allocated of
// it is more than is free: all but weights that are mapped or packed already.
bool janus_memory_check_room(const JanusMemory *needed, const MemoryRoom *room, JanusError *error);

#endif
