/* Keys and values that stay between runs. */
#ifndef SQ_RUNTIME_CORE_CACHE_H
#define SQ_RUNTIME_CORE_CACHE_H

#include "runtime/core/region.h"
#include "runtime/core/session.h"

namespace sq {

/* One cache: manifest.fbs, State. */
struct CacheInfo {
  int32_t input, output, axis;
  int64_t heads, size;
  int64_t rowBytes() const { return heads * size * 4; } /* of a token */
};

/* What a module knows of its caches. */
struct Cache {
  int32_t count;
  CacheInfo *infos;
  int32_t tokens, positions; /* inputs; positions -1: none */
  int64_t vocabulary;
  int32_t logits; /* output; -1: none is computed for chosen rows */
  /* Inputs that are no past and outputs that are no present, in order; the
   * program has `count + 2` more inputs. */
  int32_t *programInputs, numProgramInputs;
  int32_t *programOutputs, numProgramOutputs;
  const char *otherInput; /* the name of one that is neither tokens nor
                             positions; NULL: none */
};

/* Checks the manifest's cache against the signature, which is described
 * already. NULL in *cache when it has none. */
sq_status describeCache(const sq_module *module, Cache **cache);
void freeCache(Cache *cache);

/* A run of the model's own signature: pasts are copied in, presents out. */
sq_status runWithPast(sq_session *session, DLTensor *outputs);
void releaseCacheSession(sq_session *session);

/* Memory of the program's outputs: runtime/core/host_session.cpp. NULL: noted.
 */
uint8_t *outputMemory(sq_session *session, int32_t index, const int64_t *shape);

} // namespace sq

/* [batch, capacity, heads, size] of each cache. */
struct sq_lm_state {
  sq_module *module;
  int64_t batch, capacity;
  bool grows;
  std::atomic<bool> busy;
  int64_t *lengths;
  sq::Region *regions;
  int64_t copied; /* bytes */
};

namespace sq {

/* Room for `capacity` tokens of each sequence; keeps what there is. False, with
 * nothing changed, when memory ran out. */
bool growState(sq_lm_state *state, int64_t capacity);
sq_status createState(sq_module *module, int64_t batch, int64_t capacity,
                      bool grows, sq_lm_state **state);

/* What a session keeps for programs with caches. */
struct CacheSession {
  sq_kernel_input *inputs; /* of the program */
  int64_t lengthsShape[1], rowsShape[2], tokensShape[2];
  int64_t *cacheShapes; /* [count][4] */
  sq_lm_state *scratch; /* of runs that bring their past */
  Region rows, tokens, positions;
};

/* Makes session->cache; nothing without a cache. */
sq_status createCacheSession(sq_session *session);
/* Binds lengths, rows (i64 [batch, each]) and caches after the program's first
 * inputs. */
void bindCache(sq_session *session, const sq_lm_state *state,
               const int64_t *rows, int64_t each);
/* Memory for `count` numbers; NULL, with the error set, when there is none. */
int64_t *reserveNumbers(Region *region, int64_t count);

} // namespace sq

#endif
