//===-- LinalgVjp.cpp - vector-Jacobian products of loops
//----------------------===//
//
// The gradient by an operand runs over the same loops: at each point the
// derivative of the body times the cotangents, added up over the loops that
// the operand's map lacks. Broadcasts become sums, and sums broadcasts.
//
//===--------------------------------------------------------------------------===//

#include "passes/differentiate/LinalgVjp.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Utils/IndexingUtils.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/SmallBitVector.h"

#include "passes/differentiate/Reductions.h"
#include "passes/differentiate/ScalarDerivatives.h"
#include "passes/differentiate/Tensors.h"

using namespace mlir;
using namespace sq;

namespace {

/// Loops over what `op` reads (and, where nothing is reduced, over what `outs`
/// held), the cotangents, and what their reductions ask for.
struct Points {
  mutable linalg::LinalgOp op;
  ArrayRef<Reduced> results;
  SmallVector<OpOperand *> read;
  SmallVector<Value> tensors; // `read`, then for each result its cotangent and
                              // what its reduction reads
  SmallVector<AffineMap> maps;
  SmallVector<int> cotangentOf; // by result: which of `tensors`, or -1

  Points(linalg::LinalgOp op, ArrayRef<Reduced> results, ValueRange cotangents)
      : op(op), results(results) {
    for (OpOperand &operand : op->getOpOperands()) {
      if (op.isDpsInit(&operand) && op.getNumReductionLoops())
        continue; // an accumulator: unknown at the point
      read.push_back(&operand);
      tensors.push_back(operand.get());
      maps.push_back(op.getMatchingIndexingMap(&operand));
    }
    for (auto [i, cotangent] : llvm::enumerate(cotangents)) {
      cotangentOf.push_back(cotangent ? int(tensors.size()) : -1);
      if (!cotangent)
        continue;
      tensors.push_back(cotangent);
      maps.push_back(op.getMatchingIndexingMap(op.getDpsInitOperand(i)));
      for (const Input &input : results[i].inputs()) {
        tensors.push_back(input.tensor);
        maps.push_back(input.map);
      }
    }
  }

  /// The derivative of the body by `wanted` at a point, of the arguments of a
  /// new body; null: zero.
  FailureOr<Value> derivative(ImplicitLocOpBuilder &b, ValueRange args,
                              Value wanted, std::string &why) const {
    IRMapping copies;
    for (auto [operand, arg] : llvm::zip(read, args))
      copies.map(op.getMatchingBlockArgument(operand), arg);
    copyBody(b, *op.getBlock(), copies);
    SmallVector<Value> values, adjoints;
    for (auto [result, i] : llvm::zip(results, cotangentOf)) {
      if (i < 0)
        continue;
      values.push_back(result.value());
      adjoints.push_back(result.adjoint(
          b, args[i], copies, args.slice(i + 1, result.inputs().size())));
    }
    return differentiateBody(b, *op.getBlock(), copies, values, adjoints,
                             wanted, why);
  }
};

struct OperandVjp {
  ImplicitLocOpBuilder &b;
  linalg::LinalgOp op;
  ArrayRef<Reduced> results;
  ValueRange cotangents;
  Gradients &gradients;

  LogicalResult refuse(const Twine &why) {
    return op->emitOpError("cannot be differentiated: ") << why;
  }

  /// `map` without the dims of which one place is read; fails for what is no
  /// selection of loops.
  FailureOr<AffineMap> loopsOf(AffineMap map) {
    SmallVector<AffineExpr> kept;
    for (AffineExpr expr : map.getResults()) {
      if (isa<AffineConstantExpr>(expr))
        continue;
      if (!isa<AffineDimExpr>(expr) || llvm::is_contained(kept, expr))
        return failure();
      kept.push_back(expr);
    }
    return AffineMap::get(map.getNumDims(), 0, kept, b.getContext());
  }

