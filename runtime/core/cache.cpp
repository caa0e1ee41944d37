/* Programs with caches: what the manifest says, and runs that bring their past.
 */
#include "runtime/core/cache.h"

#include <string.h>

#include "runtime/core/error.h"

namespace sq {
namespace {

sq_status corrupt(const char *what) {
  return fail(SQ_STATUS_CORRUPT,
              "the manifest is damaged: its cache %s; build the artifact again",
              what);
}

bool isF32(const sq_tensor_info &info) {
  return info.dtype.code == kDLFloat && info.dtype.bits == 32;
}
bool isNumber(const sq_tensor_info &info) {
  return info.rank == 2 && info.dtype.code == kDLInt &&
         (info.dtype.bits == 64 || info.dtype.bits == 32);
}

/* What replaces input `index`, or -1. */
int32_t stateOfInput(const Cache &cache, int32_t index) {
  for (int32_t i = 0; i < cache.count; ++i)
    if (cache.infos[i].input == index)
      return i;
  return -1;
}
int32_t stateOfOutput(const Cache &cache, int32_t index) {
  for (int32_t i = 0; i < cache.count; ++i)
    if (cache.infos[i].output == index)
      return i;
  return -1;
}

sq_status checkState(const sq_module *module, const Cache &cache, int32_t i) {
  const CacheInfo &info = cache.infos[i];
  if (info.heads < 1 || info.size < 1 || info.heads > INT32_MAX || info.size > INT32_MAX / 4)
    return corrupt("has an impossible size");
  if ((info.input < 0) != (cache.infos[0].input < 0))
    return corrupt("has some pasts, but not all");
  if (info.input == -1 && info.output == -1 && info.axis == 1)
    return SQ_STATUS_OK;
  if (info.input < 0 || info.input >= module->numInputs || info.output < 0 || info.output >= module->numOutputs)
    return corrupt("names a tensor that there is not");
  if (stateOfInput(cache, info.input) != i || stateOfOutput(cache, info.output) != i)
    return corrupt("names a tensor twice");
  const sq_tensor_info &past = module->inputs[info.input],
                       &present = module->outputs[info.output];
  if ((info.axis != 1 && info.axis != 2) || past.rank != 4 ||
      present.rank != 4 || !isF32(past) || !isF32(present))
    return corrupt("is not for f32 of rank 4");
  int64_t heads = past.dims[3 - info.axis].min;
  if (past.dims[3].min != info.size || past.dims[3].max != info.size ||
      heads != info.heads || past.dims[3 - info.axis].max != heads)
    return corrupt("is not as large as its past");
  return SQ_STATUS_OK;
}

sq_status fillCache(const sq_module *module, const manifest::Cache *from,
                    Cache *cache) {
  uint32_t count = from->states()->size();
  if (count == 0 || count > 1 << 16)
    return corrupt("has no states, or too many");
  size_t inputs = static_cast<size_t>(module->numInputs),
         outputs = static_cast<size_t>(module->numOutputs);
  cache->infos = allocate<CacheInfo>(count);
  cache->programInputs = allocate<int32_t>(inputs);
  cache->programOutputs = allocate<int32_t>(outputs);
  if (!cache->infos || !cache->programInputs || !cache->programOutputs)
    return fail(SQ_STATUS_OUT_OF_MEMORY, "out of memory for the signature");
  cache->count = static_cast<int32_t>(count);
  for (uint32_t i = 0; i < count; ++i) {
    const manifest::State *state = from->states()->Get(i);
    cache->infos[i] = {state->input(), state->output(), state->axis(),
                       state->heads(), state->size()};
  }
  for (int32_t i = 0; i < cache->count; ++i)
    if (sq_status status = checkState(module, *cache, i))
      return status;
  cache->tokens = from->tokens();
  cache->positions = from->positions();
  cache->vocabulary = from->vocabulary();
  if (cache->tokens < 0 || cache->tokens >= module->numInputs ||
      cache->positions < -1 || cache->positions >= module->numInputs ||
      cache->vocabulary < 0 || !isNumber(module->inputs[cache->tokens]) ||
      (cache->positions >= 0 && !isNumber(module->inputs[cache->positions])))
    return corrupt("has no tokens, or positions of another kind");
  cache->logits = -1;
  for (int32_t output : *from->selected()) {
    if (output < 0 || output >= module->numOutputs ||
        module->outputs[output].rank != 3)
      return corrupt("selects rows of a tensor that there is not");
    if (cache->logits < 0 && isF32(module->outputs[output]))
      cache->logits = output;
  }
  for (int32_t i = 0; i < module->numInputs; ++i)
    if (stateOfInput(*cache, i) < 0) {
      cache->programInputs[cache->numProgramInputs++] = i;
      if (i != cache->tokens && i != cache->positions && !cache->otherInput)
        cache->otherInput = module->inputs[i].name;
    }
  for (int32_t i = 0; i < module->numOutputs; ++i)
    if (stateOfOutput(*cache, i) < 0)
      cache->programOutputs[cache->numProgramOutputs++] = i;
  return SQ_STATUS_OK;
}

/* Places [0, places) of a past or present tensor, whose extent of places is
 * `extent`, and of a cache with `capacity`. */
void copyPlaces(const CacheInfo &info, int64_t batch, int64_t places,
                int64_t extent, uint8_t *tensor, int64_t capacity,
                uint8_t *cache, bool toCache) {
  size_t head = static_cast<size_t>(info.size) * 4,
         row = static_cast<size_t>(info.rowBytes());
  auto move = [toCache](uint8_t *t, uint8_t *c, size_t bytes) {
    toCache ? memcpy(c, t, bytes) : memcpy(t, c, bytes);
  };
  for (int64_t b = 0; b < batch; ++b) {
    uint8_t *c = cache + static_cast<size_t>(b * capacity) * row,
            *t = tensor + static_cast<size_t>(b * extent) * row;
    if (info.axis == 1) {
      move(t, c, static_cast<size_t>(places) * row);
      continue;
    }
    for (int64_t h = 0; h < info.heads; ++h)
      for (int64_t p = 0; p < places; ++p)
        move(t + static_cast<size_t>(h * extent + p) * head,
             c + static_cast<size_t>(p) * row + static_cast<size_t>(h) * head,
             head);
  }
}

} // namespace

sq_status describeCache(const sq_module *module, Cache **cache) {
  const manifest::Cache *from = module->manifest->cache();
  if (!from)
    return SQ_STATUS_OK;
  if (module->cuda)
    return corrupt("is for the CPU");
  *cache = allocate<Cache>(1);
  if (!*cache)
    return fail(SQ_STATUS_OUT_OF_MEMORY, "out of memory for the signature");
  return fillCache(module, from, *cache);
}

void freeCache(Cache *cache) {
  if (!cache)
    return;
  free(cache->infos);
  free(cache->programInputs);
  free(cache->programOutputs);
  free(cache);
}

sq_status createCacheSession(sq_session *session) {
  const Cache *cache = session->module->cache;
  if (!cache)
    return SQ_STATUS_OK;
  session->cache = allocate<CacheSession>(1);
  if (session->cache) {
    session->cache->inputs =
        allocate<sq_kernel_input>(static_cast<size_t>(cache->numProgramInputs) +
                                  2 + static_cast<size_t>(cache->count));
    session->cache->cacheShapes =
        allocate<int64_t>(4 * static_cast<size_t>(cache->count));
  }
  if (!session->cache || !session->cache->inputs ||
      !session->cache->cacheShapes)
    return fail(SQ_STATUS_OUT_OF_MEMORY, "out of memory for a session");
  return SQ_STATUS_OK;
}

void releaseCacheSession(sq_session *session) {
  CacheSession *own = session->cache;
  if (!own)
    return;
  sq_lm_state_release(own->scratch);
  own->rows.release();
  own->tokens.release();
  own->positions.release();
  free(own->inputs);
  free(own->cacheShapes);
  free(own);
  session->cache = nullptr;
}

int64_t *reserveNumbers(Region *region, int64_t count) {
  size_t bytes;
  if (count < 0 ||
      __builtin_mul_overflow(static_cast<size_t>(count ? count : 1),
                             sizeof(int64_t), &bytes) ||
      !region->reserve(bytes)) {
    fail(SQ_STATUS_OUT_OF_MEMORY, "out of memory for %lld numbers",
         static_cast<long long>(count));
    return nullptr;
  }
  return reinterpret_cast<int64_t *>(region->data);
}

void bindCache(sq_session *session, const sq_lm_state *state,
               const int64_t *rows, int64_t each) {
  const Cache &cache = *session->module->cache;
  CacheSession &own = *session->cache;
  sq_kernel_input *next = own.inputs + cache.numProgramInputs;
  own.lengthsShape[0] = state->batch;
  own.rowsShape[0] = state->batch;
  own.rowsShape[1] = each;
  *next++ = {reinterpret_cast<const uint8_t *>(state->lengths),
             own.lengthsShape};
  *next++ = {reinterpret_cast<const uint8_t *>(rows), own.rowsShape};
  for (int32_t i = 0; i < cache.count; ++i) {
    int64_t *shape = own.cacheShapes + 4 * i;
    shape[0] = state->batch;
    shape[1] = state->capacity;
    shape[2] = cache.infos[i].heads;
    shape[3] = cache.infos[i].size;
    *next++ = {state->regions[i].data, shape};
  }
}

sq_status runWithPast(sq_session *session, DLTensor *outputs) {
  sq_module *module = session->module;
  const Cache &cache = *module->cache;
  CacheSession &own = *session->cache;
  const int64_t *tokens = session->inputs[cache.tokens].shape;
  int64_t batch = tokens[0], added = tokens[1];
  const CacheInfo &first = cache.infos[0];
  int64_t past = first.input < 0 ? 0 : session->inputs[first.input].shape[first.axis], all, numbers;
  if (__builtin_add_overflow(past, added, &all) ||
      __builtin_mul_overflow(batch, added, &numbers))
    return fail(SQ_STATUS_INVALID_ARGUMENT,
                "a past of %lld and %lld new tokens are too many",
                static_cast<long long>(past), static_cast<long long>(added));
  if (own.scratch && own.scratch->batch != batch) {
    sq_lm_state_release(own.scratch);
    own.scratch = nullptr;
  }
  if (!own.scratch)
    if (sq_status status =
            createState(module, batch, all, /*grows=*/true, &own.scratch))
      return status;
  sq_lm_state *state = own.scratch;
  for (int64_t b = 0; b < batch; ++b)
    state->lengths[b] = 0; /* nothing to keep */
  if (state->capacity < all && !growState(state, all))
    return fail(SQ_STATUS_OUT_OF_MEMORY,
                "out of memory: a past of %lld tokens for %lld sequences",
                static_cast<long long>(all), static_cast<long long>(batch));
  for (int64_t b = 0; b < batch; ++b)
    state->lengths[b] = past;
  for (int32_t i = 0; first.input >= 0 && i < cache.count; ++i)
    copyPlaces(
        cache.infos[i], batch, past, past,
        const_cast<uint8_t *>(session->inputs[cache.infos[i].input].data),
        state->capacity, state->regions[i].data, /*toCache=*/true);
  int64_t *rows = reserveNumbers(&own.rows, numbers);
  if (!rows)
    return SQ_STATUS_OUT_OF_MEMORY;
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t t = 0; t < added; ++t)
      rows[b * added + t] = t;
  for (int32_t i = 0; i < cache.numProgramInputs; ++i)
    own.inputs[i] = session->inputs[cache.programInputs[i]];
  bindCache(session, state, rows, added);
  if (sq_status status = callEntry(session))
    return status;
  for (int32_t i = 0; first.input >= 0 && i < cache.count; ++i) {
    const CacheInfo &info = cache.infos[i];
    int64_t shape[4] = {batch, all, info.heads, info.size};
    if (info.axis == 2) {
      shape[1] = info.heads;
      shape[2] = all;
    }
    uint8_t *present = outputMemory(session, info.output, shape);
    if (!present)
      return fail(session->failure, "%s", session->message);
    copyPlaces(info, batch, all, all, present, state->capacity,
               state->regions[i].data, /*toCache=*/false);
  }
  for (int32_t i = 0; i < module->numOutputs; ++i) {
    const Output &output = session->outputs[i];
    if (!output.given)
      outputs[i] = {output.data,
                    {kDLCPU, 0},
                    module->outputs[i].rank,
                    module->outputs[i].dtype,
                    output.shape,
                    nullptr,
                    0};
  }
  return SQ_STATUS_OK;
}

} // namespace sq
