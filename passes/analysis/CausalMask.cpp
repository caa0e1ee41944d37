#include "passes/analysis/CausalMask.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/Matchers.h"

#include <cmath>
#include <deque>
#include <map>

using namespace mlir;

namespace {

/// A sum of loop indices and scalars of the function with integer factors.
struct Linear {
  /// Factors of b, h, s, t.
  int64_t loops[4] = {0, 0, 0, 0};
  std::map<void *, int64_t> scalars; // by the SSA value
  int64_t constant = 0;

  static Linear number(int64_t c) {
    Linear result;
    result.constant = c;
    return result;
  }
  Linear plus(const Linear &other, int64_t factor) const {
    Linear sum = *this;
    for (int i = 0; i < 4; ++i)
      sum.loops[i] += factor * other.loops[i];
    for (auto [value, f] : other.scalars)
      if ((sum.scalars[value] += factor * f) == 0)
        sum.scalars.erase(value);
    sum.constant += factor * other.constant;
    return sum;
  }
  static Linear leaf(Value v) {
    Linear result;
    result.scalars[v.getAsOpaquePointer()] = 1;
    return result;
  }
  bool hasLoops() const { return loops[0] || loops[1] || loops[2] || loops[3]; }
  bool isNumber() const { return !hasLoops() && scalars.empty(); }
  bool operator==(const Linear &other) const { return plus(other, -1).isZero(); }
  bool isZero() const { return isNumber() && constant == 0; }
};

/// An index or integer, or a number; neither: unknown.
struct Term {
  std::optional<Linear> linear;
  std::optional<double> number;

  static Term unknown() { return {}; }
  static Term of(double x) {
    Term t;
    t.number = x;
    return t;
  }
  static Term of(Linear x) {
    Term t;
    if (x.isNumber())
      t.number = static_cast<double>(x.constant);
    t.linear = std::move(x);
    return t;
  }
};

/// A scalar of the function, through casts and arithmetic.
Linear linearOf(Value v, int depth = 16) {
  APInt constant;
  if (matchPattern(v, m_ConstantInt(&constant)))
    return Linear::number(constant.getSExtValue());
  Operation *op = v.getDefiningOp();
  if (op && depth > 0) {
    if (isa<arith::IndexCastOp, arith::ExtSIOp>(op))
      return linearOf(op->getOperand(0), depth - 1);
    if (isa<arith::AddIOp>(op))
      return linearOf(op->getOperand(0), depth - 1).plus(linearOf(op->getOperand(1), depth - 1), 1);
    if (isa<arith::SubIOp>(op))
      return linearOf(op->getOperand(0), depth - 1).plus(linearOf(op->getOperand(1), depth - 1), -1);
  }
  return Linear::leaf(v);
}

Linear linearOf(OpFoldResult v) {
  if (auto attr = dyn_cast<Attribute>(v))
    return Linear::number(cast<IntegerAttr>(attr).getInt());
  return linearOf(cast<Value>(v));
}

struct Evaluator {
  Linear past; // T - S
  bool seen;   // the hypothesis: t <= s + past
  Value ones;  // a tensor of ones, or null
  bool isOneQuery; // s is 0

  /// A place that equals no other.
  Linear somewhere() {
    Linear result;
    result.scalars[&unknownPlaces.emplace_back()] = 1;
    return result;
  }
  std::deque<char> unknownPlaces = {};

  /// Whether `x >= 0`.
  std::optional<bool> isNonNegative(Linear x) {
    if (x.isNumber())
      return x.constant >= 0;
    if (isOneQuery)
      x.loops[2] = -x.loops[3]; // times 0, and as below
    if (x.loops[0] || x.loops[1] || std::abs(x.loops[2]) != 1 || x.loops[3] != -x.loops[2])
      return std::nullopt;
    // x = s - t + c: the hypothesis if c is T - S. x = t - s + c: t - s + c >= 0 is
    // the opposite of s - t - c - 1 >= 0.
    bool straight = x.loops[2] == 1;
    Linear causal = straight ? past : Linear::number(-1).plus(past, -1);
    causal.loops[2] = straight ? 1 : -1;
    causal.loops[3] = -causal.loops[2];
    if (!(x == causal))
      return std::nullopt;
    return straight ? seen : !seen;
  }