  LogicalResult build(OpOperand &operand) {
    BlockArgument arg = op.getMatchingBlockArgument(&operand);
    if (arg.use_empty())
      return success();
    auto type = dyn_cast<RankedTensorType>(operand.get().getType());
    if (!type)
      return refuse("a scalar operand depends on what it is differentiated by");
    if (op.isDpsInit(&operand) && op.getNumReductionLoops())
      return buildAccumulator(operand);
    AffineMap map = op.getMatchingIndexingMap(&operand);
    FailureOr<AffineMap> loops = loopsOf(map);
    if (failed(loops)) {
      std::string text;
      llvm::raw_string_ostream(text) << map;
      return refuse("operand " + Twine(operand.getOperandNumber()) +
                    " is read through " + text);
    }
    Tensors t{b};
    Points points(op, results, cotangents);
    SmallVector<OpFoldResult> all = t.sizes(operand.get()), kept;
    for (auto [d, expr] : llvm::enumerate(map.getResults()))
      if (isa<AffineDimExpr>(expr))
        kept.push_back(all[d]);
    SmallVector<utils::IteratorType> iterators;
    bool isSum = false;
    for (unsigned d = 0; d < map.getNumDims(); ++d) {
      isSum |= !loops->isFunctionOfDim(d);
      iterators.push_back(loops->isFunctionOfDim(d)
                              ? utils::IteratorType::parallel
                              : utils::IteratorType::reduction);
    }
    Type element = type.getElementType();
    Value out = isSum ? t.filled(0, kept, element) : t.empty(kept, element);
    SmallVector<AffineMap> maps = points.maps;
    maps.push_back(*loops);
    FailureOr<Value> slope = failure();
    std::string why;
    auto generic = linalg::GenericOp::create(
        b, TypeRange(out.getType()), points.tensors, ValueRange(out), maps,
        iterators, [&](OpBuilder &o, Location l, ValueRange args) {
          ImplicitLocOpBuilder ib(l, o);
          slope = points.derivative(ib, args, arg, why);
          ScalarMath s{ib, element};
          Value v = succeeded(slope) && *slope ? *slope : s.number(0);
          linalg::YieldOp::create(ib, isSum ? s.add(args.back(), v) : v);
        });
    if (failed(slope)) {
      generic.erase();
      return refuse(why);
    }
    if (!*slope) {
      generic.erase();
      return success();
    }
    // The cotangent as it is, of a sum or a copy.
    if (auto same = dyn_cast<BlockArgument>(*slope);
        same && !isSum && same.getOwner() == generic.getBody() &&
        generic.getIndexingMapsArray()[same.getArgNumber()] == map) {
      Value g = points.tensors[same.getArgNumber()];
      generic.erase();
      gradients.add(operand.get(), t.castTo(g, type));
      return success();
    }
    gradients.add(operand.get(),
                  t.castTo(inPlace(t, generic.getResult(0), map, all), type));
    return success();
  }

  /// The dims of which `map` reads one place, put back: what is read nowhere
  /// has no gradient.
  Value inPlace(Tensors &t, Value v, AffineMap map,
                ArrayRef<OpFoldResult> sizes) {
    int64_t kept = Tensors::rankOf(v), seen = 0;
    if (kept == int64_t(sizes.size()))
      return v;
    SmallVector<ReassociationIndices> groups(kept);
    SmallVector<OpFoldResult> offsets, part(sizes);
    bool isWhole = true;
    for (auto [d, expr] : llvm::enumerate(map.getResults())) {
      seen += isa<AffineDimExpr>(expr);
      if (kept)
        groups[std::max<int64_t>(seen - 1, 0)].push_back(d);
      auto place = dyn_cast<AffineConstantExpr>(expr);
      offsets.push_back(b.getIndexAttr(place ? place.getValue() : 0));
      if (!place)
        continue;
      part[d] = b.getIndexAttr(1);
      isWhole &= isConstantIntValue(sizes[d], 1);
    }
    v = t.expand(v, groups, part);
    if (isWhole)
      return v;
    SmallVector<OpFoldResult> strides(sizes.size(), b.getIndexAttr(1));
    Value zeros = t.filled(0, sizes, Tensors::typeOf(v).getElementType());
    return tensor::InsertSliceOp::create(b, v, zeros, offsets, part, strides);
  }

