/// Keys and values that stay between runs: sq_lm_* of sq/runtime.h on compiled
/// decoders.
#include "lib/numerics/Layout.h"
#include "sq/runtime.h"
#include "test/e2e/Models.h"
#include "test/support/Compare.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <cmath>
#include <map>
#include <random>

using namespace sq;
using namespace sq::test;
using numerics::Tensor;

namespace {

/// What a call should give; the message when it does not.
#define ASSERT_STATUS(expected, call)                                          \
  ASSERT_EQ(call, expected) << sq_last_error()

class State {
public:
  State() = default;
  State(State &&other) : handle(std::exchange(other.handle, nullptr)) {}
  State &operator=(State &&other) {
    std::swap(handle, other.handle);
    return *this;
  }
  ~State() { sq_lm_state_release(handle); }
  sq_lm_state *handle = nullptr;
};

/// A compiled decoder and a session of it.
class Lm {
public:
  /// Compiled for this machine, once for all tests that say no more than
  /// `path`.
  explicit Lm(const std::string &path, int threads = 1)
      : Lm(shared(path), threads) {}
  Lm(const CompiledModel &model, int threads = 1) {
    if (!model.ok())
      return;
    sq_session_options session{};
    session.size = sizeof session;
    session.threads = threads;
    EXPECT_EQ(sq_module_load(model.artifact().c_str(), nullptr, &module),
              SQ_STATUS_OK)
        << sq_last_error();
    EXPECT_EQ(sq_session_create(module, &session, &this->session), SQ_STATUS_OK)
        << sq_last_error();
  }
  ~Lm() {
    sq_session_release(session);
    sq_module_release(module);
  }
  bool ok() const { return session; }

  State state(int64_t batch = 1, int64_t capacity = 0) {
    State made;
    EXPECT_EQ(sq_lm_state_create(module, batch, capacity, &made.handle),
              SQ_STATUS_OK)
        << sq_last_error();
    return made;
  }
  /// Logits [batch, 1 or columns, vocabulary], row major.
  std::vector<float> append(State &state, const std::vector<int64_t> &tokens,
                            int which = SQ_LM_LAST,
                            const std::vector<int64_t> &counts = {}) {
    sq_lm_state_stats stats{};
    stats.size = sizeof stats;
    EXPECT_EQ(sq_lm_state_get_stats(state.handle, &stats), SQ_STATUS_OK);
    DLTensor logits{};
    sq_status status = sq_lm_append(
        session, state.handle, tokens.data(), tokens.size() / stats.batch,
        counts.empty() ? nullptr : counts.data(), which, &logits);
    if (status != SQ_STATUS_OK) {
      ADD_FAILURE() << sq_last_error();
      return {};
    }
    const float *data = static_cast<const float *>(logits.data);
    vocabulary = logits.shape[2];
    return {data, data + logits.shape[0] * logits.shape[1] * logits.shape[2]};
  }

  sq_module *module = nullptr;
  sq_session *session = nullptr;
  int64_t vocabulary = 0;

