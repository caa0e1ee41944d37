#include "llvm/Support/FormatVariadic.h"
#include "llvm/Support/JSON.h"

#include "lib/inspect/Inspect.h"

using namespace llvm;
using namespace sq;
using namespace sq::inspect;

static json::Array tensors(const std::vector<ManifestTensor> &list) {
  json::Array result;
  for (const ManifestTensor &tensor : list) {
    json::Array dims;
    for (const ManifestDim &dim : tensor.dims)
      dims.push_back(json::Object{{"name", dim.name},
                                  {"min", dim.min},
                                  {"max", dim.max == INT64_MAX ? json::Value(nullptr) : json::Value(dim.max)}});
    result.push_back(json::Object{{"name", tensor.name}, {"dtype", tensor.dtype}, {"dims", std::move(dims)}});
  }
  return result;
}

/// null for what is unknown.
static json::Value known(double value) { return value < 0 ? json::Value(nullptr) : json::Value(value); }

static json::Object sized(const View &view, const std::string &formula) {
  return json::Object{{"formula", formula.empty() ? "?" : formula}, {"value", known(view.dims.evaluate(formula))}};
}

static void addModel(const Model &m, json::Object &object) {
  json::Object opsets;
  for (const auto &[domain, version] : m.opsets)
    opsets[domain] = version;
  json::Array parameters, operators, refusals;
  for (const Parameters &p : m.parameters)
    parameters.push_back(
        json::Object{{"dtype", p.dtype}, {"tensors", p.tensors}, {"elements", p.elements}, {"bytes", p.bytes}});
  for (const Operator &op : m.operators)
    operators.push_back(json::Object{{"name", op.name}, {"nodes", op.count}, {"refused", op.refused}});
  for (const Refusal &r : m.refusals)
    refusals.push_back(
        json::Object{{"operator", r.op}, {"reason", r.reason}, {"nodes", r.nodes}, {"first_node", r.firstNode}});
  object["producer"] = m.producer;
  object["ir_version"] = m.irVersion;
  object["opsets"] = std::move(opsets);
  object["parameters"] = std::move(parameters);
  object["operators"] = std::move(operators);
  object["accepted"] = m.isAccepted();
  object["refusals"] = std::move(refusals);
  object["problems"] = json::Array(m.problems);
  object["weight_bytes"] = m.weightBytes;
  if (!m.kernels.empty())
    object["formulas"] = json::Object{{"flops", m.flops}, {"bytes_read", m.reads}, {"bytes_written", m.writes}};
}

static void addArtifact(const Artifact &a, json::Object &object) {
  json::Array variants;
  for (const Variant &v : a.variants) {
    json::Object variant{{"level", v.level}, {"features", json::Array(v.features)}};
    if (v.functions) {
      variant["functions"] = v.functions;
      variant["cubin_bytes"] = v.cubinBytes;
      variant["ptx_bytes"] = v.ptxBytes;
    }
    variants.push_back(std::move(variant));
  }
  object["producer"] = a.producer;
  object["format_version"] = a.formatVersion;
  object["variants"] = std::move(variants);
  object["weights_hash"] = a.weightsHash;
  object["file_bytes"] = a.fileBytes;
  object["code_bytes"] = a.codeBytes;
  object["weight_bytes"] = a.weightBytes;
  object["manifest_bytes"] = a.manifestBytes;
  object["widened_bytes"] = a.widenedBytes;
  object["unpacked_bytes"] = a.unpackedBytes;
  object["caches"] = a.caches;
  object["cache_bytes_per_token"] = static_cast<int64_t>(a.cacheBytes);
}

void inspect::printJson(const View &view, raw_ostream &os) {
  const Program &program = view.program();
  json::Object object{{"path", program.path},
                      {"kind", view.model ? "model" : "artifact"},
                      {"inputs", tensors(program.inputs)},
                      {"outputs", tensors(program.outputs)}};
  if (view.model)
    addModel(*view.model, object);
  else
    addArtifact(*view.artifact, object);
  json::Object dims;
  for (const auto &[name, size] : view.dims.dims)
    dims[name] = size;
  object["dims"] = std::move(dims);
  const Estimate *e = view.estimate;
  bool isEstimated = e && !e->level.empty();
  if (isEstimated)
    object["estimate"] = json::Object{{"ms", 1e3 * e->seconds},
                                      {"arithmetic_ms", 1e3 * e->arithmetic},
                                      {"unknown_kernels", e->unknown},
                                      {"threads", e->machine.threads},
                                      {"level", e->level},
                                      {"gflop/s", e->machine.flops / 1e9},
                                      {"gb/s", e->machine.bandwidth() / 1e9},
                                      {"measured_s", e->measured}};
  object["flops"] = view.total(&Kernel::flops);
  object["bytes_read"] = view.total(&Kernel::reads);
  object["bytes_written"] = view.total(&Kernel::writes);
  json::Array kernels;
  for (auto [i, k] : enumerate(program.kernels))
    kernels.push_back(json::Object{{"kind", k.kind},
                                   {"parts", json::Array(k.parts)},
                                   {"nodes", json::Array(k.nodes)},
                                   {"flops", sized(view, k.flops)},
                                   {"bytes_read", sized(view, k.reads)},
                                   {"bytes_written", sized(view, k.writes)},
                                   {"ms", isEstimated && e->kernels[i] >= 0 ? json::Value(1e3 * e->kernels[i])
                                                                            : json::Value(nullptr)}});
  object["kernels"] = std::move(kernels);
  os << formatv("{0:2}\n", json::Value(std::move(object)));
}
