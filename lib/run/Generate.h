/// Token ids out of a language model: sq-run --generate.
#ifndef SQ_LIB_RUN_GENERATE_H
#define SQ_LIB_RUN_GENERATE_H

#include "lib/run/Module.h"

namespace sq {

/// A state of the runtime (sq/runtime.h, sq_lm_state).
class LmState {
public:
  LmState() = default;
  LmState(const LmState &) = delete;
  ~LmState() { sq_lm_state_release(handle); }

  /// For `batch` sequences of at most `capacity` tokens, 0: it grows.
  Status create(const Module &module, int64_t batch, int64_t capacity);
  sq_lm_state *get() const { return handle; }

private:
  sq_lm_state *handle = nullptr;
};

/// What the module's states are like; `caches` is 0 when it has none.
Status lmInfo(const Module &module, sq_lm_info &info);

struct GenerateOptions {
  int64_t tokens = 0; // of each sequence, at most
  int64_t stop = -1;  // ends a sequence, and is not part of it; -1: none
  sq_lm_sampling sampling = {};
  int64_t capacity = 0; // of the state; 0: it grows
};

struct GenerateStats {
  int64_t promptTokens = 0, tokens = 0;
  double promptSeconds = 0,
         seconds = 0; // of the prompt, with the first token; of the others
  int64_t stateBytes = 0, copiedBytes = 0;
};

/// Continues `prompts`; result[i] is what follows prompts[i]. A module without
/// caches computes its sequences again for each token, if all its inputs can be
/// made from tokens: `recomputes` tells.
Status generate(const Module &module, Session &session,
                const std::vector<std::vector<int64_t>> &prompts,
                const GenerateOptions &options,
                std::vector<std::vector<int64_t>> &result, GenerateStats &stats,
                bool &recomputes);

} // namespace sq

#endif