  static CompileOptions cached() {
    CompileOptions options;
    options.kvCache = "state"; // or an error
    return options;
  }

private:
  static const CompiledModel &shared(const std::string &path) {
    static std::map<std::string, CompiledModel> models;
    return models.try_emplace(path, path, cached()).first->second;
  }
};

std::string tiny() { return committedModels() + "/tiny/lm"; }

int64_t copiedBytes(const State &state) {
  sq_lm_state_stats stats{};
  stats.size = sizeof stats;
  EXPECT_EQ(sq_lm_state_get_stats(state.handle, &stats), SQ_STATUS_OK);
  return stats.copied_bytes;
}

double difference(const std::vector<float> &a, const double *b) {
  double most = 0;
  for (size_t i = 0; i < a.size(); ++i)
    most =
        std::max(most, std::isfinite(a[i]) ? std::abs(a[i] - b[i]) : INFINITY);
  return most;
}

class KvCache : public testing::TestWithParam<const char *> {
protected:
  std::string folder =
      std::string(GetParam()) == "tiny" ? tiny() : largeModels() + "/lm";
};

/// Two rows of the validation data, token by token and in pieces, against the
/// logits in float64 that the model gives for whole rows.
TEST_P(KvCache, StepsGiveTheLogitsOfTheWhole) {
  SQ_REQUIRE_LARGE_MODELS(folder + "/model_with_past.onnx");
  Tensor tokens = readData(folder + "/validation/tokens.npy"),
         expected = readData(folder + "/reference_logits.npy");
  Lm lm(folder + "/model_with_past.onnx", 2);
  ASSERT_TRUE(lm.ok());
  int64_t length = tokens.shape[1], vocabulary = expected.shape[2];
  for (const std::vector<int64_t> &pieces :
       {std::vector<int64_t>(16, 1), std::vector<int64_t>{1, 5, 10},
        std::vector<int64_t>{16}}) {
    State state = lm.state(2);
    int64_t at = 0;
    for (int64_t count : pieces) {
      std::vector<int64_t> next;
      for (int64_t row : {0, 1})
        for (int64_t i = at; i < at + count; ++i)
          next.push_back(tokens.integers[row * length + i]);
      std::vector<float> logits = lm.append(state, next, SQ_LM_ALL);
      ASSERT_EQ(logits.size(), static_cast<size_t>(2 * count * vocabulary));
      for (int64_t row : {0, 1}) {
        std::vector<float> part(logits.begin() + row * count * vocabulary,
                                logits.begin() +
                                    (row + 1) * count * vocabulary);
        EXPECT_LE(
            difference(part, &expected.reals[(row * 16 + at) * vocabulary]),
            1e-4)
            << "at " << at;
      }
      at += count;
    }
    EXPECT_EQ(sq_lm_state_length(state.handle, 0), 16);
    EXPECT_EQ(sq_lm_state_length(state.handle, 1), 16);
    EXPECT_EQ(sq_lm_state_length(state.handle, 2), -1);
  }
}

/// The stored continuation, and what a token costs: the state grows to twice
/// its size when it is full, and otherwise nothing of it moves.
TEST_P(KvCache, GreedyContinuation) {
  SQ_REQUIRE_LARGE_MODELS(folder + "/model_with_past.onnx");
  Tensor greedy = readData(folder + "/greedy.npy");
  constexpr int64_t prompt = 24;
  Lm lm(folder + "/model_with_past.onnx");
  ASSERT_TRUE(lm.ok());
  sq_lm_info info{};
  info.size = sizeof info;
  ASSERT_STATUS(SQ_STATUS_OK, sq_lm_get_info(lm.module, &info));
  State growing = lm.state(), roomy = lm.state(1, 512);
  sq_lm_sampling sampling{};
  sampling.size = sizeof sampling;
  for (State *state : {&growing, &roomy}) {
    std::vector<float> logits = lm.append(
        *state, {greedy.integers.begin(), greedy.integers.begin() + prompt});
    int64_t wrong = 0;
    for (int64_t i = prompt; i < greedy.size(); ++i) {
      int64_t token = -1;
      ASSERT_STATUS(SQ_STATUS_OK,
                    sq_lm_sample(lm.session, logits.data(), lm.vocabulary,
                                 &sampling, 0, i, &token));
      wrong += token != greedy.integers[i];
      logits = lm.append(*state, {token});
    }
    EXPECT_EQ(wrong, 0) << "of " << greedy.size() - prompt << " tokens";
  }
  EXPECT_EQ(copiedBytes(roomy), 0);
  EXPECT_EQ(copiedBytes(growing), 64 * info.bytes_per_token); // 64 to 128, once
}

INSTANTIATE_TEST_SUITE_P(All, KvCache, testing::Values("tiny", "large"),
                         [](const auto &info) {
                           return std::string(info.param);
                         });

/// A copy of a cache would need memory for it: what a token needs follows
/// neither length nor capacity, and as many kernels run.
TEST(KvCacheTiny, NothingCopiesTheCache) {
  auto measure = [](int64_t capacity, int64_t length, int64_t &arena,
                    int64_t &kernels) {
    Lm lm(tiny() + "/model_with_past.onnx");
    ASSERT_TRUE(lm.ok());
    State state = lm.state(1, capacity);
    for (int64_t i = 0; i < length; ++i)
      lm.append(state, {i % 1024});
    ASSERT_STATUS(SQ_STATUS_OK, sq_session_set_profiling(lm.session, 1));
    lm.append(state, {7});
    EXPECT_EQ(copiedBytes(state), 0);
    sq_session_stats stats{};
    stats.size = sizeof stats;
    ASSERT_STATUS(SQ_STATUS_OK, sq_session_get_stats(lm.session, &stats));
    arena = stats.arena_bytes;
    const sq_kernel_time *times;
    int32_t count = 0;
    kernels = 0;
    ASSERT_STATUS(SQ_STATUS_OK,
                  sq_session_kernel_times(lm.session, &times, &count));
    for (int32_t i = 0; i < count; ++i)
      kernels += times[i].calls;
  };
  int64_t arena[2], kernels[2];
  measure(16, 1, arena[0], kernels[0]);
  measure(1 << 16, 700, arena[1], kernels[1]);
  EXPECT_EQ(arena[0], arena[1]);
  EXPECT_EQ(kernels[0], kernels[1]);
  EXPECT_GT(kernels[0], 20);
}

/// Sequences of different lengths in one batch: each gets the bits that it gets
/// alone beside sequences of the same lengths of calls.
TEST(KvCacheTiny, BatchOfDifferentLengths) {
  Lm lm(tiny() + "/model_with_past.onnx", 2);
  ASSERT_TRUE(lm.ok());
  std::vector<std::vector<int64_t>> prompts = {
      {5, 17, 3, 99, 41}, {7}, {1023, 0, 12}};
  std::vector<int64_t> tokens(15, 777), counts;
  for (size_t b = 0; b < prompts.size(); ++b) {
    std::copy(prompts[b].begin(), prompts[b].end(), tokens.begin() + 5 * b);
    counts.push_back(prompts[b].size());
  }
  State together = lm.state(3, 40);
  std::vector<float> logits = lm.append(together, tokens, SQ_LM_LAST, counts);
  int64_t v = lm.vocabulary;
  for (size_t b = 0; b < prompts.size(); ++b) {
    State alone = lm.state(1);
    std::vector<float> own = lm.append(alone, prompts[b]);
    std::vector<float> part(logits.begin() + b * v,
                            logits.begin() + (b + 1) * v);
    std::vector<double> expected(own.begin(), own.end());
    EXPECT_LE(difference(part, expected.data()), 2e-5) << "sequence " << b;
    EXPECT_EQ(sq_lm_state_length(together.handle, b), counts[b]);
    // One more token, but not for the second.
    if (b == 1)
      continue;
    std::vector<float> step =
        lm.append(together, {8, 8, 8}, SQ_LM_LAST, {b == 0, 0, b == 2});
    own = lm.append(alone, {8});
    part.assign(step.begin() + b * v, step.begin() + (b + 1) * v);
    expected.assign(own.begin(), own.end());
    EXPECT_LE(difference(part, expected.data()), 2e-5) << "sequence " << b;
  }
  EXPECT_EQ(sq_lm_state_length(together.handle, 1), 1);
}

/// A batch so large that it runs through the layers in parts (--sq-chunk-batch), which are parts of the
/// caches, too: each sequence is near what it is alone, and padding reaches none.
TEST(KvCacheTiny, LargeBatch) {
  Lm lm(tiny() + "/model_with_past.onnx", 2);
  ASSERT_TRUE(lm.ok());
  constexpr int64_t batch = 150, columns = 20;
  std::mt19937 random(7);
  std::vector<int64_t> tokens(batch * columns), counts(batch);
  for (int64_t &token : tokens)
    token = random() % 1024;
  for (int64_t &count : counts)
    count = random() % (columns + 1);
  counts[0] = columns;
  State all = lm.state(batch);
  std::vector<float> first = lm.append(all, tokens, SQ_LM_LAST, counts);
  // What was padding is overwritten.
  std::vector<int64_t> more(batch * 3);
  for (int64_t &token : more)
    token = random() % 1024;
  std::vector<float> second = lm.append(all, more);
  int64_t v = lm.vocabulary;
  for (int64_t b = 0; b < batch; b += 13) {
    State alone = lm.state();
    auto compare = [&](const std::vector<float> &logits, std::vector<int64_t> own) {
      std::vector<float> expected = lm.append(alone, own), part(logits.begin() + b * v, logits.begin() + (b + 1) * v);
      EXPECT_LE(difference(part, std::vector<double>(expected.begin(), expected.end()).data()), 2e-5) << "sequence " << b;
    };
    if (counts[b])
      compare(first, {tokens.begin() + b * columns, tokens.begin() + b * columns + counts[b]});
    compare(second, {more.begin() + b * 3, more.begin() + b * 3 + 3});
    EXPECT_EQ(sq_lm_state_length(all.handle, b), counts[b] + 3);
  }
}

/// Random appends, truncations and forks; after each the logits of the next
/// token are, bit for bit, those of a fresh state that is given the same tokens
/// in the same pieces.
TEST(KvCacheTiny, AnyOrderEqualsAFreshState) {
  Lm lm(tiny() + "/model_with_past.onnx", 2);
  ASSERT_TRUE(lm.ok());
  struct Branch {
    State state;
    std::vector<std::vector<int64_t>> pieces;
  };
  for (unsigned seed : {1u, 2u, 3u}) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    auto below = [&](int64_t n) { return static_cast<int64_t>(random() % n); };
    std::vector<Branch> branches(1);
    branches[0].state = lm.state(1, below(2) ? 200 : 0);
    for (int step = 0; step < 25; ++step) {
      Branch &branch = branches[below(branches.size())];
      int64_t action = below(4);
      if (action == 0 && branches.size() < 5) {
        Branch fork;
        ASSERT_STATUS(SQ_STATUS_OK,
                      sq_lm_state_fork(branch.state.handle, nullptr, 0,
                                       &fork.state.handle));
        fork.pieces = branch.pieces;
        branches.push_back(std::move(fork));
        continue;
      }
      if (action == 1 && !branch.pieces.empty()) {
        // At the end of a piece: how tokens were grouped may decide about the
        // last bits.
        branch.pieces.resize(below(branch.pieces.size()));
        int64_t length = 0;
        for (const auto &piece : branch.pieces)
          length += piece.size();
        ASSERT_STATUS(SQ_STATUS_OK,
                      sq_lm_state_truncate(branch.state.handle, 0, length));
        ASSERT_EQ(sq_lm_state_length(branch.state.handle, 0), length);
        continue;
      }
      std::vector<int64_t> piece(1 + below(below(3) ? 4 : 30));
      for (int64_t &token : piece)
        token = below(1024);
      std::vector<float> got = lm.append(branch.state, piece, SQ_LM_ALL),
                         expected;
      branch.pieces.push_back(piece);
      State fresh = lm.state();
      for (const auto &again : branch.pieces)
        expected = lm.append(fresh, again, SQ_LM_ALL);
      ASSERT_EQ(got, expected) << "step " << step;
    }
  }
}

