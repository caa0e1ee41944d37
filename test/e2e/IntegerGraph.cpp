#include "test/e2e/IntegerGraph.h"

#include "dialects/sq/IR/IntegerOps.h"
#include "dialects/sq/IR/SqOps.h"
#include "lib/numerics/IntegerNorm.h"
#include "lib/numerics/IntegerSoftmax.h"

#include "llvm/ADT/TypeSwitch.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/AsmState.h"
#include "mlir/IR/DialectResourceBlobManager.h"

#include <numeric>

using namespace mlir;
using namespace sq;
using namespace sq::numerics;
using sq::numerics::Shape;
using Row = std::vector<int64_t>;

namespace {

/// A scalar, or the elements of a tensor row-major: integers with their sign as the type has them
/// (i1: 0 or 1), floats for what the last kernel makes.
struct Data {
  Shape shape;
  Row integers;
  std::vector<double> reals;
  int64_t scalar() const { return integers.at(0); }
};

bool isFloatType(Type type) { return isa<FloatType>(getElementTypeOrSelf(type)); }

int64_t wrapTo(int64_t value, Type type) {
  auto integer = dyn_cast<IntegerType>(type);
  if (!integer || integer.getWidth() >= 64)
    return value;
  if (integer.getWidth() == 1)
    return value & 1;
  int by = 64 - integer.getWidth();
  return static_cast<int64_t>(static_cast<uint64_t>(value) << by) >> by;
}

/// The same bits without a sign.
int64_t bitsOf(int64_t value, Type type) {
  unsigned width = isa<IndexType>(type) ? 64 : type.getIntOrFloatBitWidth();
  return width >= 64 ? value : value & ((INT64_C(1) << width) - 1);
}

struct Interpreter {
  llvm::DenseMap<Value, Data> values;

  [[noreturn]] static void fail(Operation *op, const std::string &what) {
    throw Error(op->getName().getStringRef().str() + ": " + what);
  }

  const Data &at(Value v) {
    auto found = values.find(v);
    if (found == values.end())
      throw Error("a value is read that was not computed");
    return found->second;
  }

  static Type elementOf(Value v) { return getElementTypeOrSelf(v.getType()); }

  //===-- Scalars --------------------------------------------------------------===//

  void scalarOp(Operation *op) {
    auto i = [&](unsigned n) { return at(op->getOperand(n)).scalar(); };
    auto u = [&](unsigned n) { return bitsOf(i(n), op->getOperand(n).getType()); };
    Type type = op->getResult(0).getType();
    if (isFloatType(type)) {
      auto r = [&](unsigned n) { return at(op->getOperand(n)).reals.at(0); };
      double y = isa<arith::SIToFPOp>(op) ? double(i(0)) : isa<arith::MulFOp>(op) ? r(0) * r(1) : NAN;
      if (std::isnan(y))
        fail(op, "arithmetic on floats");
      values[op->getResult(0)] = {{}, {}, {roundToF32(y)}};
      return;
    }
    int64_t y = llvm::TypeSwitch<Operation *, int64_t>(op)
                    .Case<arith::AddIOp>([&](auto) { return i(0) + i(1); })
                    .Case<arith::SubIOp>([&](auto) { return i(0) - i(1); })
                    .Case<arith::MulIOp>([&](auto) { return i(0) * i(1); })
                    .Case<arith::AndIOp>([&](auto) { return i(0) & i(1); })
                    .Case<arith::OrIOp>([&](auto) { return i(0) | i(1); })
                    .Case<arith::XOrIOp>([&](auto) { return i(0) ^ i(1); })
                    .Case<arith::ShRSIOp>([&](auto) { return i(0) >> i(1); })
                    .Case<arith::MaxSIOp>([&](auto) { return std::max(i(0), i(1)); })
                    .Case<arith::MinSIOp>([&](auto) { return std::min(i(0), i(1)); })
                    .Case<arith::SelectOp>([&](auto) { return i(0) ? i(1) : i(2); })
                    .Case<arith::IndexCastOp, arith::TruncIOp>([&](auto) { return i(0); })
                    .Case<arith::ExtSIOp>([&](auto) { return op->getOperand(0).getType().isInteger(1) ? -i(0) : i(0); })
                    .Case<arith::ExtUIOp>([&](auto) { return u(0); })
                    .Case<arith::CmpIOp>([&](arith::CmpIOp cmp) -> int64_t {
                      switch (cmp.getPredicate()) {
                      case arith::CmpIPredicate::eq: return i(0) == i(1);
                      case arith::CmpIPredicate::ne: return i(0) != i(1);
                      case arith::CmpIPredicate::slt: return i(0) < i(1);
                      case arith::CmpIPredicate::sle: return i(0) <= i(1);
                      case arith::CmpIPredicate::sgt: return i(0) > i(1);
                      case arith::CmpIPredicate::sge: return i(0) >= i(1);
                      case arith::CmpIPredicate::ult: return uint64_t(u(0)) < uint64_t(u(1));
                      default: fail(op, "an unknown predicate");
                      }
                    })
                    .Default([&](Operation *) -> int64_t { fail(op, "is not known"); });
    values[op->getResult(0)] = {{}, {wrapTo(y, type)}, {}};
  }