  Term compare(arith::CmpIPredicate predicate, const Linear &a, const Linear &b) {
    std::optional<bool> result;
    switch (predicate) {
    case arith::CmpIPredicate::sle:
      result = isNonNegative(b.plus(a, -1));
      break;
    case arith::CmpIPredicate::slt:
      result = isNonNegative(b.plus(a, -1).plus(Linear::number(1), -1));
      break;
    case arith::CmpIPredicate::sge:
      result = isNonNegative(a.plus(b, -1));
      break;
    case arith::CmpIPredicate::sgt:
      result = isNonNegative(a.plus(b, -1).plus(Linear::number(1), -1));
      break;
    case arith::CmpIPredicate::eq:
    case arith::CmpIPredicate::ne: {
      Linear difference = a.plus(b, -1);
      if (difference.isNumber())
        result = (difference.constant == 0) == (predicate == arith::CmpIPredicate::eq);
      break;
    }
    default:
      break;
    }
    return result ? Term::of(Linear::number(*result)) : Term::unknown();
  }

  static Term compare(arith::CmpFPredicate predicate, double a, double b) {
    switch (predicate) {
    case arith::CmpFPredicate::OEQ:
      return Term::of(Linear::number(a == b));
    case arith::CmpFPredicate::UNE:
      return Term::of(Linear::number(a != b));
    case arith::CmpFPredicate::OGT:
      return Term::of(Linear::number(a > b));
    case arith::CmpFPredicate::OGE:
      return Term::of(Linear::number(a >= b));
    case arith::CmpFPredicate::OLT:
      return Term::of(Linear::number(a < b));
    case arith::CmpFPredicate::OLE:
      return Term::of(Linear::number(a <= b));
    default:
      return Term::unknown();
    }
  }

  /// One op of a body, from its operands.
  Term apply(Operation *op, ArrayRef<Term> x) {
    if (isa<arith::SelectOp>(op))
      return x[0].number ? (*x[0].number != 0 ? x[1] : x[2]) : Term::unknown();
    if (auto cmp = dyn_cast<arith::CmpIOp>(op))
      return x[0].linear && x[1].linear ? compare(cmp.getPredicate(), *x[0].linear, *x[1].linear)
                                        : Term::unknown();
    if (isa<arith::IndexCastOp, arith::ExtSIOp, arith::ExtUIOp, arith::TruncIOp>(op)) {
      // (Sign extension of a boolean is -1, truncation to one drops bits; index
      // arithmetic does not wrap.)
      bool fromBool = op->getOperand(0).getType().isInteger(1);
      bool toBool = op->getResult(0).getType().isInteger(1);
      return (fromBool && isa<arith::ExtSIOp>(op)) || toBool ? Term::unknown() : x[0];
    }
    if (isa<arith::AddIOp, arith::SubIOp>(op))
      return !op->getResult(0).getType().isInteger(1) && x[0].linear && x[1].linear
                 ? Term::of(x[0].linear->plus(*x[1].linear, isa<arith::AddIOp>(op) ? 1 : -1))
                 : Term::unknown();
    // One operand may decide alone.
    if (isa<arith::AndIOp, arith::OrIOp>(op) && op->getResult(0).getType().isInteger(1)) {
      double decisive = isa<arith::OrIOp>(op);
      for (const Term &t : x)
        if (t.number == decisive)
          return t;
      return x[0].number && x[1].number ? x[0] : Term::unknown();
    }
    if (llvm::any_of(x, [](const Term &t) { return !t.number; }))
      return Term::unknown();
    if (isa<arith::XOrIOp>(op) && op->getResult(0).getType().isInteger(1))
      return Term::of(Linear::number((*x[0].number != 0) != (*x[1].number != 0)));
    if (auto cmp = dyn_cast<arith::CmpFOp>(op))
      return compare(cmp.getPredicate(), *x[0].number, *x[1].number);
    if (isa<arith::AddFOp>(op))
      return Term::of(*x[0].number + *x[1].number);
    if (isa<arith::SubFOp>(op))
      return Term::of(*x[0].number - *x[1].number);
    if (isa<arith::MulFOp>(op))
      return Term::of(*x[0].number * *x[1].number);
    if (isa<arith::NegFOp>(op))
      return Term::of(-*x[0].number);
    if (isa<arith::UIToFPOp>(op) ||
        (isa<arith::SIToFPOp>(op) && !op->getOperand(0).getType().isInteger(1)))
      return Term::of(*x[0].number);
    if (isa<arith::ExtFOp, arith::TruncFOp>(op))
      return x[0];
    return Term::unknown();
  }