/// A model without a past, to which the compiler gave caches: the stored continuation, and its own
/// signature as before.
TEST(KvCacheTiny, CachesOfAModelWithoutAPast) {
  Lm lm(tiny() + "/model.onnx"), with(tiny() + "/model_with_past.onnx");
  ASSERT_TRUE(lm.ok() && with.ok());
  EXPECT_EQ(sq_module_num_inputs(lm.module), 2);
  EXPECT_EQ(sq_module_num_outputs(lm.module), 1);
  Tensor greedy = readData(tiny() + "/greedy.npy");
  State state = lm.state(), other = with.state();
  int64_t wrong = 0;
  std::vector<int64_t> next(greedy.integers.begin(), greedy.integers.begin() + 24);
  for (int64_t i = 24; i < greedy.size(); ++i) {
    std::vector<float> logits = lm.append(state, next);
    ASSERT_EQ(logits, with.append(other, next)) << "token " << i;
    next = {std::max_element(logits.begin(), logits.end()) - logits.begin()};
    wrong += next[0] != greedy.integers[i];
  }
  EXPECT_EQ(wrong, 0);

  CompiledModel plain(tiny() + "/model.onnx"), cached(tiny() + "/model.onnx", Lm::cached());
  ASSERT_TRUE(plain.ok() && cached.ok());
  Program a = plain.open(), b = cached.open();
  Tensor ids{numerics::DType::I64, {2, 24}, {}, {}}, positions = ids;
  for (int64_t i = 0; i < 48; ++i) {
    ids.integers.push_back(greedy.integers[i]);
    positions.integers.push_back(i % 24);
  }
  for (int time = 0; time < 2; ++time) { // nothing of a run stays for the next
    llvm::Expected<std::vector<Tensor>> x = a.run({ids, positions}), y = b.run({ids, positions});
    ASSERT_TRUE(x && y);
    EXPECT_LE(maxDifference(x->front(), y->front()), 1e-5);
  }
}

