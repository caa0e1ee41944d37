/* States of language models: made, cut, forked, grown. */
#include <new>
#include <string.h>

#include "runtime/core/cache.h"
#include "runtime/core/error.h"

namespace sq {
namespace {

constexpr int64_t firstCapacity = 64; /* tokens of a state that grows */

/* Bytes of cache `i`; false when they overflow. */
bool cacheBytes(const sq_lm_state *state, int32_t i, int64_t capacity,
                size_t *bytes) {
  size_t rows;
  return !__builtin_mul_overflow(static_cast<size_t>(state->batch),
                                 static_cast<size_t>(capacity), &rows) &&
         !__builtin_mul_overflow(
             rows,
             static_cast<size_t>(state->module->cache->infos[i].rowBytes()),
             bytes);
}

/* The tokens of row `from` of `source`, as row `to` of memory with `capacity`.
 */
void copyRow(const sq_lm_state *source, int32_t i, int64_t from,
             uint8_t *memory, int64_t capacity, int64_t to, int64_t *copied) {
  size_t row = static_cast<size_t>(source->module->cache->infos[i].rowBytes());
  size_t bytes = static_cast<size_t>(source->lengths[from]) * row;
  memcpy(memory + static_cast<size_t>(to * capacity) * row,
         source->regions[i].data +
             static_cast<size_t>(from * source->capacity) * row,
         bytes);
  *copied += static_cast<int64_t>(bytes);
}

sq_status checkRow(const char *call, const sq_lm_state *state, int64_t row) {
  if (row < 0 || row >= state->batch)
    return fail(SQ_STATUS_INVALID_ARGUMENT,
                "%s: there is no sequence %lld, the state has %lld", call,
                static_cast<long long>(row),
                static_cast<long long>(state->batch));
  return SQ_STATUS_OK;
}

} // namespace

bool growState(sq_lm_state *state, int64_t capacity) {
  int32_t count = state->module->cache->count;
  Region *grown = allocate<Region>(static_cast<size_t>(count));
  if (!grown)
    return false;
  bool done = true;
  for (int32_t i = 0; done && i < count; ++i) {
    size_t bytes;
    done = cacheBytes(state, i, capacity, &bytes) &&
           grown[i].reserve(bytes ? bytes : 1);
  }
  for (int32_t i = 0; i < count; ++i) {
    Region &old = done ? state->regions[i] : grown[i];
    if (done && old.capacity)
      for (int64_t b = 0; b < state->batch; ++b)
        copyRow(state, i, b, grown[i].data, capacity, b, &state->copied);
    old.release();
    if (done)
      old = grown[i];
  }
  free(grown);
  if (done)
    state->capacity = capacity;
  return done;
}

sq_status createState(sq_module *module, int64_t batch, int64_t capacity,
                      bool grows, sq_lm_state **result) {
  void *memory = calloc(1, sizeof(sq_lm_state));
  if (!memory)
    return fail(SQ_STATUS_OUT_OF_MEMORY, "out of memory for a state");
  auto *state = new (memory) sq_lm_state();
  state->module = module;
  module->references.fetch_add(1);
  state->batch = batch;
  state->grows = grows;
  state->lengths = allocate<int64_t>(static_cast<size_t>(batch));
  state->regions = allocate<Region>(static_cast<size_t>(module->cache->count));
  if (!state->lengths || !state->regions || !growState(state, capacity)) {
    sq_lm_state_release(state);
    return fail(SQ_STATUS_OUT_OF_MEMORY,
                "out of memory: a state of %lld sequences of %lld tokens",
                static_cast<long long>(batch),
                static_cast<long long>(capacity));
  }
  *result = state;
  return SQ_STATUS_OK;
}

} // namespace sq

sq_status sq_lm_get_info(const sq_module *module, sq_lm_info *info) {
  sq::clearError();
  if (!module || !info || info->size < sizeof(size_t))
    return sq::fail(
        SQ_STATUS_INVALID_ARGUMENT,
        "sq_lm_get_info: give a module, and info with its size set");
  sq_lm_info all = {info->size, 0, 0, 0, 0, 0};
  if (const sq::Cache *cache = module->cache) {
    all.caches = cache->count;
    all.vocabulary = cache->vocabulary;
    for (int32_t i = 0; i < cache->count; ++i)
      all.bytes_per_token += cache->infos[i].rowBytes();
    const sq::CacheInfo &first = cache->infos[0];
    all.max_past = first.input < 0 ? INT64_MAX : module->inputs[first.input].dims[first.axis].max;
    all.max_tokens = module->inputs[cache->tokens].dims[1].max;
  }
  memcpy(info, &all, info->size < sizeof(all) ? info->size : sizeof(all));
  return SQ_STATUS_OK;
}

