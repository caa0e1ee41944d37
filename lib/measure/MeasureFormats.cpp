// Times for --target-latency: layers in every format that a plan can have, and
// the model around them.

#include "lib/measure/MeasureLayers.h"

#include <cmath>
#include <limits>
#include <map>

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/Support/FormatVariadic.h"

#include "lib/calibration/Samples.h"
#include "lib/measure/TimedProgram.h"
#include "lib/numerics/Codes.h"
#include "lib/quantization/WeightScheme.h"
#include "passes/analysis/TokenInputs.h"

using namespace llvm;
using namespace sq;

/// Equally many entries in each row, as far apart as they can be.
static void writeSparse(const LayerShape &shape, int64_t count,
                        raw_ostream &os) {
  bool isShort = shape.k <= INT16_MAX;
  StringRef type = isShort ? "i16" : "i32";
  os << "  %rows_of = arith.constant dense<[0";
  for (int64_t r = 0; r < shape.n; ++r)
    os << ", " << count * (r + 1) / shape.n;
  os << formatv("]> : tensor<{0}xi32>\n  %columns = arith.constant dense<[",
                shape.n + 1);
  const char *separator = "";
  for (int64_t r = 0; r < shape.n; ++r)
    for (int64_t first = count * r / shape.n, e = first,
                 end = count * (r + 1) / shape.n;
         e < end; ++e, separator = ", ")
      os << separator << (e - first) * shape.k / (end - first);
  os << formatv("]> : tensor<{0}x{1}>\n  %values = arith.constant dense<0.5> : "
                "tensor<{0}xf16>\n"
                "  %s = sq.csr %rows_of, %columns, %values : tensor<{4}xi32>, "
                "tensor<{0}x{1}>, tensor<{0}xf16> -> tensor<{2}x{3}xf16>\n",
                count, type, shape.n, shape.k, shape.n + 1);
}

/// A product by tables, of any number of rows.
static void writeTables(const LayerShape &shape, const LayerFormat &format,
                        raw_ostream &os) {
  int bits = precisionBits(format.precision);
  int64_t count = int64_t(std::floor(
      format.outliers.value_or(0) * double(shape.n * shape.k) / 100 + 1e-9));
  std::string x = formatv("tensor<?x{0}xf32>", shape.k),
              y = formatv("tensor<?x{0}xf32>", shape.n);
  std::string codes = formatv("tensor<{0}x{1}xi32>", shape.n,
                              numerics::rowWords(shape.k, bits));
  std::string tables = formatv("tensor<{0}x{1}xf16>", shape.n, 1 << bits);
  os << formatv("func.func @main(%x: {0} {{sq.name = \"x\", sq.dims = "
                "[\"rows\", \"{1}\"], sq.dtype = \"f32\"}) -> "
                "({2} {{sq.name = \"y\", sq.dims = [\"rows\", \"{3}\"], "
                "sq.dtype = \"f32\"}) {{\n"
                "  %zero = arith.constant 0 : index\n  %rows = tensor.dim %x, "
                "%zero : {0}\n  %init = tensor.empty(%rows) : {2}\n"
                "  %c = arith.constant dense<305419896> : {4}\n  %t = "
                "arith.constant dense<0.5> : {5}\n",
                x, shape.k, y, shape.n, codes, tables);
  if (count > 0) {
    writeSparse(shape, count, os);
    os << formatv("  %y = sq.dense_and_sparse_matmul ins(%x, %c, %t, %s : {0}, "
                  "{1}, {2}, tensor<{3}x{4}xf16>) outs(%init : {5}) -> {5}\n",
                  x, codes, tables, shape.n, shape.k, y);
  } else {
    os << formatv("  %y = sq.lut_matmul ins(%x, %c, %t : {0}, {1}, {2}) "
                  "outs(%init : {3}) -> {3}\n",
                  x, codes, tables, y);
  }
  os << formatv("  return %y : {0}\n}\n", y);
}

/// The least of some runs.
static Status timeRuns(TimedProgram &program, const std::vector<Tensor> &inputs,
                       double seconds, double &least) {
  if (Status status = program.bind(inputs); !status.ok())
    return status;
  least = std::numeric_limits<double>::infinity();
  double start = steadySeconds();
  for (int i = 0; i < kLeastTimedRuns || steadySeconds() - start < seconds; ++i)
    if (Status status = program.run(least); !status.ok())
      return status;
  return {};
}