/// Decoders of the families, exported with attention_mask, which a state takes to be ones: in pieces
/// as at once, handed in and out.
class KvCacheFamilies : public testing::TestWithParam<const char *> {};

TEST_P(KvCacheFamilies, PiecesGiveTheLogitsOfTheWhole) {
  std::string path = committedModels() + "/families/" + GetParam() + "/model.onnx";
  CompileOptions handed;
  handed.kvCache = "explicit";
  CompiledModel whole(path, handed), cached(path, Lm::cached());
  ASSERT_TRUE(whole.ok() && cached.ok());
  Program program = whole.open();
  constexpr int64_t length = 11;
  using numerics::DType;
  Tensor ids{DType::I64, {1, length}, {}, {}}, mask = ids, positions = ids;
  for (int64_t i = 0; i < length; ++i) {
    ids.integers.push_back(i * 17 % 50);
    mask.integers.push_back(1);
    positions.integers.push_back(i);
  }
  int64_t heads = std::string(GetParam()).find("llama") == 0 ? 2 : 4;
  std::vector<Tensor> inputs = {ids, mask, positions};
  for (int i = 0; i < 4; ++i)
    inputs.push_back({DType::F32, {1, heads, 0, 8}, {}, {}});
  llvm::Expected<std::vector<Tensor>> expected = program.run(inputs);
  ASSERT_TRUE(static_cast<bool>(expected)) << llvm::toString(expected.takeError());
  Lm lm(cached);
  ASSERT_TRUE(lm.ok());
  State state = lm.state();
  int64_t at = 0;
  for (int64_t count : {4, 1, 1, 5}) {
    std::vector<float> logits = lm.append(state, {ids.integers.begin() + at, ids.integers.begin() + at + count}, SQ_LM_ALL);
    ASSERT_EQ(logits.size(), static_cast<size_t>(count * 50));
    EXPECT_LE(difference(logits, &expected->front().reals[at * 50]), 1e-4) << "at " << at;
    at += count;
  }
}