  //===-- Constants ------------------------------------------------------------===//

  template <typename T> static Row widen(ArrayRef<char> raw) {
    Row result(raw.size() / sizeof(T));
    for (size_t i = 0; i < result.size(); ++i) {
      T value;
      std::memcpy(&value, raw.data() + i * sizeof(T), sizeof(T));
      result[i] = value;
    }
    return result;
  }

  Data constant(arith::ConstantOp op) {
    Attribute value = op.getValue();
    if (auto number = dyn_cast<IntegerAttr>(value))
      return {{}, {wrapTo(number.getValue().getSExtValue(), number.getType())}, {}};
    if (auto number = dyn_cast<FloatAttr>(value))
      return {{}, {}, {number.getValueAsDouble()}};
    auto type = cast<RankedTensorType>(op.getType());
    Data data{Shape(type.getShape()), {}, {}};
    if (isFloatType(type))
      return data; // of the float model, not read any more
    if (auto dense = dyn_cast<DenseIntElementsAttr>(value)) {
      for (const APInt &element : dense.getValues<APInt>())
        data.integers.push_back(wrapTo(element.getSExtValue(), type.getElementType()));
      return data;
    }
    ArrayRef<char> raw = cast<DenseResourceElementsAttr>(value).getRawHandle().getBlob()->getData();
    unsigned width = type.getElementTypeBitWidth();
    data.integers = width == 8 ? widen<int8_t>(raw) : width == 16 ? widen<int16_t>(raw) : width == 32 ? widen<int32_t>(raw) : widen<int64_t>(raw);
    return data;
  }

  //===-- Shapes, loops ----------------------------------------------------------===//

  int64_t sizeOf(OpFoldResult size) {
    if (auto value = dyn_cast<Value>(size))
      return at(value).scalar();
    return cast<IntegerAttr>(cast<Attribute>(size)).getInt();
  }

  static int64_t flatten(const Shape &shape, ArrayRef<int64_t> place) {
    int64_t flat = 0;
    for (auto [extent, i] : llvm::zip_equal(shape, place))
      flat = flat * extent + i;
    return flat;
  }

  void generic(linalg::GenericOp op) {
    Block *body = op.getBody();
    SmallVector<AffineMap> maps = op.getIndexingMapsArray();
    const Shape sizes = at(op.getDpsInits()[0]).shape; // identity: all loops are of the result
    Type element = elementOf(op->getResult(0));
    Data result{sizes, {}, {}};
    for (int64_t flat = 0, count = numElements(sizes); flat < count; ++flat) {
      SmallVector<int64_t> point(sizes.size());
      for (int64_t d = sizes.size(), rest = flat; d-- > 0; rest /= sizes[d])
        point[d] = rest % sizes[d];
      for (auto [i, in] : llvm::enumerate(op.getDpsInputs())) {
        const Data &from = at(in);
        int64_t place = flatten(from.shape, maps[i].compose(point));
        values[body->getArgument(i)] = from.reals.empty() ? Data{{}, {from.integers.at(place)}, {}} : Data{{}, {}, {from.reals.at(place)}};
      }
      for (Operation &inner : body->without_terminator()) {
        if (auto index = dyn_cast<linalg::IndexOp>(inner))
          values[index] = {{}, {point[index.getDim()]}, {}};
        else
          run(&inner);
      }
      const Data &y = at(body->getTerminator()->getOperand(0));
      if (isFloatType(element))
        result.reals.push_back(y.reals.at(0));
      else
        result.integers.push_back(y.scalar());
    }
    values[op->getResult(0)] = result;
  }

