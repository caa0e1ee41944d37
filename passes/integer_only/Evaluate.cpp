#include "passes/integer_only/Evaluate.h"

#include "llvm/ADT/TypeSwitch.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"

#include <cmath>

using namespace mlir;
using namespace sq;

namespace {

using Number = std::optional<double>;

Number compare(arith::CmpFPredicate predicate, double x, double y) {
  using P = arith::CmpFPredicate;
  bool unordered = std::isnan(x) || std::isnan(y);
  switch (predicate) {
  case P::OEQ: return x == y;
  case P::OGT: return x > y;
  case P::OGE: return x >= y;
  case P::OLT: return x < y;
  case P::OLE: return x <= y;
  case P::ONE: return !unordered && x != y;
  case P::UEQ: return unordered || x == y;
  case P::UGT: return unordered || x > y;
  case P::UGE: return unordered || x >= y;
  case P::ULT: return unordered || x < y;
  case P::ULE: return unordered || x <= y;
  case P::UNE: return x != y;
  case P::UNO: return unordered;
  case P::ORD: return !unordered;
  default: return std::nullopt;
  }
}

Number compare(arith::CmpIPredicate predicate, double x, double y) {
  using P = arith::CmpIPredicate;
  switch (predicate) {
  case P::eq: return x == y;
  case P::ne: return x != y;
  case P::slt: return x < y;
  case P::sle: return x <= y;
  case P::sgt: return x > y;
  case P::sge: return x >= y;
  default: return std::nullopt; // of negative numbers they mean something else
  }
}

Number apply(Operation &op, ArrayRef<double> a) {
  return llvm::TypeSwitch<Operation *, Number>(&op)
      .Case<arith::AddFOp>([&](auto) { return a[0] + a[1]; })
      .Case<arith::SubFOp>([&](auto) { return a[0] - a[1]; })
      .Case<arith::MulFOp>([&](auto) { return a[0] * a[1]; })
      .Case<arith::DivFOp>([&](auto) { return a[0] / a[1]; })
      .Case<arith::NegFOp>([&](auto) { return -a[0]; })
      .Case<arith::MaximumFOp, arith::MaxNumFOp>([&](auto) { return std::max(a[0], a[1]); })
      .Case<arith::MinimumFOp, arith::MinNumFOp>([&](auto) { return std::min(a[0], a[1]); })
      .Case<arith::CmpFOp>([&](arith::CmpFOp o) { return compare(o.getPredicate(), a[0], a[1]); })
      .Case<arith::CmpIOp>([&](arith::CmpIOp o) { return compare(o.getPredicate(), a[0], a[1]); })
      .Case<arith::SelectOp>([&](auto) { return a[0] ? a[1] : a[2]; })
      .Case<arith::SIToFPOp, arith::UIToFPOp, arith::ExtFOp, arith::ExtUIOp>([&](auto) { return a[0]; })
      .Case<arith::ExtSIOp>([&](auto o) { return getElementTypeOrSelf(o.getIn().getType()).isInteger(1) ? -a[0] : a[0]; })
      .Case<arith::TruncFOp>([&](auto) { return double(float(a[0])); })
      .Case<math::TanhOp>([&](auto) { return std::tanh(a[0]); })
      .Case<math::ExpOp>([&](auto) { return std::exp(a[0]); })
      .Case<math::ExpM1Op>([&](auto) { return std::expm1(a[0]); })
      .Case<math::LogOp>([&](auto) { return std::log(a[0]); })
      .Case<math::Log1pOp>([&](auto) { return std::log1p(a[0]); })
      .Case<math::ErfOp>([&](auto) { return std::erf(a[0]); })
      .Case<math::SqrtOp>([&](auto) { return std::sqrt(a[0]); })
      .Case<math::RsqrtOp>([&](auto) { return 1 / std::sqrt(a[0]); })
      .Case<math::AbsFOp>([&](auto) { return std::fabs(a[0]); })
      .Case<math::PowFOp>([&](auto) { return std::pow(a[0], a[1]); })
      .Case<math::SinOp>([&](auto) { return std::sin(a[0]); })
      .Case<math::CosOp>([&](auto) { return std::cos(a[0]); })
      .Case<math::FloorOp>([&](auto) { return std::floor(a[0]); })
      .Case<math::CeilOp>([&](auto) { return std::ceil(a[0]); })
      .Case<math::CopySignOp>([&](auto) { return std::copysign(a[0], a[1]); })
      .Case<math::FmaOp>([&](auto) { return a[0] * a[1] + a[2]; })
      .Default([](Operation *) { return Number(); });
}

Number constantOf(Value v) {
  APFloat real(0.0);
  if (matchPattern(v, m_ConstantFloat(&real))) {
    bool lost;
    real.convert(APFloat::IEEEdouble(), APFloat::rmNearestTiesToEven, &lost);
    return real.convertToDouble();
  }
  APInt integer;
  if (matchPattern(v, m_ConstantInt(&integer)))
    return integer.getBitWidth() == 1 ? double(integer.getZExtValue()) : double(integer.getSExtValue());
  return std::nullopt;
}

} // namespace

std::optional<double> sq::evaluateBody(linalg::GenericOp op, ArrayRef<double> inputs) {
  llvm::DenseMap<Value, double> values;
  for (auto [arg, number] : llvm::zip(op.getBody()->getArguments(), inputs))
    values[arg] = number;
  auto valueOf = [&](Value v) -> Number {
    if (auto found = values.find(v); found != values.end())
      return found->second;
    return constantOf(v);
  };
  for (Operation &inner : op.getBody()->without_terminator()) {
    if (inner.hasTrait<OpTrait::ConstantLike>())
      continue;
    SmallVector<double> operands;
    for (Value v : inner.getOperands()) {
      Number number = valueOf(v);
      if (!number)
        return std::nullopt;
      operands.push_back(*number);
    }
    Number result = inner.getNumResults() == 1 ? apply(inner, operands) : Number();
    if (!result)
      return std::nullopt;
    values[inner.getResult(0)] = *result;
  }
  Operation *yield = op.getBody()->getTerminator();
  return yield->getNumOperands() == 1 ? valueOf(yield->getOperand(0)) : Number();
}