INSTANTIATE_TEST_SUITE_P(All, KvCacheFamilies,
                         testing::Values("llama-past-dynamo", "llama-past-torchscript", "gpt2-past-dynamo", "gpt2-past-torchscript"),
                         [](const auto &info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '-', '_');
                           return name;
                         });

/// A cut anywhere, also within what came at once: what follows is as if the rest had never been.
TEST(KvCacheTiny, TruncateAnywhere) {
  Lm lm(tiny() + "/model_with_past.onnx");
  ASSERT_TRUE(lm.ok());
  std::vector<int64_t> tokens, others;
  for (int64_t i = 0; i < 90; ++i) {
    tokens.push_back(i * 401 % 1024);
    others.push_back(i * 577 % 1024);
  }
  for (int64_t length : {0, 1, 15, 16, 17, 63, 64, 65, 89}) {
    State state = lm.state(), fresh = lm.state();
    lm.append(state, others);
    ASSERT_STATUS(SQ_STATUS_OK, sq_lm_state_truncate(state.handle, -1, 0));
    lm.append(state, tokens);
    ASSERT_STATUS(SQ_STATUS_OK, sq_lm_state_truncate(state.handle, 0, length));
    std::vector<int64_t> ahead(tokens.begin(), tokens.begin() + length), next = {7, 8, 9};
    if (length)
      lm.append(fresh, ahead);
    std::vector<float> got = lm.append(state, next), expected = lm.append(fresh, next);
    EXPECT_LE(difference(got, std::vector<double>(expected.begin(), expected.end()).data()), 2e-5) << "at " << length;
  }
}