  static Term constantOf(Attribute attr) {
    if (auto number = dyn_cast_or_null<FloatAttr>(attr))
      return Term::of(number.getValueAsDouble());
    if (auto number = dyn_cast_or_null<IntegerAttr>(attr))
      return Term::of(Linear::number(number.getType().isInteger(1) ? number.getValue().getZExtValue()
                                                                   : number.getValue().getSExtValue()));
    return Term::unknown();
  }

  /// A scalar in the body of `op` (null: of the function).
  Term scalar(Value v, linalg::GenericOp op, ArrayRef<Linear> loops, int depth) {
    Attribute constant;
    if (matchPattern(v, m_Constant(&constant)))
      return constantOf(constant);
    if (auto arg = dyn_cast<BlockArgument>(v); arg && op && arg.getOwner() == op.getBody()) {
      if (static_cast<int64_t>(arg.getArgNumber()) >= op.getNumDpsInputs())
        return Term::unknown();
      OpOperand *input = op.getDpsInputOperand(arg.getArgNumber());
      return element(input->get(), op.getMatchingIndexingMap(input), loops, depth - 1);
    }
    Operation *def = v.getDefiningOp();
    if (!def || !op || def->getBlock() != op.getBody())
      return v.getType().isIntOrIndex() ? Term::of(linearOf(v)) : Term::unknown();
    if (auto index = dyn_cast<linalg::IndexOp>(def))
      return Term::of(loops[index.getDim()]);
    if (depth <= 0 || def->getNumResults() != 1)
      return Term::unknown();
    if (auto extract = dyn_cast<tensor::ExtractOp>(def)) {
      SmallVector<Linear> at;
      for (Value index : extract.getIndices()) {
        Term place = scalar(index, op, loops, depth - 1);
        // Wherever it is: a place of its own.
        at.push_back(place.linear ? *place.linear : Linear::leaf(index));
      }
      return element(extract.getTensor(), at, depth - 1);
    }
    SmallVector<Term> operands;
    for (Value operand : def->getOperands())
      operands.push_back(scalar(operand, op, loops, depth - 1));
    return apply(def, operands);
  }

  /// `tensor` at `map(loops)`.
  Term element(Value tensor, AffineMap map, ArrayRef<Linear> loops, int depth) {
    SmallVector<Linear> at;
    for (AffineExpr e : map.getResults()) {
      if (auto dim = dyn_cast<AffineDimExpr>(e))
        at.push_back(loops[dim.getPosition()]);
      else if (auto constant = dyn_cast<AffineConstantExpr>(e))
        at.push_back(Linear::number(constant.getValue()));
      else
        return Term::unknown();
    }
    return element(tensor, at, depth);
  }

