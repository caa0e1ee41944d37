#include "lib/measure/MeasureLayers.h"

#include <limits>
#include <map>

#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include "codegen/host/HostTarget.h"
#include "lib/measure/TimedProgram.h"

using namespace llvm;
using namespace sq;

void sq::writeLinearLayer(const LayerShape &shape, bool inBytes, raw_ostream &os) {
  std::string x = formatv("tensor<?x{0}xf32>", shape.k), y = formatv("tensor<?x{0}xf32>", shape.n);
  std::string weight = formatv("tensor<{0}x{1}x", shape.k, shape.n), bias = formatv("tensor<{0}xf32>", shape.n);
  std::string xType = x, wType = weight + "f32>";
  os << formatv("func.func @main(%x: {0} {{sq.name = \"x\", sq.dims = [\"rows\", \"{1}\"], sq.dtype = \"f32\"}) -> "
                "({2} {{sq.name = \"y\", sq.dims = [\"rows\", \"{3}\"], sq.dtype = \"f32\"}) {{\n"
                "  %zero = arith.constant 0 : index\n  %rows = tensor.dim %x, %zero : {0}\n"
                "  %b = arith.constant dense<0.5> : {4}\n  %init = tensor.empty(%rows) : {2}\n",
                x, shape.k, y, shape.n, bias);
  if (inBytes) {
    xType = formatv("tensor<?x{0}x!quant.uniform<u8:f32, 0.01:128>>", shape.k);
    wType = weight + "!quant.uniform<i8<-127:127>:f32:1, {";
    for (int64_t c = 0; c < shape.n; ++c)
      wType += c ? ", 0.01" : "0.01";
    wType += "}>>";
    os << formatv("  %q = sq.quantize %x : {0} -> {1}\n  %stored = arith.constant dense<3> : {2}i8>\n"
                  "  %w = quant.scast %stored : {2}i8> to {3}\n",
                  x, xType, weight, wType);
  } else {
    os << formatv("  %w = arith.constant dense<0.03> : {0}\n", wType);
  }
  os << formatv("  %y = sq.linear ins({0}, %w : {1}, {2}) bias(%b : {3}) outs(%init : {4}) -> {4}\n  return %y : {4}\n}\n",
                inBytes ? "%q" : "%x", xType, wType, bias, y);
}

static Status timeBoth(TimedProgram &bytes, TimedProgram &floats, const LayerShape &shape, double seconds, LayerTimes &times) {
  std::vector<Tensor> inputs;
  if (Status status = makeLayerInput(shape, inputs); !status.ok())
    return status;
  for (TimedProgram *layer : {&bytes, &floats})
    if (Status status = layer->bind(inputs); !status.ok())
      return status;
  times.int8 = times.f32 = std::numeric_limits<double>::infinity();
  double start = steadySeconds();
  for (int i = 0; i < kLeastTimedRuns || steadySeconds() - start < seconds; ++i)
    for (auto [layer, least] : {std::pair(&bytes, &times.int8), std::pair(&floats, &times.f32)})
      if (Status status = layer->run(*least); !status.ok())
        return status;
  return {};
}

CompileResult sq::measureLayers(const std::vector<LayerShape> &shapes, const MeasureOptions &given,
                                std::vector<LayerTimes> &times) {
  MeasureOptions options = given;
  std::string best = runtimeHostLevel();
  if (options.levels.empty() && !best.empty())
    options.levels = {best};
  auto failed = [](const Status &status) {
    CompileResult result;
    result.code = status.code;
    result.message = "--measure: " + status.message;
    return result;
  };
  // More demanding levels come later.
  auto rank = [](StringRef level) {
    return find_if(hostTargets(), [&](const HostTarget &target) { return target.level == level; }) - hostTargets().begin();
  };
  for (const std::string &level : options.levels)
    if (best.empty() || rank(level) > rank(best))
      return failed(Status::lacking("layers run on this machine, which has no '" + level + "'; leave it out, and the cost model "
                                    "says which layers are faster"));
  // One program serves every number of rows.
  std::map<std::pair<int64_t, int64_t>, std::vector<size_t>> weights;
  for (size_t i = 0; i < shapes.size(); ++i)
    weights[{shapes[i].k, shapes[i].n}].push_back(i);
  times.assign(shapes.size(), {});
  size_t index = 0;
  for (const auto &[size, users] : weights) {
    if (options.progress)
      options.progress(shapes[users.front()], index, weights.size());
    ++index;
    TimedProgram bytes, floats;
    for (auto [layer, inBytes] : {std::pair(&bytes, true), std::pair(&floats, false)}) {
      auto write = [&, inBytes = inBytes, &users = users](raw_ostream &os) { writeLinearLayer(shapes[users.front()], inBytes, os); };
      if (Status status = layer->compile(write, compileOptionsOf(options)); !status.ok())
        return failed(status);
    }
    for (size_t user : users)
      if (Status status = timeBoth(bytes, floats, shapes[user], options.seconds, times[user]); !status.ok())
        return failed(status);
  }
  return {};
}