/// com.microsoft.GroupQueryAttention, whose positions follow from how long the past is: of each sequence by
/// itself, also in a batch. The weights are random numbers that the graph makes.
TEST(KvCacheTiny, GroupQueryAttention) {
  TemporaryDirectory directory;
  std::string path = directory.file("gqa.onnxtxt");
  std::ofstream(path) << R"(<ir_version: 8, opset_import: ["" : 17, "com.microsoft" : 1]>
    g (int64[batch, sequence] ids, int32[batch] seqlens_k, int32 total_sequence_length, float[batch, 2, past, 16] pk, float[batch, 2, past, 16] pv)
      => (float[batch, sequence, 20] logits, float[batch, 2, total, 16] kk, float[batch, 2, total, 16] vv) {
      table = RandomNormal <shape = [20, 32], seed = 1.0> ()
      wk = RandomNormal <shape = [32, 32], seed = 2.0, scale = 0.3> ()
      wv = RandomNormal <shape = [32, 32], seed = 3.0, scale = 0.3> ()
      wq = RandomNormal <shape = [32, 64], seed = 4.0, scale = 0.3> ()
      wo = RandomNormal <shape = [64, 20], seed = 5.0, scale = 0.3> ()
      c = RandomUniform <shape = [50, 8], seed = 6.0> ()
      s = RandomUniform <shape = [50, 8], seed = 7.0> ()
      x = Gather (table, ids)
      q = MatMul (x, wq)
      k = MatMul (x, wk)
      v = MatMul (x, wv)
      a, kk, vv = com.microsoft.GroupQueryAttention <num_heads = 4, kv_num_heads = 2, do_rotary = 1> (q, k, v, pk, pv, seqlens_k, total_sequence_length, c, s)
      logits = MatMul (a, wo)
    })";
  CompileOptions handed;
  handed.kvCache = "explicit";
  CompiledModel whole(path, handed), cached(path, Lm::cached());
  ASSERT_TRUE(whole.ok() && cached.ok());
  Program program = whole.open();
  using numerics::DType;
  std::vector<std::vector<int64_t>> rows = {{3, 1, 4, 1, 5, 9, 2, 6}, {19, 0, 7, 7, 18, 2, 8, 1}};
  std::vector<std::vector<double>> expected;
  for (const std::vector<int64_t> &row : rows) {
    Tensor past{DType::F32, {1, 2, 0, 16}, {}, {}};
    llvm::Expected<std::vector<Tensor>> outputs =
        program.run({{DType::I64, {1, 8}, {}, row}, {DType::I32, {1}, {}, {7}}, {DType::I32, {}, {}, {8}}, past, past});
    ASSERT_TRUE(static_cast<bool>(outputs)) << llvm::toString(outputs.takeError());
    expected.push_back(outputs->front().reals);
  }
  Lm lm(cached);
  ASSERT_TRUE(lm.ok());
  EXPECT_EQ(sq_module_num_inputs(lm.module), 3); // without seqlens_k and total_sequence_length
  State state = lm.state(2);
  // The second sequence is two tokens behind the first.
  for (int64_t at = 0; at < 8; at += 2) {
    std::vector<int64_t> counts = {2, at ? 2 : 0};
    std::vector<int64_t> tokens = {rows[0][at], rows[0][at + 1], at ? rows[1][at - 2] : 0, at ? rows[1][at - 1] : 0};
    std::vector<float> logits = lm.append(state, tokens, SQ_LM_ALL, counts);
    ASSERT_EQ(logits.size(), 80u);
    EXPECT_LE(difference({logits.begin(), logits.begin() + 40}, &expected[0][at * 20]), 2e-5) << "at " << at;
    if (at)
      EXPECT_LE(difference({logits.begin() + 40, logits.end()}, &expected[1][(at - 2) * 20]), 2e-5) << "at " << at;
  }
}

