// SPDX-License-Identifier: MIT
// A reader of pickled state dicts. A pickle is a program for a machine with a stack; this one knows
// the operations of protocol 2 that numbers, texts, tuples and dictionaries need, and makes nothing
// but descriptions. Values hold no pointers to each other: tuples are stretches of one list, the
// items of all dictionaries stand in another, so nothing here is recursive and all is bounded.
#include "engine/pickle.h"

#include "engine/error.h"

#include <stdlib.h>
#include <string.h>

enum {
  MAX_STACK = 1 << 14, // a batch of 1000 items was seen to take 2000
  MAX_VALUES = 1 << 20,
  MAX_LINE_BYTES = 256,
};

typedef enum Kind {
  KIND_MARK,
  KIND_NONE,
  KIND_BOOL,
  KIND_NUMBER,
  KIND_TEXT,
  KIND_GLOBAL,
  KIND_TUPLE,
  KIND_STORAGE,
  KIND_TENSOR,
  KIND_DICT,
} Kind;

typedef struct Value {
  Kind kind;
  int64_t number; // NUMBER; GLOBAL: index; DICT: id; the key of an item: id of its dictionary
  size_t at, n;   // TEXT: bytes of the pickle; TUPLE, STORAGE, TENSOR: its parts in `parts`
} Value;

typedef struct Values {
  Value *list;
  size_t n, capacity, most;
} Values;

typedef struct Machine {
  const unsigned char *data;
  size_t n_bytes, at;
  const char *path;
  JanusError *error;
  Values stack, memo;
  Values parts; // of tuples
  Values items; // of dictionaries: key, value, key, value
  int64_t n_dicts;
} Machine;

// Names of code that a state dict mentions. What they stand for is done here.
typedef enum GlobalKind { GLOBAL_DICT, GLOBAL_REBUILD, GLOBAL_STORAGE } GlobalKind;

static const struct {
  const char *name;
  GlobalKind kind;
  const char *dtype;
} globals[] = {
    {"collections.OrderedDict", GLOBAL_DICT, NULL},
    {"torch._utils._rebuild_tensor_v2", GLOBAL_REBUILD, NULL},
    {"torch.FloatStorage", GLOBAL_STORAGE, "F32"},
    {"torch.HalfStorage", GLOBAL_STORAGE, "F16"},
    {"torch.BFloat16Storage", GLOBAL_STORAGE, "BF16"},
    {"torch.DoubleStorage", GLOBAL_STORAGE, "F64"},
    {"torch.LongStorage", GLOBAL_STORAGE, "I64"},
    {"torch.IntStorage", GLOBAL_STORAGE, "I32"},
    {"torch.ShortStorage", GLOBAL_STORAGE, "I16"},
    {"torch.CharStorage", GLOBAL_STORAGE, "I8"},
    {"torch.ByteStorage", GLOBAL_STORAGE, "U8"},
    {"torch.BoolStorage", GLOBAL_STORAGE, "BOOL"},
};

static bool fail(const Machine *m, const char *what) {
  return janus_fail(m->error, JANUS_ERROR_FORMAT,
                    "%s: data.pkl, byte %zu: expected a list of tensors, found %s", m->path, m->at,
                    what);
}

// --- values -------------------------------------------------------------------------------------

static bool push(Machine *m, Values *values, Value value) {
  if (values->n == values->most)
    return fail(m, "more values, or deeper nesting, than one needs");
  if (values->n == values->capacity) {
    const size_t capacity = values->capacity ? 2 * values->capacity : 64;
    Value *grown = realloc(values->list, capacity * sizeof *grown);
    if (!grown)
      return janus_fail(m->error, JANUS_ERROR_MEMORY, "%s: not enough memory", m->path);
    values->list = grown;
    values->capacity = capacity;
  }
  values->list[values->n++] = value;
  return true;
}

static bool put(Machine *m, Kind kind, int64_t number) {
  return push(m, &m->stack, (Value){.kind = kind, .number = number});
}

// The last value of the stack, taken off; it must be of this kind.
static bool pop(Machine *m, Kind kind, Value *value) {
  if (m->stack.n == 0 || m->stack.list[m->stack.n - 1].kind != kind)
    return fail(m, "an operation on another value than it needs");
  *value = m->stack.list[--m->stack.n];
  return true;
}

// Number of values above the last mark, or -1.
static int64_t count_marked(const Machine *m) {
  for (size_t i = m->stack.n; i-- > 0;)
    if (m->stack.list[i].kind == KIND_MARK)
      return (int64_t)(m->stack.n - i - 1);
  return -1;
}

// --- bytes --------------------------------------------------------------------------------------

