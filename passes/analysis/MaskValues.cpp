#include "passes/analysis/MaskValues.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Matchers.h"
#include "mlir/IR/TypeUtilities.h"

#include <cmath>
#include <set>

#include "passes/integer_only/Converter.h"
#include "passes/integer_only/Evaluate.h"

using namespace mlir;

static constexpr size_t kMost = 8;
static constexpr int kDepth = 32; // of ops in a chain

/// At most kMost; `assumed` as in BooleanMask.
static std::optional<std::set<double>> valuesOf(Value v, int depth, Value &assumed) {
  auto type = dyn_cast<RankedTensorType>(v.getType());
  if (!type || depth == 0)
    return std::nullopt;
  if (type.getElementType().isInteger(1))
    return std::set<double>{0, 1};
  if (isa<BlockArgument>(v) && type.getElementType().isInteger() && (!assumed || assumed == v)) {
    assumed = v;
    return std::set<double>{0, 1};
  }
  DenseElementsAttr elements;
  if (matchPattern(v, m_Constant(&elements))) {
    std::set<double> values;
    auto add = [&](double x) { return std::isnan(x) ? false : (values.insert(x), values.size() <= kMost); };
    bool few = false;
    if (isa<FloatType>(type.getElementType()))
      few = llvm::all_of(elements.getValues<APFloat>(), [&](const APFloat &x) {
        APFloat wide = x;
        bool lost;
        wide.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &lost);
        return add(wide.convertToDouble());
      });
    else if (type.getElementType().isIntOrIndex())
      few = llvm::all_of(elements.getValues<APInt>(), [&](const APInt &x) { return add(double(x.getSExtValue())); });
    return few ? std::optional(values) : std::nullopt;
  }
  Operation *op = v.getDefiningOp();
  if (isa_and_nonnull<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp, tensor::ExtractSliceOp, linalg::TransposeOp,
                      linalg::BroadcastOp>(op))
    return valuesOf(op->getOperand(0), depth - 1, assumed);
  auto generic = dyn_cast_or_null<linalg::GenericOp>(op);
  if (!generic || generic.getNumParallelLoops() != generic.getNumLoops() || generic->getNumResults() != 1)
    return std::nullopt;
  // The result for every combination.
  std::vector<std::vector<double>> arguments = {{}};
  for (Value input : generic.getDpsInputs()) {
    auto values = valuesOf(input, depth - 1, assumed);
    if (!values || arguments.size() * values->size() > kMost * kMost)
      return std::nullopt;
    std::vector<std::vector<double>> next;
    for (const auto &before : arguments)
      for (double x : *values) {
        next.push_back(before);
        next.back().push_back(x);
      }
    arguments = std::move(next);
  }
  std::set<double> results;
  for (const auto &each : arguments) {
    std::optional<double> y = sq::evaluateBody(generic, each);
    if (!y || std::isnan(*y))
      return std::nullopt;
    // The body is evaluated in float64; what it stores may be narrower.
    results.insert(type.getElementType().isF32() ? double(float(*y)) : *y);
  }
  return results.size() <= kMost ? std::optional(results) : std::nullopt;
}

std::optional<sq::BooleanMask> sq::booleanMask(Value mask) {
  BooleanMask result{false, true, Value()};
  auto values = valuesOf(mask, kDepth, result.assumed);
  if (!values)
    return std::nullopt;
  for (double x : *values) {
    if (x == 0)
      continue;
    if (x > kMasked)
      return std::nullopt;
    result.hides = true;
    result.isUniform &= std::isfinite(x);
  }
  return result;
}
