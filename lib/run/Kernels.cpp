#include "lib/run/Kernels.h"

#include <cstdio>

#include "lib/support/SizeText.h"
#include "runtime/core/kernel_list.h"

namespace sq {

std::vector<Kernel> kernelsFor(const Module &module, const std::vector<Tensor> &inputs, int threads) {
  std::vector<std::pair<std::string, double>> sizes = {{"threads()", threads}};
  const std::vector<Port> &ports = module.inputs();
  for (size_t i = 0; i < ports.size() && i < inputs.size(); ++i)
    for (size_t axis = 0; axis < ports[i].dims.size() && axis < inputs[i].shape.size(); ++axis)
      sizes.emplace_back(ports[i].dimName(axis), inputs[i].shape[axis]);
  // What a program with caches has instead of its past (passes/CacheStates.cpp).
  const manifest::Manifest *m = manifest::GetManifest(sq_module_manifest(module.get(), nullptr));
  if (const manifest::Cache *cache = m->cache(); cache && inputs.size() == ports.size()) {
    const manifest::State *first = cache->states()->Get(0);
    int64_t added = inputs[cache->tokens()].shape[1], past = first->input() < 0 ? 0 : inputs[first->input()].shape[first->axis()];
    sizes.emplace_back("capacity", past + added);
    sizes.emplace_back("rows", added);
  }
  SizeSymbols symbols = [&](const std::string &name, double &value) {
    for (const auto &known : sizes)
      if (known.first == name) {
        value = known.second;
        return true;
      }
    return false;
  };
  auto evaluate = [&](const flatbuffers::String *formula) {
    double value;
    return formula && evaluateSize(formula->str(), symbols, value) ? value : -1;
  };

  std::vector<Kernel> kernels;
  // The runtime has verified it.
  for (const auto *k : *kernelList(m, sq_module_cpu_level(module.get()))) {
    Kernel kernel;
    kernel.name = k->name()->str();
    if (k->nodes())
      for (const auto *node : *k->nodes())
        kernel.nodes.push_back(node->str());
    kernel.work = {evaluate(k->flops()), evaluate(k->bytes_read()), evaluate(k->bytes_written())};
    kernels.push_back(std::move(kernel));
  }
  return kernels;
}

std::string quoted(const std::string &text) {
  std::string result = "\"";
  for (unsigned char c : text) {
    char escaped[8];
    std::snprintf(escaped, sizeof escaped, "\\u%04x", c);
    if (c == '"' || c == '\\')
      (result += '\\') += c;
    else if (c < 32)
      result += escaped;
    else
      result += c;
  }
  return result + '"';
}

std::string quoted(const std::vector<std::string> &texts) {
  std::string result;
  for (const std::string &text : texts)
    result += (result.empty() ? "" : ", ") + quoted(text);
  return "[" + result + "]";
}

} // namespace sq