static const unsigned char *take(Machine *m, size_t n) {
  if (n > m->n_bytes - m->at) {
    fail(m, "it broken off");
    return NULL;
  }
  m->at += n;
  return m->data + m->at - n;
}

// A little-endian number of 1 to 8 bytes.
static bool take_number(Machine *m, size_t n, bool is_signed, int64_t *value) {
  const unsigned char *bytes = take(m, n);
  uint64_t bits = 0;
  if (!bytes)
    return false;
  for (size_t i = 0; i < n; i++)
    bits |= (uint64_t)bytes[i] << (8 * i);
  if (is_signed && n > 0 && n < 8 && bytes[n - 1] & 0x80)
    bits |= UINT64_MAX << (8 * n);
  *value = (int64_t)bits;
  return true;
}

static bool put_number(Machine *m, size_t n, bool is_signed) {
  int64_t value = 0;
  return take_number(m, n, is_signed, &value) && put(m, KIND_NUMBER, value);
}

static bool put_long(Machine *m) {
  int64_t n = 0;
  if (!take_number(m, 1, false, &n))
    return false;
  return n <= 8 ? put_number(m, (size_t)n, true) : fail(m, "a number of more than 8 bytes");
}

static bool put_text(Machine *m) {
  int64_t n = 0;
  if (!take_number(m, 4, false, &n) || !take(m, (size_t)n))
    return false;
  return push(m, &m->stack, (Value){KIND_TEXT, .at = m->at - (size_t)n, .n = (size_t)n});
}

static bool is_text(const Machine *m, Value value, const char *text) {
  return value.kind == KIND_TEXT && value.n == strlen(text) &&
         memcmp(m->data + value.at, text, value.n) == 0;
}

// A line, appended to `text` of *n characters.
static bool take_line(Machine *m, char text[2 * MAX_LINE_BYTES], size_t *n) {
  const unsigned char *line = m->data + m->at;
  const size_t n_left = m->n_bytes - m->at;
  const unsigned char *end = memchr(line, '\n', n_left < MAX_LINE_BYTES ? n_left : MAX_LINE_BYTES);
  if (!end)
    return fail(m, "a name of code that does not end");
  memcpy(text + *n, line, (size_t)(end - line));
  *n += (size_t)(end - line);
  m->at += (size_t)(end - line) + 1;
  return true;
}

static bool put_global(Machine *m) {
  char name[2 * MAX_LINE_BYTES], quoted[QUOTED_TEXT];
  size_t n = 0;
  if (!take_line(m, name, &n))
    return false;
  name[n++] = '.';
  if (!take_line(m, name, &n))
    return false;
  for (size_t i = 0; i < sizeof globals / sizeof *globals; i++)
    if (strlen(globals[i].name) == n && memcmp(globals[i].name, name, n) == 0)
      return put(m, KIND_GLOBAL, (int64_t)i);
  return janus_fail(
      m->error, JANUS_ERROR_FORMAT,
      "%s: data.pkl: expected tensors alone, found %s, which is refused: nothing in a "
      "checkpoint is run",
      m->path, janus_quoted_text(name, n, quoted));
}

// --- memo ---------------------------------------------------------------------------------------

// Numbers are given in order, so that the memo has no holes.
static bool memo_put(Machine *m, size_t n_bytes) {
  int64_t index = 0;
  if (!take_number(m, n_bytes, false, &index))
    return false;
  if (m->stack.n == 0 || (uint64_t)index > m->memo.n)
    return fail(m, "a value kept under a number that is not the next");
  const Value top = m->stack.list[m->stack.n - 1];
  if ((uint64_t)index == m->memo.n)
    return push(m, &m->memo, top);
  m->memo.list[index] = top;
  return true;
}

static bool memo_get(Machine *m, size_t n_bytes) {
  int64_t index = 0;
  if (!take_number(m, n_bytes, false, &index))
    return false;
  return (uint64_t)index < m->memo.n ? push(m, &m->stack, m->memo.list[index])
                                     : fail(m, "a value asked for that was not kept");
}

// --- tuples and dictionaries --------------------------------------------------------------------

static bool put_tuple(Machine *m, int64_t n_parts) {
  if (n_parts < 0 || (uint64_t)n_parts > m->stack.n)
    return fail(m, "a tuple without a beginning");
  const size_t n = (size_t)n_parts, first = m->stack.n - n;
  const Value tuple = {KIND_TUPLE, .at = m->parts.n, .n = n};
  for (size_t i = 0; i < n; i++) {
    if (m->stack.list[first + i].kind == KIND_MARK)
      return fail(m, "a tuple without a beginning");
    if (!push(m, &m->parts, m->stack.list[first + i]))
      return false;
  }
  m->stack.n = first;
  return push(m, &m->stack, tuple);
}