  //===-- Ops of integers --------------------------------------------------------===//

  Row read(Value v, bool isUnsigned) {
    Row row = at(v).integers;
    for (int64_t &x : row)
      x = isUnsigned ? bitsOf(x, elementOf(v)) : x;
    return row;
  }

  /// As the storage of the result has them.
  void put(Operation *op, Shape shape, Row row) {
    for (int64_t &x : row)
      x = wrapTo(x, elementOf(op->getResult(0)));
    values[op->getResult(0)] = {std::move(shape), std::move(row), {}};
  }

  template <typename T> static int64_t of(ArrayRef<T> list, int64_t i) { return list[list.size() == 1 ? 0 : i % list.size()]; }

  void linear(LinearOp op) {
    const Data &w = at(op.getWeight());
    auto type = cast<quant::UniformQuantizedType>(elementOf(op.getX()));
    Row x = at(op.getX()).integers;
    Shape shape = at(op.getX()).shape;
    int64_t k = shape.back(), n = w.shape[1];
    if (op.getTransposeWeight() || type.isSigned())
      fail(op, "has another form than that of the pass");
    shape.back() = n;
    Row y;
    for (size_t row = 0; row < x.size() / k; ++row)
      for (int64_t c = 0; c < n; ++c) {
        int64_t sum = at(op.getBias()).integers[c];
        for (int64_t r = 0; r < k; ++r)
          sum += ((x[row * k + r] & 255) - type.getZeroPoint()) * w.integers[r * n + c];
        if (sum != int32_t(sum))
          fail(op, "a sum leaves 32 bits");
        y.push_back(sum);
      }
    put(op, shape, y);
  }

  void requantize(RequantizeOp op) {
    Row x = read(op.getX(), op.getXUnsigned());
    IntegerRange range = rangeOf(op.getOuts(), op.getBits(), op.getIsUnsigned()), wide{INT64_MIN / 2, INT64_MAX / 2};
    for (size_t i = 0; i < x.size(); ++i) {
      Dyadic d{of(op.getMultipliers(), i), int(of(op.getExponents(), i))};
      x[i] = range.clamp(d.apply(x[i] - int64_t(op.getXZeroPoint()), wide, *roundingOf(op.getRounding())) + int64_t(op.getZeroPoint()));
    }
    put(op, at(op.getX()).shape, x);
  }

  void add(RequantizedAddOp op) {
    Shape shape = at(op.getOuts()).shape;
    Row a = read(op.getA(), op.getAUnsigned()), b = read(op.getB(), op.getBUnsigned()), y(numElements(shape));
    IntegerRange range = rangeOf(op.getOuts(), op.getBits(), op.getIsUnsigned()), wide{INT64_MIN / 2, INT64_MAX / 2};
    if (y.size() % std::max<size_t>(a.size(), 1) || y.size() % std::max<size_t>(b.size(), 1))
      fail(op, "operands that are not rows of the result");
    for (size_t i = 0; i < y.size(); ++i) {
      DyadicSum sum{of(op.getAMultipliers(), i), of(op.getBMultipliers(), i), int(of(op.getExponents(), i))};
      int64_t qa = a[i % a.size()] - int64_t(op.getAZeroPoint()), qb = b[i % b.size()] - int64_t(op.getBZeroPoint());
      y[i] = range.clamp(sum.apply(qa, qb, wide, *roundingOf(op.getRounding())) + int64_t(op.getZeroPoint()));
    }
    put(op, shape, y);
  }

  template <typename OpTy> void norm(OpTy op, bool centred, int64_t shift) {
    Row x = read(op.getX(), op.getXUnsigned()), y;
    int64_t channels = at(op.getX()).shape.back();
    IntegerNorm n{channels, centred, int(shift), int64_t(op.getEpsilon())};
    IntegerAffine a;
    a.e = op.getExponent();
    for (int64_t c = 0; c < channels; ++c) {
      a.m.push_back(of(op.getMultipliers(), c));
      a.b.push_back(of(op.getAddends(), c));
    }
    for (auto row = x.begin(); row != x.end(); row += channels) {
      Row normalized = a.apply(n.normalize(Row(row, row + channels)), rangeOf(op.getOuts(), op.getBits(), op.getIsUnsigned()), *roundingOf(op.getRounding()));
      y.insert(y.end(), normalized.begin(), normalized.end());
    }
    put(op, at(op.getX()).shape, y);
  }