sq_status sq_lm_state_create(sq_module *module, int64_t batch, int64_t capacity,
                             sq_lm_state **state) {
  sq::clearError();
  if (!module || !state)
    return sq::fail(SQ_STATUS_INVALID_ARGUMENT,
                    "sq_lm_state_create: %s is NULL",
                    module ? "state" : "module");
  const sq::Cache *cache = module->cache;
  if (!cache)
    return sq::fail(SQ_STATUS_INVALID_ARGUMENT,
                    "this model keeps no keys and values: compile one with "
                    "past_key_values and present, for the CPU; "
                    "sq-compile --kv-cache=state says what is in the way");
  const sq_dim_info &dim = module->inputs[cache->tokens].dims[0];
  if (batch < 1 || batch < dim.min || batch > dim.max)
    return sq::fail(SQ_STATUS_INVALID_ARGUMENT,
                    "a state of %lld sequences, the model takes %lld to %lld",
                    static_cast<long long>(batch),
                    static_cast<long long>(dim.min > 1 ? dim.min : 1),
                    static_cast<long long>(dim.max));
  if (capacity < 0)
    return sq::fail(SQ_STATUS_INVALID_ARGUMENT,
                    "a state of %lld tokens; give 0 for one that grows",
                    static_cast<long long>(capacity));
  return sq::createState(module, batch, capacity ? capacity : sq::firstCapacity,
                         capacity == 0, state);
}

void sq_lm_state_release(sq_lm_state *state) {
  if (!state)
    return;
  for (int32_t i = 0; state->regions && i < state->module->cache->count; ++i)
    state->regions[i].release();
  free(state->regions);
  free(state->lengths);
  sq_module_release(state->module);
  free(state);
}

int64_t sq_lm_state_length(const sq_lm_state *state, int64_t row) {
  return state && row >= 0 && row < state->batch ? state->lengths[row] : -1;
}

sq_status sq_lm_state_truncate(sq_lm_state *state, int64_t row,
                               int64_t length) {
  sq::clearError();
  if (!state)
    return sq::fail(SQ_STATUS_INVALID_ARGUMENT,
                    "sq_lm_state_truncate: state is NULL");
  if (row != -1)
    if (sq_status status = sq::checkRow("sq_lm_state_truncate", state, row))
      return status;
  int64_t begin = row == -1 ? 0 : row, end = row == -1 ? state->batch : row + 1;
  for (int64_t b = begin; b < end; ++b)
    if (length < 0 || length > state->lengths[b])
      return sq::fail(SQ_STATUS_INVALID_ARGUMENT,
                      "sequence %lld has %lld tokens and cannot be cut to %lld",
                      static_cast<long long>(b),
                      static_cast<long long>(state->lengths[b]),
                      static_cast<long long>(length));
  for (int64_t b = begin; b < end; ++b)
    state->lengths[b] = length;
  return SQ_STATUS_OK;
}

sq_status sq_lm_state_fork(const sq_lm_state *state, const int64_t *rows,
                           int64_t count, sq_lm_state **fork) {
  sq::clearError();
  if (!state || !fork)
    return sq::fail(SQ_STATUS_INVALID_ARGUMENT, "sq_lm_state_fork: %s is NULL",
                    state ? "fork" : "state");
  if (!rows)
    count = state->batch;
  const sq_dim_info &dim =
      state->module->inputs[state->module->cache->tokens].dims[0];
  if (count < 1 || count < dim.min || count > dim.max)
    return sq::fail(SQ_STATUS_INVALID_ARGUMENT,
                    "a fork of %lld sequences, the model takes %lld to %lld",
                    static_cast<long long>(count),
                    static_cast<long long>(dim.min > 1 ? dim.min : 1),
                    static_cast<long long>(dim.max));
  for (int64_t i = 0; rows && i < count; ++i)
    if (sq_status status = sq::checkRow("sq_lm_state_fork", state, rows[i]))
      return status;
  sq_lm_state *made;
  if (sq_status status = sq::createState(state->module, count, state->capacity,
                                         state->grows, &made))
    return status;
  for (int64_t b = 0; b < count; ++b) {
    int64_t from = rows ? rows[b] : b;
    made->lengths[b] = state->lengths[from];
    for (int32_t i = 0; i < state->module->cache->count; ++i)
      sq::copyRow(state, i, from, made->regions[i].data, made->capacity, b,
                  &made->copied);
  }
  *fork = made;
  return SQ_STATUS_OK;
}

sq_status sq_lm_state_get_stats(const sq_lm_state *state,
                                sq_lm_state_stats *stats) {
  sq::clearError();
  if (!state || !stats || stats->size < sizeof(size_t))
    return sq::fail(
        SQ_STATUS_INVALID_ARGUMENT,
        "sq_lm_state_get_stats: give a state, and stats with its size set");
  sq_lm_state_stats all = {stats->size, state->batch, state->capacity, 0,
                           state->copied};
  for (int32_t i = 0; i < state->module->cache->count; ++i)
    all.reserved_bytes += static_cast<int64_t>(state->regions[i].capacity);
  memcpy(stats, &all, stats->size < sizeof(all) ? stats->size : sizeof(all));
  return SQ_STATUS_OK;
}