static bool put_marked_tuple(Machine *m) {
  const int64_t n = count_marked(m);
  Value mark;
  if (n < 0)
    return fail(m, "a tuple without a beginning");
  if (!put_tuple(m, n))
    return false;
  const Value tuple = m->stack.list[--m->stack.n];
  return pop(m, KIND_MARK, &mark) && push(m, &m->stack, tuple);
}

static bool put_dict(Machine *m) {
  return put(m, KIND_DICT, m->n_dicts++);
}

// The last 2 n values become items of the dictionary below them (and below a mark).
static bool set_items(Machine *m, int64_t n, bool is_marked) {
  if (n < 0 || n % 2 != 0 || (uint64_t)n + (is_marked ? 2 : 1) > m->stack.n)
    return fail(m, "items without a dictionary");
  const Value *first = m->stack.list + m->stack.n - n;
  const Value dict = first[is_marked ? -2 : -1];
  if (dict.kind != KIND_DICT)
    return fail(m, "items without a dictionary");
  for (int64_t i = 0; i < n; i += 2) {
    Value key = first[i];
    if (key.kind != KIND_TEXT || first[i + 1].kind == KIND_MARK)
      return fail(m, "an item of a dictionary whose name is not a text");
    key.number = dict.number;
    if (!push(m, &m->items, key) || !push(m, &m->items, first[i + 1]))
      return false;
  }
  m->stack.n -= (size_t)n + (is_marked ? 1 : 0);
  return true;
}

// What is attached to a dictionary (its "_metadata") says nothing of tensors.
static bool drop_attached(Machine *m) {
  if (m->stack.n < 2 || m->stack.list[m->stack.n - 2].kind != KIND_DICT ||
      m->stack.list[m->stack.n - 1].kind != KIND_DICT)
    return fail(m, "something attached to what is not a dictionary");
  m->stack.n--;
  return true;
}

// --- tensors ------------------------------------------------------------------------------------

// ("storage", type, key, place, number of values)
static bool put_storage(Machine *m) {
  Value id;
  if (!pop(m, KIND_TUPLE, &id))
    return false;
  if (id.n != 5)
    return fail(m, "a storage that is not one of tensors");
  const Value *part = m->parts.list + id.at;
  const bool ok = is_text(m, part[0], "storage") && part[1].kind == KIND_GLOBAL &&
                  globals[part[1].number].kind == GLOBAL_STORAGE && part[2].kind == KIND_TEXT &&
                  part[3].kind == KIND_TEXT && part[4].kind == KIND_NUMBER && part[4].number >= 0;
  if (!ok)
    return fail(m, "a storage that is not one of tensors");
  return push(m, &m->stack, (Value){KIND_STORAGE, .at = id.at, .n = id.n});
}

static bool are_sizes(const Machine *m, Value tuple) {
  bool ok = tuple.kind == KIND_TUPLE && tuple.n <= TENSOR_MAX_DIMS;
  for (size_t i = 0; ok && i < tuple.n; i++)
    ok = m->parts.list[tuple.at + i].kind == KIND_NUMBER && m->parts.list[tuple.at + i].number >= 0;
  return ok;
}

// (storage, offset, shape, strides, needs gradients, hooks), and newer ones with metadata
static bool put_tensor(Machine *m, Value args) {
  if (args.n < 6 || args.n > 7)
    return fail(m, "a tensor without values");
  const Value *part = m->parts.list + args.at;
  if (part[0].kind != KIND_STORAGE || part[1].kind != KIND_NUMBER || part[1].number < 0)
    return fail(m, "a tensor without values");
  if (!are_sizes(m, part[2]) || !are_sizes(m, part[3]) || part[2].n != part[3].n)
    return fail(m, "a tensor without a shape and strides of at most 8 sizes");
  return push(m, &m->stack, (Value){KIND_TENSOR, .at = args.at, .n = args.n});
}

// A call: only of what makes dictionaries and tensors.
static bool reduce(Machine *m) {
  Value args = {0}, callee = {0};
  if (!pop(m, KIND_TUPLE, &args) || !pop(m, KIND_GLOBAL, &callee))
    return false;
  const GlobalKind kind = globals[callee.number].kind;
  if (kind == GLOBAL_REBUILD)
    return put_tensor(m, args);
  return kind == GLOBAL_DICT && args.n == 0 ? put_dict(m) : fail(m, "a call that makes no tensor");
}

// --- the program --------------------------------------------------------------------------------

static bool fail_operation(Machine *m, unsigned char operation) {
  return janus_fail(m->error, JANUS_ERROR_FORMAT,
                    "%s: data.pkl, byte %zu: expected the operations of a list of tensors, found "
                    "operation 0x%02x",
                    m->path, m->at - 1, operation);
}