  Term element(Value tensor, ArrayRef<Linear> at, int depth) {
    if (ones && tensor == ones)
      return Term::of(Linear::number(1));
    Operation *op = tensor.getDefiningOp();
    if (!op || depth <= 0)
      return Term::unknown();
    Attribute constant;
    if (matchPattern(op, m_Constant(&constant)))
      return table(dyn_cast<ElementsAttr>(constant), at);
    if (auto fill = dyn_cast<linalg::FillOp>(op))
      return scalar(fill.getInputs()[0], nullptr, {}, depth - 1);
    if (auto generic = dyn_cast<linalg::GenericOp>(op)) {
      if (generic.getNumReductionLoops() || generic.getNumDpsInits() != 1 ||
          !generic.getIndexingMapsArray().back().isIdentity())
        return Term::unknown();
      return scalar(generic.getBody()->getTerminator()->getOperand(0), generic, at, depth - 1);
    }
    SmallVector<Linear> from;
    if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op)) {
      llvm::SmallBitVector dropped = slice.getDroppedDims();
      unsigned next = 0;
      for (unsigned d = 0; d < slice.getSourceType().getRank(); ++d) {
        Linear offset = linearOf(slice.getMixedOffsets()[d]);
        if (!isConstantIntValue(slice.getMixedStrides()[d], 1))
          return Term::unknown();
        from.push_back(dropped[d] ? offset : offset.plus(at[next++], 1));
      }
      return element(slice.getSource(), from, depth - 1);
    }
    if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op)) {
      // Of a group all dims but one are 1, or the place is not known.
      for (const ReassociationIndices &group : expand.getReassociationIndices()) {
        Linear index = Linear::number(0);
        unsigned longer = 0;
        for (int64_t d : group)
          if (expand.getResultType().getDimSize(d) != 1) {
            index = at[d];
            ++longer;
          }
        from.push_back(longer > 1 ? somewhere() : index);
      }
      return element(expand.getSrc(), from, depth - 1);
    }
    if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op)) {
      from.resize(collapse.getSrcType().getRank());
      for (auto [i, group] : llvm::enumerate(collapse.getReassociationIndices())) {
        unsigned longer = 0;
        for (int64_t d : group)
          if (collapse.getSrcType().getDimSize(d) != 1) {
            from[d] = at[i];
            ++longer;
          }
        for (int64_t d : group)
          if (longer > 1)
            from[d] = somewhere();
      }
      return element(collapse.getSrc(), from, depth - 1);
    }
    if (auto cast = dyn_cast<tensor::CastOp>(op))
      return element(cast.getSource(), at, depth - 1);
    if (auto transpose = dyn_cast<linalg::TransposeOp>(op)) {
      from.resize(at.size());
      for (auto [i, d] : llvm::enumerate(transpose.getPermutation()))
        from[d] = at[i];
      return element(transpose.getInput(), from, depth - 1);
    }
    return Term::unknown();
  }

  /// A constant: all elements equal, or equal on and below the diagonal of the last
  /// two dims and equal above it.
  Term table(ElementsAttr attr, ArrayRef<Linear> at) {
    if (!attr)
      return Term::unknown();
    if (attr.isSplat())
      return constantOf(attr.getSplatValue<Attribute>());
    ArrayRef<int64_t> shape = attr.getShapedType().getShape();
    int64_t rank = shape.size();
    if (rank < 2 || shape[rank - 1] * shape[rank - 2] != attr.getNumElements())
      return Term::unknown();
    int64_t columns = shape[rank - 1];
    std::optional<Attribute> below, above;
    // False when the element at `position` is not that of its side.
    auto add = [&](int64_t position, function_ref<Attribute()> value) {
      std::optional<Attribute> &side = position % columns <= position / columns ? below : above;
      if (!side)
        side = value();
      return *side == value();
    };
    if (auto resource = dyn_cast<DenseResourceElementsAttr>(attr)) {
      // A mask of a real model: a byte per boolean, as ONNX has them.
      AsmResourceBlob *blob = resource.getRawHandle().getBlob();
      if (!blob || !attr.getElementType().isInteger(1) ||
          static_cast<int64_t>(blob->getData().size()) != attr.getNumElements())
        return Term::unknown();
      Builder b(attr.getContext());
      for (auto [i, byte] : llvm::enumerate(blob->getData()))
        if (!add(i, [&, byte = byte] { return b.getBoolAttr(byte != 0); }))
          return Term::unknown();
    } else if (auto dense = dyn_cast<DenseElementsAttr>(attr)) {
      for (auto [i, value] : llvm::enumerate(dense.getValues<Attribute>()))
        if (!add(i, [&, value = value] { return value; }))
          return Term::unknown();
    }
    std::optional<bool> isBelow = isNonNegative(at[rank - 2].plus(at[rank - 1], -1));
    if (!isBelow || !below || !above)
      return Term::unknown();
    return constantOf(*isBelow ? *below : *above);
  }
};

} // namespace

sq::CausalValues sq::evaluateCausal(Value mask, AffineMap map, OpFoldResult queries,
                                    OpFoldResult keys, Value ones) {
  Linear past = linearOf(keys).plus(linearOf(queries), -1);
  // Without a past of at least 0 keys, some query would see none.
  if (past.constant < 0)
    return {};
  for (auto [value, factor] : past.scalars)
    if (factor < 0 || !Value::getFromOpaquePointer(value).getDefiningOp<tensor::DimOp>())
      return {};
  SmallVector<Linear> loops(4);
  for (int i = 0; i < 4; ++i)
    loops[i].loops[i] = 1;
  constexpr int maxDepth = 64;
  CausalValues values;
  Linear count = linearOf(queries);
  bool isOne = count.isNumber() && count.constant == 1;
  values.seen = Evaluator{past, true, ones, isOne}.element(mask, map, loops, maxDepth).number;
  values.hidden = Evaluator{past, false, ones, isOne}.element(mask, map, loops, maxDepth).number;
  return values;
}