/// With layers in 8 bits, or weights in bf16, a cache changes nothing but how tokens come in.
TEST(KvCacheTiny, OfOtherPrecisions) {
  for (bool isInt8 : {true, false}) {
    CompileOptions options = Lm::cached();
    if (isInt8) {
      options.quant = "int8";
      options.activations = "dynamic";
    } else {
      options.precision = "bf16";
    }
    CompiledModel model(tiny() + "/model_with_past.onnx", options);
    Lm lm(model);
    ASSERT_TRUE(lm.ok());
    Tensor tokens = readData(tiny() + "/validation/tokens.npy"), expected = readData(tiny() + "/reference_logits.npy");
    State state = lm.state();
    double error = 0, size = 0;
    for (int64_t i = 0; i < 16; ++i) {
      std::vector<float> logits = lm.append(state, {tokens.integers[i]});
      for (int64_t v = 0; v < lm.vocabulary; ++v) {
        double reference = expected.reals[i * lm.vocabulary + v];
        error += (logits[v] - reference) * (logits[v] - reference);
        size += reference * reference;
      }
    }
    EXPECT_LT(error, 3e-3 * size) << isInt8; // 25 dB: what 8 bits for each row keep of such logits
    EXPECT_GT(size, 0);
  }
}

/// Beams: sequence i of the fork is a copy of the one asked for.
TEST(KvCacheTiny, ForkOfChosenSequences) {
  Lm lm(tiny() + "/model_with_past.onnx");
  ASSERT_TRUE(lm.ok());
  State two = lm.state(2), three;
  lm.append(two, {1, 2, 3, 4}, SQ_LM_LAST, {2, 1});
  int64_t rows[] = {1, 0, 1};
  ASSERT_STATUS(SQ_STATUS_OK,
                sq_lm_state_fork(two.handle, rows, 3, &three.handle));
  EXPECT_EQ(sq_lm_state_length(three.handle, 0), 1);
  EXPECT_EQ(sq_lm_state_length(three.handle, 1), 2);
  std::vector<float> forked = lm.append(three, {9, 9, 9}),
                     original = lm.append(two, {9, 9});
  int64_t v = lm.vocabulary;
  std::vector<double> expected(original.begin(), original.end());
  std::vector<float> first(forked.begin(), forked.begin() + v),
      second(forked.begin() + v, forked.begin() + 2 * v),
      third(forked.begin() + 2 * v, forked.end());
  EXPECT_LE(difference(first, &expected[v]), 2e-5);
  EXPECT_LE(difference(second, &expected[0]), 2e-5);
  EXPECT_EQ(first, third);
}

/// Threads and capacity change nothing.
TEST(KvCacheTiny, SameBitsForThreadsAndCapacity) {
  Lm one(tiny() + "/model_with_past.onnx", 1),
      two(tiny() + "/model_with_past.onnx", 2);
  ASSERT_TRUE(one.ok() && two.ok());
  std::vector<int64_t> prompt;
  for (int64_t i = 0; i < 70; ++i)
    prompt.push_back(i * 37 % 1024);
  State a = one.state(1, 80), b = two.state(1, 1000), c = two.state();
  EXPECT_EQ(one.append(a, prompt), two.append(b, prompt));
  EXPECT_EQ(one.append(a, {5}), two.append(b, {5}));
  EXPECT_EQ(two.append(c, prompt).size(), 1024u);
  one.append(a, {6});
  two.append(b, {6});
  two.append(c, {5});
  two.append(c, {6});
  EXPECT_EQ(one.append(a, {7}), two.append(c, {7}));
}