/// Of one shape but for the rows.
static Status timeLayers(const std::vector<LayerToTime> &layers,
                         const std::vector<size_t> &which,
                         const LayerFormat &format, CompileOptions compile,
                         double share, std::vector<double> &seconds) {
  TimedProgram program;
  bool isBf16 = format.precision == LayerPrecision::Bf16;
  if (isBf16)
    compile.precision = "bf16";
  auto write = [&](raw_ostream &os) {
    const LayerShape &shape = layers[which.front()].shape;
    if (isBf16)
      writeLinearLayer(shape, /*inBytes=*/false, os);
    else
      writeTables(shape, format, os);
  };
  if (Status status = program.compile(write, compile); !status.ok())
    return status;
  std::vector<Tensor> inputs;
  for (size_t i : which) {
    if (Status status = makeLayerInput(layers[i].shape, inputs); !status.ok())
      return status;
    if (Status status = timeRuns(program, inputs, share, seconds[i]);
        !status.ok())
      return status;
  }
  return {};
}

/// What products of int8 compute, whatever is stored.
static bool isInBytes(StringRef format) {
  std::optional<LayerPrecision> precision = findPrecision(format);
  return precision && isInteger(*precision);
}

CompileResult sq::measureFormats(const std::vector<LayerToTime> &layers,
                                 const MeasureOptions &options,
                                 const std::string &activations,
                                 std::vector<double> &seconds) {
  seconds.assign(layers.size(), 0);
  std::vector<LayerShape>
      shapes; // of bytes and floats, which are measured in turn
  std::map<std::tuple<std::string, int64_t, int64_t>, std::vector<size_t>>
      tables;
  for (size_t i = 0; i < layers.size(); ++i) {
    const LayerShape &shape = layers[i].shape;
    if (layers[i].format != "f32" && !isInBytes(layers[i].format))
      tables[{layers[i].format, shape.k, shape.n}].push_back(i);
    else if (!is_contained(shapes, shape))
      shapes.push_back(shape);
  }
  std::vector<LayerTimes> times;
  if (CompileResult r = measureLayers(shapes, options, times);
      r.code != ExitCode::Done)
    return r;
  for (size_t i = 0; i < layers.size(); ++i)
    if (auto it = find(shapes, layers[i].shape); it != shapes.end())
      seconds[i] = isInBytes(layers[i].format) ? times[it - shapes.begin()].int8
                                              : times[it - shapes.begin()].f32;
  CompileOptions compile = compileOptionsOf(options);
  compile.activations = activations == "f32" ? "f32" : "int8";
  size_t index = 0;
  for (const auto &[key, which] : tables) {
    if (options.progress)
      options.progress(layers[which.front()].shape, index, tables.size());
    ++index;
    LayerFormat format;
    Status status = parseFormat(std::get<0>(key), format);
    if (status.ok() && format.precision != LayerPrecision::Bf16 &&
        !WeightScheme{format.precision}.isTable())
      status = Status::refused(
          format.text() + " has no kernel whose time could be measured; leave "
                          "--target-latency or the line of the plan out");
    if (status.ok())
      status = timeLayers(layers, which, format, compile, options.seconds / 2,
                          seconds);
    if (!status.ok()) {
      CompileResult result;
      result.code = status.code;
      result.message = "--target-latency: " + status.message;
      return result;
    }
  }
  return {};
}

CompileResult sq::measureModel(const std::string &model,
                               const std::map<std::string, int64_t> &dims,
                               const MeasureOptions &options, double &seconds) {
  CompileOptions compile = compileOptionsOf(options);
  compile.kvCache = "explicit";
  for (const auto &[name, size] : dims)
    compile.shape[name] = {size, size};
  calibration::TableRows tables;
  compile.inspect = [&](const std::string &phase, mlir::ModuleOp ir) {
    if (auto main = ir.lookupSymbol<mlir::func::FuncOp>("main");
        main && phase == "import")
      tables = tokenInputs(main);
  };
  TimedProgram timed;
  Status status = timed.compile(model, compile);
  std::unique_ptr<calibration::Samples> samples;
  std::vector<Tensor> inputs;
  // With fixed sizes nothing is random but what is in the tensors.
  if (status.ok())
    status = calibration::makeSamples(/*count=*/1, /*seed=*/1, {},
                                      timed.inputs(), tables, samples);
  if (status.ok())
    status = samples->read(0, 1, inputs);
  if (status.ok())
    status = timeRuns(timed, inputs, options.seconds, seconds);
  CompileResult result;
  result.code = status.code;
  if (!status.ok())
    result.message = "--target-latency: " + status.message;
  return result;
}