  void attention(IntAttentionOp op) {
    OctaveExp exp = octaveExpOf(op);
    Row q = read(op.getQ(), false), k = read(op.getK(), op.getKUnsigned()), v = read(op.getV(), false);
    Shape shape = at(op.getQ()).shape, other = at(op.getK()).shape;
    int64_t queries = shape[1], heads = shape[2], size = shape[3], keys = other[1], shared = other[2];
    Dyadic out{int32_t(op.getMultiplier()), int(op.getExponent())};
    IntegerRange range = rangeOf(op.getOuts(), std::nullopt, op.getIsUnsigned());
    Row y(q.size());
    for (int64_t n = 0; n < shape[0]; ++n)
      for (int64_t h = 0; h < heads; ++h)
        for (int64_t s = 0; s < queries; ++s) {
          int64_t g = h / (heads / shared);
          auto key = [&](int64_t t) { return ((n * keys + t) * shared + g) * size; };
          int64_t query = ((n * queries + s) * heads + h) * size;
          Row scores(keys);
          std::vector<bool> keep(keys, true);
          for (int64_t t = 0; t < keys; ++t) {
            scores[t] = std::inner_product(q.begin() + query, q.begin() + query + size, k.begin() + key(t), int64_t(0));
            if (op.getCausal() && t > s + keys - queries)
              keep[t] = false;
            if (op.getKeep()) {
              const Data &mask = at(op.getKeep());
              int64_t place[] = {n, h, s, t};
              for (int d = 0; d < 4; ++d)
                place[d] = mask.shape[d] == 1 ? 0 : place[d];
              keep[t] = keep[t] && mask.integers[flatten(mask.shape, place)];
            }
          }
          Row p = octaveExpRow(exp, scores, keep, op.getFullyMaskedUniform() ? FullyMasked::Uniform : FullyMasked::Zeros);
          ContextFactor factor = ContextFactor::of(out, std::accumulate(p.begin(), p.end(), int64_t(0)));
          for (int64_t d = 0; d < size; ++d) {
            int64_t acc = 0;
            for (int64_t t = 0; t < keys; ++t)
              acc += p[t] * v[key(t) + d];
            y[query + d] = range.clamp(factor.apply(acc) + int64_t(op.getZeroPoint()));
          }
        }
    put(op, shape, y);
  }

  template <typename OpTy> void map(OpTy op, const std::function<int64_t(int64_t)> &f) {
    Row x = at(op.getX()).integers;
    for (int64_t &value : x)
      value = f(value);
    put(op, at(op.getX()).shape, x);
  }

  void gelu(IntGeluOp op) {
    IntegerGelu g;
    g.b = op.getLimits()[0], g.c = op.getOnes()[0], g.shift = op.getShifts()[0], g.hi = op.getHighs()[0];
    g.one = shiftRounded(g.c, g.shift, Rounding::HalfUp);
    g.out = {op.getMultipliers()[0], op.getExponents()[0]};
    map(op, [&](int64_t q) { return g.apply(q, rangeOf(op.getOuts(), op.getBits(), op.getIsUnsigned()), *roundingOf(op.getRounding())); });
  }

  template <typename OpTy> void sigmoid(OpTy op, IntegerSigmoid::Kind kind) {
    IntegerSigmoid s;
    s.kind = kind;
    s.exp = exponentialOf(op);
    s.lo = s.hi = 0;
    s.out = {int32_t(op.getMultiplier()), int(op.getExponent())};
    map(op, [&](int64_t q) { return s.apply(q, rangeOf(op.getOuts(), op.getBits(), op.getIsUnsigned()), *roundingOf(op.getRounding())); });
  }

