/* sq_lm_append: new tokens of sequences whose keys and values are in a state.
 */
#include <string.h>

#include "runtime/core/cache.h"
#include "runtime/core/error.h"

namespace sq {
namespace {

#define SQ_LL(x) static_cast<long long>(x)

/* What a caller may get wrong. */
sq_status checkAppend(const sq_session *session, const sq_lm_state *state,
                      const int64_t *tokens, int64_t columns,
                      const int64_t *counts, int32_t which,
                      const DLTensor *logits) {
  const sq_module *module = session->module;
  const Cache *cache = module->cache;
  if (!cache)
    return fail(SQ_STATUS_INVALID_ARGUMENT,
                "this model keeps no keys and values: compile one with "
                "past_key_values and present, for "
                "the CPU; sq-compile --kv-cache=state says what is in the way");
  if (state->module != module)
    return fail(SQ_STATUS_INVALID_ARGUMENT,
                "this state belongs to another module; create one with the "
                "session's module");
  if (cache->otherInput)
    return fail(SQ_STATUS_UNSUPPORTED,
                "the model has the input '%s' beside tokens, positions and its "
                "past; run it with sq_session_run",
                cache->otherInput);
  if (cache->logits < 0)
    return fail(SQ_STATUS_UNSUPPORTED,
                "the model has no output of f32 [batch, tokens, n] for logits");
  if ((!tokens && columns > 0) || !logits)
    return fail(SQ_STATUS_INVALID_ARGUMENT, "sq_lm_append: %s is NULL",
                logits ? "tokens" : "logits");
  if (which != SQ_LM_LAST && which != SQ_LM_ALL)
    return fail(SQ_STATUS_INVALID_ARGUMENT,
                "sq_lm_append: which is %d, expected SQ_LM_LAST or SQ_LM_ALL",
                which);
  const sq_dim_info &dim = module->inputs[cache->tokens].dims[1];
  if (columns < 1)
    return fail(SQ_STATUS_INVALID_ARGUMENT,
                "no tokens are given; a prompt has at least one");
  if (columns < dim.min || columns > dim.max)
    return fail(SQ_STATUS_INVALID_ARGUMENT,
                "%lld tokens at once, the model takes %lld to %lld (%s)",
                SQ_LL(columns), SQ_LL(dim.min), SQ_LL(dim.max),
                *dim.name ? dim.name : "its number of new tokens");
  int64_t some = 0;
  for (int64_t b = 0; b < state->batch; ++b) {
    int64_t count = counts ? counts[b] : columns;
    if (count < 0 || count > columns)
      return fail(SQ_STATUS_INVALID_ARGUMENT,
                  "sequence %lld gets %lld tokens of the %lld given", SQ_LL(b),
                  SQ_LL(count), SQ_LL(columns));
    some |= count;
    for (int64_t t = 0; t < count; ++t) {
      int64_t token = tokens[b * columns + t];
      if (token < 0 || (cache->vocabulary && token >= cache->vocabulary))
        return fail(
            SQ_STATUS_INVALID_ARGUMENT,
            "token %lld of sequence %lld is outside the vocabulary of %lld",
            SQ_LL(token), SQ_LL(b), SQ_LL(cache->vocabulary));
    }
  }
  if (!some)
    return fail(SQ_STATUS_INVALID_ARGUMENT,
                "no tokens are given; a prompt has at least one");
  return SQ_STATUS_OK;
}

/* Room for what comes, against the state's capacity and the model's range. */
sq_status makeRoom(sq_lm_state *state, int64_t columns, const int64_t *counts) {
  const sq_module *module = state->module;
  const CacheInfo &info = module->cache->infos[0];
  sq_dim_info past = {"", 0, INT64_MAX};
  if (info.input >= 0)
    past = module->inputs[info.input].dims[info.axis];
  int64_t most = 0;
  for (int64_t b = 0; b < state->batch; ++b) {
    int64_t length = state->lengths[b], count = counts ? counts[b] : columns;
    if (count && (length < past.min || length > past.max))
      return fail(SQ_STATUS_INVALID_ARGUMENT,
                  "sequence %lld has %lld tokens, the model takes a past of "
                  "%lld to %lld (%s)",
                  SQ_LL(b), SQ_LL(length), SQ_LL(past.min), SQ_LL(past.max),
                  *past.name ? past.name : "its past");
    if (length + count > most)
      most = length + count;
    if (!state->grows && length + count > state->capacity)
      return fail(SQ_STATUS_INVALID_ARGUMENT,
                  "sequence %lld would have %lld tokens, the state has room "
                  "for %lld; truncate it, or create a "
                  "larger one",
                  SQ_LL(b), SQ_LL(length + count), SQ_LL(state->capacity));
  }
  if (most <= state->capacity)
    return SQ_STATUS_OK;
  int64_t twice =
      state->capacity > INT64_MAX / 2 ? INT64_MAX : 2 * state->capacity;
  if (!growState(state, most > twice ? most : twice))
    return fail(SQ_STATUS_OUT_OF_MEMORY,
                "out of memory: a state of %lld sequences of %lld tokens",
                SQ_LL(state->batch), SQ_LL(most));
  return SQ_STATUS_OK;
}

/* `values` as elements of an input: 4 or 8 bytes; in place. */
void narrow(const sq_tensor_info &info, int64_t *values, int64_t count) {
  if (info.dtype.bits == 64)
    return;
  int32_t *narrowed = reinterpret_cast<int32_t *>(values);
  for (int64_t i = 0; i < count; ++i) {
    int64_t value = values[i]; /* read before its place is written */
    narrowed[i] = static_cast<int32_t>(value);
  }
}

sq_status append(sq_session *session, sq_lm_state *state, const int64_t *tokens,
                 int64_t columns, const int64_t *counts, int32_t which,
                 DLTensor *logits) {
  if (sq_status status =
          checkAppend(session, state, tokens, columns, counts, which, logits))
    return status;
  const sq_module *module = session->module;
  const Cache &cache = *module->cache;
  CacheSession &own = *session->cache;
  int64_t batch = state->batch, each = which == SQ_LM_ALL ? columns : 1,
          numbers;
  if (__builtin_mul_overflow(batch, columns, &numbers))
    return fail(SQ_STATUS_INVALID_ARGUMENT,
                "%lld sequences of %lld tokens are too many", SQ_LL(batch),
                SQ_LL(columns));
  DLTensor *given = nullptr;
  if (logits->data) {
    const sq_tensor_info &info = module->outputs[cache.logits];
    if (logits->device.device_type != kDLCPU ||
        logits->dtype.code != kDLFloat || logits->dtype.bits != 32 ||
        logits->dtype.lanes != 1 || logits->ndim != info.rank ||
        !logits->shape || logits->strides)
      return fail(
          SQ_STATUS_INVALID_ARGUMENT,
          "the memory for logits is not dense f32 of rank %d on the CPU",
          info.rank);
    given = logits;
  }
  if (sq_status status = makeRoom(state, columns, counts))
    return status;
  int64_t *ids = reserveNumbers(&own.tokens, numbers),
          *places = reserveNumbers(&own.positions, numbers);
  int64_t *rows = reserveNumbers(&own.rows, batch * each);
  if (!ids || !places || !rows)
    return SQ_STATUS_OUT_OF_MEMORY;
  for (int64_t b = 0; b < batch; ++b) {
    int64_t count = counts ? counts[b] : columns, last = count ? count - 1 : 0;
    for (int64_t t = 0; t < columns; ++t) {
      bool counted = t < count;
      ids[b * columns + t] = counted ? tokens[b * columns + t] : 0;
      /* Padding gets a position that a table of positions has. */
      places[b * columns + t] = state->lengths[b] + (counted ? t : last);
    }
    for (int64_t r = 0; r < each; ++r)
      rows[b * each + r] = which == SQ_LM_ALL ? r : last;
  }
  narrow(module->inputs[cache.tokens], ids, numbers);
  if (cache.positions >= 0)
    narrow(module->inputs[cache.positions], places, numbers);
  own.tokensShape[0] = batch;
  own.tokensShape[1] = columns;
  for (int32_t i = 0; i < cache.numProgramInputs; ++i)
    own.inputs[i] = {reinterpret_cast<const uint8_t *>(
                         cache.programInputs[i] == cache.tokens ? ids : places),
                     own.tokensShape};
  bindCache(session, state, rows, each);
  for (int32_t i = 0; i < module->numOutputs; ++i) {
    session->outputs[i].given = i == cache.logits ? given : nullptr;
    session->outputs[i].data = nullptr;
  }
  if (sq_status status = callEntry(session))
    return status;
  for (int64_t b = 0; b < batch; ++b)
    state->lengths[b] += counts ? counts[b] : columns;
  if (!given) {
    const Output &output = session->outputs[cache.logits];
    *logits = {output.data,
               {kDLCPU, 0},
               module->outputs[cache.logits].rank,
               module->outputs[cache.logits].dtype,
               output.shape,
               nullptr,
               0};
  }
  return SQ_STATUS_OK;
}

} // namespace
} // namespace sq

sq_status sq_lm_append(sq_session *session, sq_lm_state *state,
                       const int64_t *tokens, int64_t columns,
                       const int64_t *counts, int32_t which, DLTensor *logits) {
  sq::clearError();
  if (!session || !state)
    return sq::fail(SQ_STATUS_INVALID_ARGUMENT, "sq_lm_append: %s is NULL",
                    session ? "state" : "session");
  if (session->running.exchange(true))
    return sq::fail(SQ_STATUS_INVALID_ARGUMENT,
                    "this session is running in another thread; give each "
                    "thread its own session");
  sq_status status = SQ_STATUS_OK;
  if (state->busy.exchange(true)) {
    status = sq::fail(SQ_STATUS_INVALID_ARGUMENT,
                      "this state is used by another thread; fork it for each");
  } else {
    status = sq::append(session, state, tokens, columns, counts, which, logits);
    state->busy = false;
  }
  session->running = false;
  return status;
}
