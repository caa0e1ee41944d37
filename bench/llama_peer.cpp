//===-- llama_peer.cpp - llama.cpp as an engine of bench/llm.py
//
//   llama-peer quantize IN.gguf OUT.gguf Q4_K_M|Q3_K_M THREADS
//   llama-peer serve MODEL.gguf THREADS
//   llama-peer logits MODEL.gguf ID,ID,...         of the last token, as text
//
// `serve` reads lines "prompt N" (N tokens into an empty cache, at most 512)
// and "decode N" (one after the other behind a prompt of 16) and prints tokens
// per second for each.
//
//===----------------------------------------------------------------------===//

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string>
#include <vector>

#include "llama.h"

namespace {

struct Engine {
  llama_model *model;
  llama_context *context;
  std::vector<llama_token> row;

  Engine(const char *path, int threads) {
    llama_model_params modelParams = llama_model_default_params();
    modelParams.n_gpu_layers = 0;
    model = llama_model_load_from_file(path, modelParams);
    llama_context_params params = llama_context_default_params();
    params.n_ctx = 1024;
    params.n_batch = params.n_ubatch = 512;
    params.n_threads = params.n_threads_batch = threads;
    context = model ? llama_init_from_model(model, params) : nullptr;
    if (!context) {
      fprintf(stderr, "llama-peer: cannot load '%s'\n", path);
      exit(1);
    }
    int words = llama_vocab_n_tokens(llama_model_get_vocab(model));
    for (int i = 0; i < 512; ++i)
      row.push_back((i * 7919 + 13) % words);
  }

  void append(llama_token *ids, int count) {
    if (llama_decode(context, llama_batch_get_one(ids, count))) {
      fprintf(stderr, "llama-peer: llama_decode failed\n");
      exit(1);
    }
  }

  void clear() { llama_memory_clear(llama_get_memory(context), false); }

  llama_token largest() {
    int words = llama_vocab_n_tokens(llama_model_get_vocab(model));
    const float *logits = llama_get_logits_ith(context, -1);
    int best = 0;
    for (int i = 1; i < words; ++i)
      if (logits[i] > logits[best])
        best = i;
    return best;
  }

  /// Tokens per second of a prompt.
  double prompt(int count) {
    clear();
    auto begin = std::chrono::steady_clock::now();
    append(row.data(), count);
    largest();
    std::chrono::duration<double> time =
        std::chrono::steady_clock::now() - begin;
    return count / time.count();
  }

  double decode(int tokens) {
    clear();
    append(row.data(), 16);
    llama_token token = largest();
    auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < tokens; ++i) {
      append(&token, 1);
      token = largest();
    }
    std::chrono::duration<double> time =
        std::chrono::steady_clock::now() - begin;
    return tokens / time.count();
  }
};

int quantize(char **argv) {
  llama_model_quantize_params params = llama_model_quantize_default_params();
  params.ftype = !strcmp(argv[4], "Q4_K_M") ? LLAMA_FTYPE_MOSTLY_Q4_K_M
                                            : LLAMA_FTYPE_MOSTLY_Q3_K_M;
  params.nthread = atoi(argv[5]);
  return llama_model_quantize(argv[2], argv[3], &params) ? 1 : 0;
}

int serve(char **argv) {
  Engine engine(argv[2], atoi(argv[3]));
  char line[64];
  while (fgets(line, sizeof(line), stdin)) {
    char kind[16];
    int count = 0;
    if (sscanf(line, "%15s %d", kind, &count) != 2 || count < 1 ||
        count > 512) {
      fprintf(stderr, "llama-peer: not 'prompt N' or 'decode N': %s", line);
      return 1;
    }
    printf("%.4f\n", strcmp(kind, "prompt") ? engine.decode(count)
                                            : engine.prompt(count));
    fflush(stdout);
  }
  return 0;
}

int logits(char **argv) {
  Engine engine(argv[2], 1);
  std::vector<llama_token> ids;
  std::stringstream text(argv[3]);
  for (std::string id; std::getline(text, id, ',');)
    ids.push_back(atoi(id.c_str()));
  engine.append(ids.data(), static_cast<int>(ids.size()));
  const float *values = llama_get_logits_ith(engine.context, -1);
  for (int i = 0,
           words = llama_vocab_n_tokens(llama_model_get_vocab(engine.model));
       i < words; ++i)
    printf("%.6g\n", values[i]);
  return 0;
}

} // namespace

int main(int argc, char **argv) {
  llama_log_set(
      [](ggml_log_level level, const char *text, void *) {
        if (level >= GGML_LOG_LEVEL_ERROR)
          fputs(text, stderr);
      },
      nullptr);
  std::string mode = argc > 1 ? argv[1] : "";
  if (mode == "quantize" && argc == 6)
    return quantize(argv);
  if (mode == "serve" && argc == 4)
    return serve(argv);
  if (mode == "logits" && argc == 4)
    return logits(argv);
  fprintf(stderr, "usage: llama-peer quantize IN OUT TYPE THREADS | serve "
                  "MODEL THREADS TOKENS | logits MODEL IDS\n");
  return 1;
}