TEST(KvCacheTiny, Refusals) {
  Lm lm(tiny() + "/model_with_past.onnx"),
      other(tiny() + "/model_with_past.onnx");
  ASSERT_TRUE(lm.ok() && other.ok());
  auto refuse = [&](State &state, std::vector<int64_t> tokens,
                    const char *message,
                    const std::vector<int64_t> &counts = {}) {
    int64_t before = sq_lm_state_length(state.handle, 0);
    DLTensor logits{};
    EXPECT_EQ(sq_lm_append(lm.session, state.handle, tokens.data(),
                           tokens.size(),
                           counts.empty() ? nullptr : counts.data(), SQ_LM_LAST,
                           &logits),
              SQ_STATUS_INVALID_ARGUMENT);
    EXPECT_STREQ(sq_last_error(), message);
    EXPECT_EQ(sq_lm_state_length(state.handle, 0), before);
  };
  State state = lm.state(1, 4), foreign = other.state(1, 4);
  refuse(state, {}, "no tokens are given; a prompt has at least one");
  refuse(state, {3}, "no tokens are given; a prompt has at least one", {0});
  refuse(state, {3}, "sequence 0 gets 2 tokens of the 1 given", {2});
  refuse(state, {3, 1024},
         "token 1024 of sequence 0 is outside the vocabulary of 1024");
  refuse(state, {-1},
         "token -1 of sequence 0 is outside the vocabulary of 1024");
  refuse(foreign, {3},
         "this state belongs to another module; create one with the session's "
         "module");
  lm.append(state, {1, 2, 3});
  refuse(state, {4, 5},
         "sequence 0 would have 5 tokens, the state has room for 4; truncate "
         "it, or create a larger one");
  // It goes on as if nothing had been tried.
  State fresh = lm.state();
  lm.append(fresh, {1, 2, 3});
  EXPECT_EQ(lm.append(state, {4}), lm.append(fresh, {4}));
  EXPECT_EQ(sq_lm_state_truncate(state.handle, 0, 5),
            SQ_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(sq_last_error(),
               "sequence 0 has 4 tokens and cannot be cut to 5");
  EXPECT_EQ(sq_lm_state_truncate(state.handle, 1, 0),
            SQ_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(sq_last_error(),
               "sq_lm_state_truncate: there is no sequence 1, the state has 1");
  DLTensor logits{};
  int64_t token = 1;
  EXPECT_EQ(sq_lm_append(lm.session, nullptr, &token, 1, nullptr, SQ_LM_LAST,
                         &logits),
            SQ_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(sq_last_error(), "sq_lm_append: state is NULL");
  sq_lm_state *none = nullptr;
  EXPECT_EQ(sq_lm_state_create(lm.module, 0, 4, &none),
            SQ_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(sq_lm_state_create(lm.module, 1, -1, &none),
            SQ_STATUS_INVALID_ARGUMENT);
  int64_t row = 3;
  EXPECT_EQ(sq_lm_state_fork(state.handle, &row, 1, &none),
            SQ_STATUS_INVALID_ARGUMENT);
  EXPECT_EQ(none, nullptr);
}

/// --shape's range is the most that a sequence may have had before.
TEST(KvCacheTiny, RangesOfDims) {
  CompileOptions options = Lm::cached();
  options.shape = {{"past_sequence", {0, 6}}, {"sequence", {1, 4}}};
  CompiledModel model(tiny() + "/model_with_past.onnx", options);
  Lm lm(model);
  ASSERT_TRUE(lm.ok());
  State state = lm.state();
  std::vector<int64_t> five = {1, 2, 3, 4, 5};
  DLTensor logits{};
  EXPECT_EQ(sq_lm_append(lm.session, state.handle, five.data(), 5, nullptr,
                         SQ_LM_LAST, &logits),
            SQ_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(sq_last_error(),
               "5 tokens at once, the model takes 1 to 4 (sequence)");
  lm.append(state, {1, 2, 3, 4});
  lm.append(state, {1, 2, 3, 4});
  EXPECT_EQ(sq_lm_append(lm.session, state.handle, five.data(), 1, nullptr,
                         SQ_LM_LAST, &logits),
            SQ_STATUS_INVALID_ARGUMENT);
  EXPECT_STREQ(sq_last_error(), "sequence 0 has 8 tokens, the model takes a "
                                "past of 0 to 6 (past_sequence)");
}

/// Models that hand everything in and out have no states.
TEST(KvCacheTiny, ExplicitHasNone) {
  CompileOptions options;
  options.kvCache = "explicit";
  CompiledModel model(tiny() + "/model_with_past.onnx", options);
  ASSERT_TRUE(model.ok());
  sq_module *module = nullptr;
  ASSERT_STATUS(SQ_STATUS_OK,
                sq_module_load(model.artifact().c_str(), nullptr, &module));
  sq_lm_info info{};
  info.size = sizeof info;
  EXPECT_EQ(sq_lm_get_info(module, &info), SQ_STATUS_OK);
  EXPECT_EQ(info.caches, 0);
  sq_lm_state *state = nullptr;
  EXPECT_EQ(sq_lm_state_create(module, 1, 0, &state),
            SQ_STATUS_INVALID_ARGUMENT);
  EXPECT_NE(std::string(sq_last_error()).find("keeps no keys and values"),
            std::string::npos);
  sq_module_release(module);
}

} // namespace