// What each operation is called is told by Python's pickletools.
static bool do_operation(Machine *m, unsigned char operation) {
  switch (operation) {
  case '(':
    return put(m, KIND_MARK, 0);
  case ')':
    return put_tuple(m, 0);
  case 't':
    return put_marked_tuple(m);
  case 0x85:
  case 0x86:
  case 0x87:
    return put_tuple(m, operation - 0x84);
  case 'N':
    return put(m, KIND_NONE, 0);
  case 0x88:
  case 0x89:
    return put(m, KIND_BOOL, operation == 0x88);
  case 'K':
    return put_number(m, 1, false);
  case 'M':
    return put_number(m, 2, false);
  case 'J':
    return put_number(m, 4, true);
  case 0x8a:
    return put_long(m);
  case 'X':
    return put_text(m);
  case 'c':
    return put_global(m);
  case 'q':
    return memo_put(m, 1);
  case 'r':
    return memo_put(m, 4);
  case 'h':
    return memo_get(m, 1);
  case 'j':
    return memo_get(m, 4);
  case '}':
    return put_dict(m);
  case 's':
    return set_items(m, 2, false);
  case 'u':
    return set_items(m, count_marked(m), true);
  case 'b':
    return drop_attached(m);
  case 'Q':
    return put_storage(m);
  case 'R':
    return reduce(m);
  default:
    return fail_operation(m, operation);
  }
}

static bool run(Machine *m) {
  const unsigned char *head = take(m, 2);
  if (!head || head[0] != 0x80 || head[1] != 2)
    return fail(m, "a pickle that is not of protocol 2");
  for (;;) {
    const unsigned char *operation = take(m, 1);
    if (!operation)
      return false;
    if (*operation == '.')
      return true;
    if (!do_operation(m, *operation))
      return false;
  }
}

// --- the result ---------------------------------------------------------------------------------

static PickleTensor describe(const Machine *m, Value key, Value value) {
  const Value *part = m->parts.list + value.at, *storage = m->parts.list + part[0].at;
  PickleTensor tensor = {.name = {(const char *)m->data + key.at, key.n},
                         .storage = {(const char *)m->data + storage[2].at, storage[2].n},
                         .dtype = dtype_find(globals[storage[1].number].dtype),
                         .n_stored = storage[4].number,
                         .offset = part[1].number,
                         .n_dims = (int)part[2].n};
  for (int i = 0; i < tensor.n_dims; i++) {
    tensor.dims[i] = m->parts.list[part[2].at + (size_t)i].number;
    tensor.strides[i] = m->parts.list[part[3].at + (size_t)i].number;
  }
  return tensor;
}

static bool collect(Machine *m, PickleTensor **tensors, size_t *n_tensors) {
  Value dict;
  char quoted[QUOTED_TEXT];
  if (m->stack.n != 1 || m->stack.list[0].kind != KIND_DICT)
    return fail(m, "something that is not one dictionary");
  dict = m->stack.list[0];
  *tensors = malloc((m->items.n / 2 + 1) * sizeof **tensors);
  if (!*tensors)
    return janus_fail(m->error, JANUS_ERROR_MEMORY, "%s: not enough memory", m->path);
  for (size_t i = 0; i < m->items.n; i += 2) {
    const Value key = m->items.list[i], value = m->items.list[i + 1];
    if (key.number != dict.number)
      continue;
    if (value.kind != KIND_TENSOR)
      return janus_fail(m->error, JANUS_ERROR_FORMAT,
                        "%s: expected a dictionary of tensors, found something else under %s",
                        m->path, janus_quoted_text(m->data + key.at, key.n, quoted));
    (*tensors)[(*n_tensors)++] = describe(m, key, value);
  }
  return true;
}

bool pickle_read_tensors(const unsigned char *data, size_t n_bytes, const char *path,
                         PickleTensor **tensors, size_t *n_tensors, JanusError *error) {
  Machine m = {.data = data,
               .n_bytes = n_bytes,
               .path = path,
               .error = error,
               .stack = {.most = MAX_STACK},
               .memo = {.most = MAX_VALUES},
               .parts = {.most = MAX_VALUES},
               .items = {.most = MAX_VALUES}};
  *tensors = NULL;
  *n_tensors = 0;
  const bool ok = run(&m) && collect(&m, tensors, n_tensors);
  free(m.stack.list);
  free(m.memo.list);
  free(m.parts.list);
  free(m.items.list);
  if (!ok) {
    free(*tensors);
    *tensors = NULL;
    *n_tensors = 0;
  }
  return ok;
}
