#include "lib/run/Generate.h"

#include <algorithm>
#include <ctime>

#include "lib/run/DataSet.h"

namespace sq {

Status LmState::create(const Module &module, int64_t batch, int64_t capacity) {
  sq_lm_state_release(handle);
  handle = nullptr;
  return fromRuntime(
      sq_lm_state_create(module.get(), batch, capacity, &handle));
}

Status lmInfo(const Module &module, sq_lm_info &info) {
  info = {};
  info.size = sizeof info;
  return fromRuntime(sq_lm_get_info(module.get(), &info));
}

namespace {

double seconds() {
  timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

/// The sequences, as they grow.
struct Sequences {
  const GenerateOptions &options;
  sq_session *session;
  std::vector<std::vector<int64_t>> &result;
  std::vector<bool> done;
  size_t left;

  Sequences(const GenerateOptions &options, sq_session *session, size_t count,
            std::vector<std::vector<int64_t>> &result)
      : options(options), session(session), result(result), done(count),
        left(count) {
    result.assign(count, {});
  }

  /// The next token of sequence `i` from its logits.
  Status choose(size_t i, const float *logits, int64_t count, int64_t &token) {
    if (Status s =
            fromRuntime(sq_lm_sample(session, logits, count, &options.sampling,
                                     i, result[i].size(), &token));
        !s.ok())
      return s;
    if (token == options.stop) {
      done[i] = true;
    } else {
      result[i].push_back(token);
      done[i] = static_cast<int64_t>(result[i].size()) == options.tokens;
    }
    left -= done[i];
    return {};
  }
};

/// All sequences at once, their keys and values in a state.
Status generateCached(const Module &module, Session &session,
                      const std::vector<std::vector<int64_t>> &prompts,
                      const GenerateOptions &options, const sq_lm_info &info,
                      Sequences &sequences, GenerateStats &stats) {
  int64_t batch = static_cast<int64_t>(prompts.size()), longest = 0;
  for (const auto &prompt : prompts)
    longest = std::max(longest, static_cast<int64_t>(prompt.size()));
  LmState state;
  if (Status s = state.create(module, batch, options.capacity); !s.ok())
    return s;
  std::vector<int64_t> counts(prompts.size()), tokens, next(prompts.size());
  double begin = seconds();
  // A prompt that is longer than the model takes at once comes in pieces.
  int64_t piece = std::min(longest, info.max_tokens);
  for (int64_t at = 0; at < longest; at += piece) {
    int64_t columns = std::min(piece, longest - at);
    tokens.assign(static_cast<size_t>(batch * columns), 0);
    for (int64_t b = 0; b < batch; ++b) {
      int64_t length = static_cast<int64_t>(prompts[b].size());
      counts[b] = std::max<int64_t>(0, std::min(columns, length - at));
      for (int64_t t = 0; t < counts[b]; ++t)
        tokens[b * columns + t] = prompts[b][at + t];
    }
    DLTensor logits{};
    if (Status s = fromRuntime(
            sq_lm_append(session.get(), state.get(), tokens.data(), columns,
                         counts.data(), SQ_LM_LAST, &logits));
        !s.ok())
      return s;
    for (int64_t b = 0; b < batch; ++b) // those whose prompt ends here
      if (counts[b] &&
          at + counts[b] == static_cast<int64_t>(prompts[b].size()))
        if (Status s = sequences.choose(
                b,
                static_cast<const float *>(logits.data) + b * logits.shape[2],
                logits.shape[2], next[b]);
            !s.ok())
          return s;
  }
  double prompted = seconds();
  stats.promptSeconds = prompted - begin;
  while (sequences.left) {
    for (int64_t b = 0; b < batch; ++b)
      counts[b] = !sequences.done[b];
    DLTensor logits{};
    if (Status s =
            fromRuntime(sq_lm_append(session.get(), state.get(), next.data(), 1,
                                     counts.data(), SQ_LM_LAST, &logits));
        !s.ok())
      return s;
    for (int64_t b = 0; b < batch; ++b)
      if (counts[b]) {
        ++stats.tokens;
        if (Status s = sequences.choose(
                b,
                static_cast<const float *>(logits.data) + b * logits.shape[2],
                logits.shape[2], next[b]);
            !s.ok())
          return s;
      }
  }
  stats.seconds = seconds() - prompted;
  sq_lm_state_stats memory{};
  memory.size = sizeof memory;
  if (Status s = fromRuntime(sq_lm_state_get_stats(state.get(), &memory));
      !s.ok())
    return s;
  stats.stateBytes = memory.reserved_bytes;
  stats.copiedBytes = memory.copied_bytes;
  return {};
}

/// One sequence after the other, each from its beginning for each token.
Status generateAgain(const Module &module, Session &session,
                     const std::vector<std::vector<int64_t>> &prompts,
                     Sequences &sequences, GenerateStats &stats) {
  for (const Port &port : module.inputs())
    if (port.dims.size() > 2)
      return Status::refused("the model takes '" + port.name +
                             "', a past, but keeps no keys and values between "
                             "runs; compile it with "
                             "--kv-cache=state");
  int output = findPort(module.outputs(), "logits");
  output = output < 0 ? 0 : output;
  for (size_t i = 0; i < prompts.size(); ++i) {
    std::vector<int64_t> tokens = prompts[i];
    for (bool isFirst = true; !sequences.done[i]; isFirst = false) {
      double begin = seconds();
      Tensor row;
      int64_t length = static_cast<int64_t>(tokens.size());
      if (Status s = row.allocate(DType::i64, {1, length + 1}); !s.ok())
        return s;
      for (int64_t t = 0; t <= length; ++t)
        row.setInt(t,
                   t < length ? tokens[t] : 0); // the last one is only a label
      std::vector<Tensor> inputs(module.inputs().size());
      for (size_t p = 0; p < inputs.size(); ++p)
        if (Status s = inputOfTokens(module.inputs()[p], row, inputs[p]);
            !s.ok())
          return s;
      session.bind(inputs);
      if (Status s = session.run(); !s.ok())
        return s;
      const DLTensor &logits = session.view(output);
      const Port &port = module.outputs()[output];
      if (port.dtype != DType::f32 || logits.ndim != 3 ||
          logits.shape[0] != 1 || logits.shape[1] != length)
        return Status::refused("output '" + port.name + "' is not f32 [1, " +
                               std::to_string(length) +
                               ", vocabulary]: no logits");
      int64_t token, count = logits.shape[2];
      if (Status s = sequences.choose(
              i, static_cast<const float *>(logits.data) + (length - 1) * count,
              count, token);
          !s.ok())
        return s;
      tokens.push_back(token);
      (isFirst ? stats.promptSeconds : stats.seconds) += seconds() - begin;
      stats.tokens += !isFirst;
    }
  }
  return {};
}

} // namespace

Status generate(const Module &module, Session &session,
                const std::vector<std::vector<int64_t>> &prompts,
                const GenerateOptions &options,
                std::vector<std::vector<int64_t>> &result, GenerateStats &stats,
                bool &recomputes) {
  stats = {};
  for (const auto &prompt : prompts) {
    if (prompt.empty())
      return Status::refused("a prompt is empty; give at least one token, such "
                             "as the model's start token");
    stats.promptTokens += static_cast<int64_t>(prompt.size());
  }
  if (prompts.empty() || options.tokens < 1)
    return Status::refused("nothing to generate");
  sq_lm_info info;
  if (Status s = lmInfo(module, info); !s.ok())
    return s;
  Sequences sequences(options, session.get(), prompts.size(), result);
  recomputes = info.caches == 0;
  return recomputes ? generateAgain(module, session, prompts, sequences, stats)
                    : generateCached(module, session, prompts, options, info,
                                     sequences, stats);
}

} // namespace sq