  /// What a reduction starts from.
  LogicalResult buildAccumulator(OpOperand &operand) {
    unsigned i = operand.getOperandNumber() - op.getNumDpsInputs();
    if (!cotangents[i])
      return success();
    Value g = results[i].ofStart(b, cotangents[i]);
    if (!g)
      return refuse("what a product starts from depends on what it is "
                    "differentiated by");
    gradients.add(operand.get(), g);
    return success();
  }
};

LogicalResult buildGather(OperandVjp &vjp, tensor::ExtractOp read);

struct LinalgVjp {
  static LogicalResult build(linalg::LinalgOp op, ImplicitLocOpBuilder &b,
                             ValueRange cotangents, Gradients &gradients) {
    if (auto transpose = dyn_cast<linalg::TransposeOp>(op.getOperation())) {
      Tensors t{b};
      gradients.add(
          transpose.getInput(),
          t.castTo(t.transpose(cotangents[0], invertPermutationVector(
                                                  transpose.getPermutation())),
                   transpose.getInput().getType()));
      return success();
    }
    SmallVector<Reduced> results;
    OperandVjp vjp{b, op, {}, cotangents, gradients};
    for (unsigned i = 0; i < cotangents.size(); ++i) {
      results.push_back(Reduced::plain(op, i));
      if (!cotangents[i] || !op.getNumReductionLoops())
        continue;
      std::string why;
      FailureOr<Reduced> reduced = Reduced::of(op, i, why);
      if (failed(reduced))
        return vjp.refuse(why);
      reduced->prepare(b);
      results.back() = std::move(*reduced);
    }
    vjp.results = results;
    for (OpOperand &operand : op->getOpOperands())
      if (gradients.needs(operand.get()) && failed(vjp.build(operand)))
        return failure();
    // What the body reads beside the operands.
    for (Operation &inner : *op.getBlock())
      for (OpOperand &operand : inner.getOpOperands()) {
        Value v = operand.get();
        if (v.getParentBlock() == op.getBlock() || !gradients.needs(v))
          continue;
        auto read = dyn_cast<tensor::ExtractOp>(inner);
        if (!read || operand.getOperandNumber() != 0)
          return vjp.refuse("a scalar that its body reads depends on what it "
                            "is differentiated by");
        if (failed(buildGather(vjp, read)))
          return failure();
      }
    return success();
  }
};

template <typename Op>
struct Model : DifferentiableOpInterface::ExternalModel<Model<Op>, Op> {
  LogicalResult buildVjp(Operation *op, ImplicitLocOpBuilder &b,
                         ValueRange cotangents, Gradients &gradients) const {
    return LinalgVjp::build(cast<linalg::LinalgOp>(op), b, cotangents,
                            gradients);
  }
};

template <typename... Ops> void attach(MLIRContext &context) {
  (Ops::template attachInterface<Model<Ops>>(context), ...);
}

/// The loops of `op` that the indices of `read` depend on, but for the last
/// `whole` ones.
llvm::SmallBitVector indexLoops(linalg::LinalgOp op, tensor::ExtractOp read,
                                unsigned whole) {
  llvm::SmallBitVector loops(op.getNumLoops());
  SmallVector<Value> pending(read.getIndices().drop_back(whole));
  llvm::DenseSet<Value> seen;
  while (!pending.empty()) {
    Value v = pending.pop_back_val();
    if (v.getParentBlock() != op.getBlock() || !seen.insert(v).second)
      continue;
    if (auto arg = dyn_cast<BlockArgument>(v)) {
      AffineMap map =
          op.getMatchingIndexingMap(&op->getOpOperand(arg.getArgNumber()));
      for (unsigned d = 0; d < loops.size(); ++d)
        if (map.isFunctionOfDim(d))
          loops.set(d);
    } else if (auto index = v.getDefiningOp<linalg::IndexOp>()) {
      loops.set(index.getDim());
    } else {
      llvm::append_range(pending, v.getDefiningOp()->getOperands());
    }
  }
  return loops;
}

/// Rows of a tensor that are read whole: the last `t` indices are the last `t`
/// loops, over all of dims of static size, and which row it is is the same for
/// all of its elements.
unsigned wholeDims(linalg::LinalgOp op, tensor::ExtractOp read) {
  auto from = cast<RankedTensorType>(read.getTensor().getType());
  SmallVector<int64_t> ranges = op.getStaticLoopRanges();
  unsigned whole = 0, most = std::min<size_t>(from.getRank(), ranges.size());
  for (; whole < most; ++whole) {
    unsigned d = from.getRank() - 1 - whole, loop = ranges.size() - 1 - whole;
    auto index = read.getIndices()[d].getDefiningOp<linalg::IndexOp>();
    if (!index || index.getDim() != loop || from.isDynamicDim(d) ||
        from.getDimSize(d) != ranges[loop])
      break;
  }
  int last = indexLoops(op, read, whole).find_last();
  return last >= int(ranges.size() - whole) ? 0 : whole;
}

/// [lead dims.., rest..] of `all` dims as [1, lead, rest].
Value threeDims(Tensors &t, Value v, int64_t lead, int64_t all) {
  OpFoldResult one = t.b.getIndexAttr(1);
  if (all == 0)
    return t.expand(v, {}, {one, one, one});
  SmallVector<ReassociationIndices> groups;
  if (lead)
    groups.push_back(dimRange(0, lead));
  if (all > lead)
    groups.push_back(dimRange(lead, all));
  Value flat = t.collapse(v, groups);
  SmallVector<OpFoldResult> sizes = t.sizes(flat),
                            to = {one, lead ? sizes[0] : one,
                                  all > lead ? sizes.back() : one};
  SmallVector<ReassociationIndices> back;
  if (groups.size() == 1)
    back = {{0, 1, 2}};
  else
    back = {{0, 1}, {2}};
  return t.expand(flat, back, to);
}

/// The product by the tensor that `read`, in the body of the op, gathers
/// elements of: the cotangents of what is read, summed over the loops that the
/// place does not depend on (of a convolution: output channels), are added at
/// their places.
LogicalResult buildGather(OperandVjp &vjp, tensor::ExtractOp read) {
  ImplicitLocOpBuilder &b = vjp.b;
  linalg::LinalgOp op = vjp.op;
  Gradients &gradients = vjp.gradients;
  Tensors t{b};
  Value source = read.getTensor();
  auto type = Tensors::typeOf(source);
  Type element = type.getElementType();
  unsigned loops = op.getNumLoops(), whole = wholeDims(op, read);
  llvm::SmallBitVector places = indexLoops(op, read, whole);
  SmallVector<OpFoldResult> sizes, ranges;
  for (const Range &range : op.createLoopRanges(b, b.getLoc()))
    ranges.push_back(range.size);
  // Of the loops that stay, those of the place first; `to` is where each of all
  // loops went.
  SmallVector<AffineExpr> kept, to;
  SmallVector<utils::IteratorType> iterators;
  unsigned lead = 0;
  for (unsigned d = 0; d < loops; ++d) {
    bool isWhole = d >= loops - whole, stays = isWhole || places[d];
    iterators.push_back(stays ? utils::IteratorType::parallel
                              : utils::IteratorType::reduction);
    bool isPlace = stays && !isWhole;
    to.push_back(isPlace ? b.getAffineDimExpr(lead)
                         : b.getAffineConstantExpr(0));
    lead += isPlace;
    if (!stays)
      continue;
    kept.push_back(b.getAffineDimExpr(d));
    sizes.push_back(ranges[d]);
  }
  bool isSum = kept.size() < loops;

  Points points(op, vjp.results, vjp.cotangents);
  SmallVector<AffineMap> maps = points.maps;
  maps.push_back(AffineMap::get(loops, 0, kept, b.getContext()));
  FailureOr<Value> slope = failure();
  std::string why;
  Value out = isSum ? t.filled(0, sizes, element) : t.empty(sizes, element);
  auto updates = linalg::GenericOp::create(
      b, TypeRange(out.getType()), points.tensors, ValueRange(out), maps,
      iterators, [&](OpBuilder &o, Location l, ValueRange args) {
        ImplicitLocOpBuilder ib(l, o);
        slope = points.derivative(ib, args, read.getResult(), why);
        ScalarMath s{ib, element};
        Value v = succeeded(slope) && *slope ? *slope : s.number(0);
        linalg::YieldOp::create(ib, isSum ? s.add(args.back(), v) : v);
      });
  if (failed(slope)) {
    updates.erase();
    return vjp.refuse(why);
  }

  // Which row each is of: what the indices are made of, at the points of the
  // places.
  SmallVector<Value> tensors;
  SmallVector<AffineMap> rowMaps;
  SmallVector<OpOperand *> indexed;
  for (auto [operand, tensor, map] :
       llvm::zip(points.read, points.tensors, points.maps)) {
    // Nothing of the loops that are summed over.
    bool isOfPlace = true;
    for (unsigned d = 0; d < loops; ++d)
      isOfPlace &= places[d] || !map.isFunctionOfDim(d);
    if (!isOfPlace)
      continue;
    indexed.push_back(operand);
    tensors.push_back(tensor);
    rowMaps.push_back(map.replaceDimsAndSymbols(to, {}, lead, 0));
  }
  rowMaps.push_back(b.getMultiDimIdentityMap(lead));
  Value rowOut = t.empty(ArrayRef(sizes).take_front(lead), b.getI64Type());
  SmallVector<Value> extents;
  for (unsigned d = 0; d < type.getRank() - whole; ++d)
    extents.push_back(tensor::DimOp::create(b, source, d));
  SmallVector<utils::IteratorType> parallel(lead,
                                            utils::IteratorType::parallel);
  Value rows =
      linalg::GenericOp::create(
          b, TypeRange(rowOut.getType()), tensors, ValueRange(rowOut), rowMaps,
          parallel,
          [&](OpBuilder &o, Location l, ValueRange args) {
            ImplicitLocOpBuilder ib(l, o);
            IRMapping copies;
            for (auto [operand, arg] : llvm::zip(indexed, args))
              copies.map(op.getMatchingBlockArgument(operand), arg);
            for (auto index : op.getBlock()->getOps<linalg::IndexOp>()) {
              auto dim = dyn_cast<AffineDimExpr>(to[index.getDim()]);
              Value at =
                  dim ? Value(linalg::IndexOp::create(ib, dim.getPosition()))
                      : Value(arith::ConstantIndexOp::create(ib, 0));
              copies.map(index.getResult(), at);
            }
            copyBody(ib, *op.getBlock(), copies);
            Value row = arith::ConstantIndexOp::create(ib, 0);
            for (auto [extent, index] : llvm::zip(extents, read.getIndices()))
              row = arith::AddIOp::create(
                  ib, arith::MulIOp::create(ib, row, extent),
                  copies.lookupOrDefault(index));
            linalg::YieldOp::create(
                ib, arith::IndexCastOp::create(ib, ib.getI64Type(), row)
                        .getResult());
          })
          .getResult(0);

  // [1, rows, q] added to [1, n, q].
  int64_t rank = type.getRank();
  Value zeros = threeDims(t, t.zerosLike(source), rank - whole, rank);
  Value flatUpdates = threeDims(t, updates.getResult(0), lead, kept.size());
  Value flatRows = threeDims(t, rows, lead, lead);
  SmallVector<ReassociationIndices> two = {{0}, {1, 2}};
  flatRows = t.collapse(flatRows, two);
  Value sums = ScatterOp::create(b, TypeRange(zeros.getType()), flatRows,
                                 flatUpdates, zeros, "add", false)
                   .getResult()[0];
  // Back to the shape of the source.
  SmallVector<OpFoldResult> shape = t.sizes(source);
  if (rank == 0) {
    gradients.add(source, t.collapse(sums, {}));
    return success();
  }
  Value flat = t.collapse(sums, {{0, 1, 2}});
  SmallVector<ReassociationIndices> all = {dimRange(0, rank)};
  gradients.add(source, t.castTo(t.expand(flat, all, shape), type));
  return success();
}

} // namespace

void sq::registerLinalgVjps(MLIRContext &context) {
  attach<linalg::GenericOp, linalg::FillOp, linalg::CopyOp, linalg::TransposeOp,
         linalg::BroadcastOp, linalg::ReduceOp, linalg::MapOp, linalg::MatmulOp,
         linalg::BatchMatmulOp>(context);
}