  void run(Operation *op) {
    llvm::TypeSwitch<Operation *>(op)
        .Case<arith::ConstantOp>([&](auto o) { values[o] = constant(o); })
        .Case<cf::AssertOp>([&](cf::AssertOp o) {
          if (!at(o.getArg()).scalar())
            throw Error(o.getMsg().str());
        })
        .Case<tensor::DimOp>([&](tensor::DimOp o) { values[o] = {{}, {at(o.getSource()).shape.at(at(o.getIndex()).scalar())}, {}}; })
        .Case<tensor::EmptyOp>([&](tensor::EmptyOp o) {
          Data data;
          for (OpFoldResult size : o.getMixedSizes())
            data.shape.push_back(sizeOf(size));
          values[o] = data;
        })
        .Case<tensor::ExtractOp>([&](tensor::ExtractOp o) {
          SmallVector<int64_t> place;
          for (Value i : o.getIndices())
            place.push_back(at(i).scalar());
          const Data &from = at(o.getTensor());
          int64_t element = from.integers.at(flatten(from.shape, place));
          values[o] = {{}, {element}, {}};
        })
        .Case<tensor::ExtractSliceOp>([&](tensor::ExtractSliceOp o) {
          // Of the first elements of each dim.
          const Data from = at(o.getSource());
          Data to;
          for (auto [offset, size, stride] : llvm::zip(o.getMixedOffsets(), o.getMixedSizes(), o.getMixedStrides())) {
            if (sizeOf(offset) != 0 || sizeOf(stride) != 1)
              fail(o, "an offset or a stride");
            to.shape.push_back(sizeOf(size));
          }
          for (int64_t flat = 0, count = numElements(to.shape); flat < count; ++flat) {
            SmallVector<int64_t> point(to.shape.size());
            for (int64_t d = to.shape.size(), rest = flat; d-- > 0; rest /= to.shape[d])
              point[d] = rest % to.shape[d];
            to.integers.push_back(from.integers.at(flatten(from.shape, point)));
          }
          values[o] = to;
        })
        .Case<tensor::ExpandShapeOp>([&](tensor::ExpandShapeOp o) {
          Data data = at(o.getSrc());
          data.shape.clear();
          for (OpFoldResult size : o.getMixedOutputShape())
            data.shape.push_back(sizeOf(size));
          values[o] = data;
        })
        .Case<tensor::CollapseShapeOp>([&](tensor::CollapseShapeOp o) {
          Data data = at(o.getSrc());
          Shape shape;
          for (const ReassociationIndices &group : o.getReassociationIndices()) {
            shape.push_back(1);
            for (int64_t d : group)
              shape.back() *= data.shape[d];
          }
          data.shape = shape;
          values[o] = data;
        })
        .Case<quant::StorageCastOp>([&](quant::StorageCastOp o) {
          Data data = at(o.getInput());
          values[o] = data;
        })
        .Case<linalg::GenericOp>([&](auto o) { generic(o); })
        .Case<LinearOp>([&](auto o) { linear(o); })
        .Case<RequantizeOp>([&](auto o) { requantize(o); })
        .Case<RequantizedAddOp>([&](auto o) { add(o); })
        .Case<IntLayerNormOp>([&](auto o) { norm(o, true, o.getShift()); })
        .Case<IntRmsNormOp>([&](auto o) { norm(o, false, 0); })
        .Case<IntAttentionOp>([&](auto o) { attention(o); })
        .Case<IntGeluOp>([&](auto o) { gelu(o); })
        .Case<IntTanhOp>([&](auto o) { sigmoid(o, IntegerSigmoid::Kind::Tanh); })
        .Case<IntSigmoidOp>([&](auto o) { sigmoid(o, IntegerSigmoid::Kind::Sigmoid); })
        .Case<IntPiecewiseOp>([&](IntPiecewiseOp o) {
          IntegerPiecewise f = o.function();
          map(o, [&](int64_t q) { return f.apply(q, rangeOf(o.getOuts(), o.getBits(), o.getIsUnsigned())); });
        })
        .Case<LookupOp>([&](LookupOp o) {
          auto table = o.getTable().getValues<int32_t>();
          map(o, [&](int64_t q) { return table[q & 255]; });
        })
        .Default([&](Operation *o) { scalarOp(o); });
  }
};

} // namespace

std::vector<Tensor> sq::test::runIntegerGraph(ModuleOp module, const std::vector<Tensor> &inputs) {
  auto main = module.lookupSymbol<func::FuncOp>("main");
  Interpreter interpreter;
  for (auto [argument, input] : llvm::zip_equal(main.getArguments(), inputs))
    interpreter.values[argument] = {input.shape, input.integers, {}};
  Block &body = main.getBody().front();
  for (Operation &op : body.without_terminator())
    interpreter.run(&op);
  std::vector<Tensor> results;
  for (Value v : body.getTerminator()->getOperands()) {
    const Data &data = interpreter.at(v);
    results.push_back(isFloatType(v.getType()) ? Tensor::ofReals(DType::F32, data.shape, data.reals)
                                               : Tensor::ofIntegers(DType::I64, data.shape, data.integers));
  }
  return results;
}
