//===-- Differentiate.cpp - from a program to that of its gradients
//-----------===//
//
// Reverse mode: from the loss back to what it is differentiated by, each op
// between them states its vector-Jacobian product as graph ops
// (DifferentiableOpInterface), and what several ops give for one value is
// added up. The forward ops stay where they are; dead ones go later.
//
// Memory: of what the backward pass reads, cheap results (norms, activations,
// rotations; isCheapToRecompute) are computed again where they are needed, from
// inputs behind `sq.recompute`, which keeps CSE from finding the two equal.
// Probabilities of attention are never kept. What stays are the residual
// stream, and the results of products.
//
// Products of the Hessian are gradients differentiated once more, in reverse
// mode again: that needs no second rule for each op, as forward over reverse
// would, and as many operations; what it holds are the cotangents as well.
//
//===--------------------------------------------------------------------------===//

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/IR/Matchers.h"
#include "llvm/ADT/SetVector.h"
#include "llvm/ADT/StringSet.h"

#include "dialects/sq/IR/SqInterfaces.h"
#include "passes/GradientProgram.h"
#include "passes/LayerDecisions.h"
#include "passes/Passes.h"
#include "passes/differentiate/Models.h"
#include "passes/differentiate/Tensors.h"

namespace sq {
#define GEN_PASS_DEF_DIFFERENTIATEPASS
#include "passes/Passes.h.inc"
} // namespace sq

using namespace mlir;
using namespace sq;

namespace {

bool isFloatTensor(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && isa<FloatType>(tensor.getElementType());
}

/// The values of the block of @main that `op`, and what is in it, reads.
SmallVector<Value> readBy(Operation *op) {
  llvm::SetVector<Value> values(op->operand_begin(), op->operand_end());
  op->walk([&](Operation *inner) {
    for (Value v : inner->getOperands())
      if (v.getParentBlock() == op->getBlock())
        values.insert(v);
  });
  return values.takeVector();
}

/// Sums of what the products give, by value.
class Sums : public Gradients {
public:
  Sums(ImplicitLocOpBuilder &b, Block &block, ArrayRef<Value> by)
      : b(b), active(by.begin(), by.end()) {
    for (Operation &op : block)
      if (llvm::any_of(readBy(&op),
                       [&](Value v) { return active.contains(v); }))
        for (Value result : op.getResults())
          if (isFloatTensor(result.getType()) ||
              isa<FloatType>(result.getType()))
            active.insert(result);
  }

  bool needs(Value v) const override {
    return active.contains(original.lookup_or(v, v));
  }

  void add(Value v, Value gradient) override {
    v = original.lookup_or(v, v);
    if (!active.contains(v))
      return;
    Value &sum = sums[v];
    sum = sum ? Tensors{b}.add(sum, gradient) : gradient;
  }

  Value of(Value v) const { return sums.lookup(v); }

  /// What is added for `copy` is for `v`.
  void alias(Value copy, Value v) { original[copy] = v; }

private:
  ImplicitLocOpBuilder &b;
  llvm::DenseSet<Value> active;
  DenseMap<Value, Value> sums, original;
};

/// Forward values, computed again at the end of the block.
class Recomputation {
public:
  /// What `between` has is computed again whatever it costs.
  Recomputation(OpBuilder &b, Sums &sums, llvm::DenseSet<Value> between)
      : b(b), sums(sums), between(std::move(between)) {}

  Value of(Value v) {
    if (Value known = copies.lookup(v))
      return known;
    Operation *op = v.getDefiningOp();
    if (!op || !isFloatTensor(v.getType()) ||
        (!between.contains(v) && !isWorthIt(op)))
      return v;
    IRMapping map;
    for (Value read : readBy(op)) {
      Value again = of(read);
      if (again == read && isFloatTensor(read.getType()) &&
          !isDestination(op, read) && !matchPattern(read, m_Constant()))
        again = barrier(read);
      map.map(read, again);
    }
    Operation *copy = b.clone(*op, map);
    Value result = copy->getResult(cast<OpResult>(v).getResultNumber());
    copies[v] = result;
    sums.alias(result, v);
    return result;
  }

private:
  static bool isDestination(Operation *op, Value v) {
    auto dps = dyn_cast<DestinationStyleOpInterface>(op);
    return dps && llvm::is_contained(dps.getDpsInits(), v);
  }

  /// A sum of two streams would keep both, and with them what they are sums of;
  /// `silu` keeps its gate and factor, which its own derivative needs anyway.
  static bool isWorthIt(Operation *op) {
    if (!isCheapToRecompute(op))
      return false;
    if (!isa<linalg::GenericOp>(op))
      return true;
    int64_t streams = 0;
    for (Value v : readBy(op))
      streams += isFloatTensor(v.getType()) && !isDestination(op, v) &&
                 !matchPattern(v, m_Constant());
    return streams == 1;
  }

  Value barrier(Value v) {
    Value &copy = barriers[v];
    if (!copy) {
      copy = RecomputeOp::create(b, v.getLoc(), v.getType(), v);
      sums.alias(copy, v);
    }
    return copy;
  }

  OpBuilder &b;
  Sums &sums;
  llvm::DenseSet<Value> between;
  DenseMap<Value, Value> copies, barriers;
};

/// The values that depend on weights and lie between two checkpoints. A
/// checkpoint is at some place of the program the only such value that was made
/// before it and is read behind it, and several ops read it: where a block
/// ends, its residual stream. What comes behind the last one is there when the
/// backward pass begins.
llvm::DenseSet<Value> betweenCheckpoints(ArrayRef<Operation *> forward,
                                         const Sums &sums) {
  DenseMap<Value, size_t> lastRead, readers;
  for (auto [at, op] : llvm::enumerate(forward))
    for (Value v : readBy(op))
      if (sums.needs(v)) {
        lastRead[v] = at;
        ++readers[v];
      }
  llvm::DenseSet<Value> live, pending, between;
  for (auto [at, op] : llvm::enumerate(forward)) {
    for (Value result : op->getResults())
      if (sums.needs(result) && lastRead.contains(result) &&
          !matchPattern(result, m_Constant())) { // no weight
        live.insert(result);
        pending.insert(result);
      }
    SmallVector<Value> ended;
    for (Value v : live)
      if (lastRead.lookup(v) <= at)
        ended.push_back(v);
    for (Value v : ended)
      live.erase(v);
    if (live.size() != 1 || readers.lookup(*live.begin()) < 2)
      continue;
    Value checkpoint = *live.begin();
    if (!pending.contains(checkpoint))
      continue; // it was one before
    pending.erase(checkpoint);
    between.insert(pending.begin(), pending.end());
    pending.clear();
  }
  return between;
}

/// A value that the program is differentiated by.
struct Variable {
  std::string name;
  Value value;
  std::string initializer = {};         // of a weight, as the model calls it
  SmallVector<std::string> layers = {}; // that have it
  ElementsAttr constant = {};           // of a weight that became an argument
};

struct Differentiation {
  func::FuncOp main;
  const DifferentiatePassOptions &options;
  ImplicitLocOpBuilder b;
  SmallVector<Variable> variables = {};

  func::ReturnOp exit() {
    return cast<func::ReturnOp>(main.getBody().front().getTerminator());
  }

  LogicalResult run() {
    FailureOr<unsigned> output = findOutput();
    if (failed(output))
      return failure();
    Value y = exit().getOperand(*output);
    std::string outputName = nameOf(*output);
    b.setInsertionPoint(exit());
    if (failed(options.by == "inputs" ? findInputs()
               : options.by == "weights"
                   ? findWeights()
                   : unknown("by", options.by, "weights or inputs")))
      return failure();
    y = exit().getOperand(*output); // a layer of a weight argument was replaced
    b.setInsertionPoint(exit());
    b.setLoc(y.getLoc());

    Value loss, seed;
    if (failed(buildLoss(y, *output, outputName, loss, seed)))
      return failure();
    SmallVector<Value> values;
    for (const Variable &variable : variables)
      values.push_back(variable.value);
    Block &block = main.getBody().front();
    // Before anything of the backward pass stands in the block.
    Sums sums(b, block, values);
    Value start = loss ? loss : y;
    if (!sums.needs(start))
      return main.emitError(
          "'" + outputName +
          "' does not depend on anything that it is to be differentiated by");
    sums.add(start, seed);
    if (failed(backward(block, sums)))
      return failure();
    SmallVector<Value> results;
    for (Value value : values)
      results.push_back(sums.of(value));
    if (options.products && failed(buildProducts(block, values, results)))
      return failure();
    finish(loss, results);
    return success();
  }

  /// In place of gradients g their derivative along vectors that are given. The
  /// Hessian is symmetric, so that its product with v is v^T dg/dw: the program
  /// so far, differentiated as any other.
  LogicalResult buildProducts(Block &block, ArrayRef<Value> values,
                              SmallVector<Value> &results) {
    Sums sums(b, block, values);
    for (auto [variable, gradient] : llvm::zip(variables, results)) {
      Value vector = addArgument(kVectorPrefix + variable.name,
                                 variable.value.getType(), {});
      if (gradient && sums.needs(gradient))
        sums.add(gradient, vector);
    }
    if (failed(backward(block, sums)))
      return failure();
    for (auto [value, result] : llvm::zip(values, results))
      result = sums.of(value);
    return success();
  }

  LogicalResult unknown(StringRef option, StringRef value, StringRef expected) {
    return main.emitError("unknown ")
           << option << " '" << value << "'; expected " << expected;
  }

  std::string nameOf(unsigned result) {
    auto name = main.getResultAttrOfType<StringAttr>(result, "sq.name");
    return name ? name.str() : "result " + std::to_string(result);
  }

  FailureOr<unsigned> findOutput() {
    for (unsigned i = 0; i < main.getNumResults(); ++i)
      if (options.output.empty() ? isFloatTensor(main.getResultTypes()[i])
                                 : nameOf(i) == options.output)
        return i;
    if (options.output.empty())
      return main.emitError("the program has no floating-point result");
    return main.emitError("the program has no result called '" +
                          options.output + "'");
  }

  LogicalResult findInputs() {
    for (BlockArgument arg : main.getArguments())
      if (isFloatTensor(arg.getType())) {
        auto name =
            main.getArgAttrOfType<StringAttr>(arg.getArgNumber(), "sq.name");
        variables.push_back(
            {name ? name.str() : "input " + std::to_string(arg.getArgNumber()),
             arg});
      }
    if (variables.empty())
      return main.emitError(
          "the program has no floating-point input to differentiate by");
    return success();
  }

  /// The constant weights of linear layers. Each gets a constant of its own,
  /// read by these layers only, so that an embedding that shares a weight with
  /// the last layer does not count.
  LogicalResult findWeights() {
    DenseMap<Value, unsigned> known;
    llvm::StringSet<> wanted, seen;
    for (const std::string &name : options.layers)
      wanted.insert(name);
    SmallVector<std::pair<LinearOp, unsigned>> uses;
    for (auto &[op, layer] : linearLayers(main)) {
      ElementsAttr value;
      if (!matchPattern(op.getWeight(), m_Constant(&value)) ||
          !isFloatTensor(op.getWeight().getType()) ||
          !isFloatTensor(op.getX().getType()))
        continue;
      if (op->getBlock() != &main.getBody().front())
        return op.emitOpError("stands in a loop or a branch, through which sq "
                              "does not differentiate");
      auto [at, isNew] = known.try_emplace(op.getWeight(), variables.size());
      if (isNew)
        variables.push_back({layer.name, op.getWeight(), layer.weight});
      variables[at->second].layers.push_back(layer.name);
      uses.emplace_back(op, at->second);
    }
    // Layers that share a weight are asked for together.
    SmallVector<int> kept(variables.size(), -1);
    SmallVector<Variable> all = std::move(variables);
    variables.clear();
    for (auto [i, variable] : llvm::enumerate(all)) {
      bool isWanted = wanted.empty();
      for (const std::string &name : variable.layers) {
        isWanted |= wanted.contains(name);
        seen.insert(name);
      }
      if (!isWanted)
        continue;
      kept[i] = variables.size();
      variables.push_back(variable);
    }
    for (const std::string &name : options.layers)
      if (!seen.contains(name))
        return main.emitError("there is no linear layer '" + name +
                              "' with a constant weight in floating point");
    if (variables.empty())
      return main.emitError("the program has no linear layer with a constant "
                            "weight in floating point");
    for (Variable &variable : variables) {
      Type type = variable.value.getType();
      if (options.weightArguments) {
        matchPattern(variable.value, m_Constant(&variable.constant));
        variable.value = addArgument(kWeightPrefix + variable.name, type, {});
      } else {
        OpBuilder::InsertionGuard guard(b);
        b.setInsertionPointToStart(&main.getBody().front());
        variable.value = b.clone(*variable.value.getDefiningOp())->getResult(0);
      }
    }
    for (auto [op, i] : uses) {
      if (kept[i] < 0)
        continue;
      Value weight = variables[kept[i]].value;
      if (options.weightArguments)
        multiply(op, weight);
      else
        op.getWeightMutable().assign(weight);
    }
    return success();
  }

  /// A linear layer whose weight is a run-time tensor: a product of two such,
  /// which has a kernel.
  void multiply(LinearOp op, Value weight) {
    OpBuilder::InsertionGuard guard(b);
    b.setInsertionPoint(op);
    b.setLoc(op.getLoc());
    Tensors t{b};
    Value x = t.rows(op.getX());
    Value y =
        t.matmul(x, op.getTransposeWeight() ? t.transposeLast(weight) : weight);
    if (op.getBias())
      y = t.map({y},
                [](ScalarMath &s, ValueRange v) { return s.add(v[0], v[1]); },
                {op.getBias()});
    int64_t rank = Tensors::rankOf(op.getX());
    SmallVector<OpFoldResult> sizes = t.sizes(op.getOuts());
    if (rank == 1)
      y = t.collapse(y, {{0, 1}});
    else if (rank > 2)
      y = t.expand(y, {dimRange(0, rank - 1), {rank - 1}}, sizes);
    op->getResult(0).replaceAllUsesWith(
        t.castTo(y, op->getResult(0).getType()));
    op.erase();
  }

  Value addArgument(const std::string &name, Type type,
                    ArrayRef<StringRef> dims) {
    auto tensor = cast<RankedTensorType>(type);
    SmallVector<StringRef> symbols(dims);
    symbols.resize(tensor.getRank(), "");
    Type element = tensor.getElementType();
    std::string dtype;
    llvm::raw_string_ostream(dtype) << element;
    DictionaryAttr attributes = b.getDictionaryAttr(
        {b.getNamedAttr("sq.dims", b.getStrArrayAttr(symbols)),
         b.getNamedAttr("sq.dtype", b.getStringAttr(dtype)),
         b.getNamedAttr("sq.name", b.getStringAttr(name))});
    unsigned at = main.getNumArguments();
    (void)main.insertArgument(at, type, attributes, main.getLoc());
    return main.getArgument(at);
  }

  /// The loss of each sample and what it counts (1), or no loss and the
  /// cotangent that is given.
  LogicalResult buildLoss(Value y, unsigned output, const std::string &name,
                          Value &loss, Value &seed) {
    auto type = cast<RankedTensorType>(y.getType());
    SmallVector<StringRef> dims;
    if (auto names = main.getResultAttrOfType<ArrayAttr>(output, "sq.dims"))
      for (StringAttr dim : names.getAsRange<StringAttr>())
        dims.push_back(dim.getValue());
    dims.resize(type.getRank(), "");
    Tensors t{b};
    if (options.loss == "given") {
      seed = addArgument(kCotangentPrefix + name, type, dims);
      return success();
    }
    if (!type.getElementType().isF32() && !type.getElementType().isF64())
      return main.emitError("'" + name + "' has elements of ")
             << type.getElementType() << "; a loss needs f32 or f64";
    if (type.getRank() < 2)
      return main.emitError("'" + name + "' is ")
             << type
             << "; a loss needs a result of rank 2 or more, samples first";
    Value init = t.empty({t.sizes(y)[0]}, type.getElementType());
    if (options.loss == "cross-entropy") {
      if (!type.isDynamicDim(type.getRank() - 1))
        main->setAttr(kClassesAttribute,
                      b.getI64IntegerAttr(type.getShape().back()));
      auto labels =
          RankedTensorType::get(type.getShape().drop_back(), b.getI64Type());
      Value given = addArgument(kLabels, labels, ArrayRef(dims).drop_back());
      loss =
          CrossEntropyOp::create(b, TypeRange(init.getType()), y, given, init)
              .getResult()[0];
    } else if (options.loss == "kl") {
      Value given = addArgument(kReference, type, dims);
      loss =
          KlDivergenceOp::create(b, TypeRange(init.getType()), y, given, init)
              .getResult()[0];
    } else if (options.loss == "mse") {
      Value given = addArgument(kReference, type, dims);
      loss =
          SquaredErrorOp::create(b, TypeRange(init.getType()), y, given, init)
              .getResult()[0];
    } else {
      return unknown("loss", options.loss, "cross-entropy, kl, mse or given");
    }
    seed = t.filled(1, t.sizes(loss), type.getElementType());
    return success();
  }

  LogicalResult backward(Block &block, Sums &sums) {
    SmallVector<Operation *> forward;
    for (Operation &op : block.without_terminator())
      forward.push_back(&op);
    Recomputation again(b, sums,
                        options.checkpoints ? betweenCheckpoints(forward, sums)
                                            : llvm::DenseSet<Value>());
    for (Operation *op : llvm::reverse(forward)) {
      SmallVector<Value> cotangents;
      for (Value result : op->getResults())
        cotangents.push_back(sums.of(result));
      if (llvm::none_of(cotangents, [](Value v) { return bool(v); }) ||
          llvm::none_of(readBy(op), [&](Value v) { return sums.needs(v); }))
        continue;
      for (Value v : readBy(op))
        if (sums.needs(v) && (getElementTypeOrSelf(v.getType()).isF16() ||
                              getElementTypeOrSelf(v.getType()).isBF16()))
          return op->emitOpError("computes with ")
                 << getElementTypeOrSelf(v.getType())
                 << ", in which gradients underflow; differentiate the model "
                    "in f32";
      auto differentiable = dyn_cast<DifferentiableOpInterface>(op);
      if (!differentiable)
        return op->emitOpError(
            "has no derivative in sq, and lies between weights and the loss");
      b.setLoc(op->getLoc());
      Operation *at = options.recompute || options.checkpoints
                          ? withRecomputed(op, again)
                          : op;
      if (failed(cast<DifferentiableOpInterface>(at).buildVjp(b, cotangents,
                                                              sums)))
        return failure();
      if (at != op) {
        at->replaceAllUsesWith(op->getResults());
        at->erase();
      }
    }
    return success();
  }

  /// `op` itself, or a copy at the end of the block that reads what is computed
  /// again.
  Operation *withRecomputed(Operation *op, Recomputation &again) {
    IRMapping map;
    bool isOther = false;
    for (Value v : readBy(op)) {
      Value copy = again.of(v);
      isOther |= copy != v;
      map.map(v, copy);
    }
    return isOther ? b.clone(*op, map) : op;
  }

  /// `found` are gradients or products, by variable; null: zero.
  void finish(Value loss, ArrayRef<Value> found) {
    b.setLoc(main.getLoc());
    SmallVector<Value> results;
    SmallVector<Attribute> attributes, described;
    auto addResult = [&](const std::string &name, Value v) {
      auto type = cast<RankedTensorType>(v.getType());
      SmallVector<StringRef> dims(type.getRank(), "");
      std::string dtype;
      llvm::raw_string_ostream(dtype) << type.getElementType();
      results.push_back(v);
      attributes.push_back(b.getDictionaryAttr(
          {b.getNamedAttr("sq.dims", b.getStrArrayAttr(dims)),
           b.getNamedAttr("sq.dtype", b.getStringAttr(dtype)),
           b.getNamedAttr("sq.name", b.getStringAttr(name))}));
    };
    if (loss)
      addResult(kLoss, loss);
    for (auto [variable, gradient] : llvm::zip(variables, found)) {
      addResult((options.products ? kProductPrefix : kGradientPrefix) +
                    variable.name,
                gradient ? gradient : Tensors{b}.zerosLike(variable.value));
      SmallVector<StringRef> layers(variable.layers.begin(),
                                    variable.layers.end());
      NamedAttrList entry;
      entry.set("layers", b.getStrArrayAttr(layers));
      entry.set("name", b.getStringAttr(variable.name));
      entry.set("type", TypeAttr::get(variable.value.getType()));
      entry.set("weight", b.getStringAttr(variable.initializer));
      if (variable.constant) // no longer in the program
        entry.set("value", variable.constant);
      described.push_back(entry.getDictionary(b.getContext()));
    }
    exit().getOperandsMutable().assign(results);
    main.setType(b.getFunctionType(main.getArgumentTypes(),
                                   TypeRange(ValueRange(results))));
    main.setAllResultAttrs(attributes);
    main->setAttr(kGradientsAttribute, b.getArrayAttr(described));
  }
};

struct DifferentiatePass : sq::impl::DifferentiatePassBase<DifferentiatePass> {
  using DifferentiatePassBase::DifferentiatePassBase;

  void runOnOperation() override {
    auto main = getOperation().lookupSymbol<func::FuncOp>("main");
    if (!main || main.isExternal()) {
      getOperation().emitError("the module has no function @main");
      return signalPassFailure();
    }
    for (Operation &op : main.getBody().front())
      if (op.getName().getDialectNamespace() == "onnx") {
        main.emitError("there are onnx nodes here; differentiate the graph "
                       "that --sq-onnx-to-graph makes of them");
        return signalPassFailure();
      }
    DifferentiatePassOptions options;
    options.loss = loss;
    options.output = output;
    options.by = by;
    llvm::append_range(options.layers, layers);
    options.weightArguments = weightArguments;
    options.recompute = recompute;
    options.checkpoints = checkpoints;
    options.products = products;
    if (failed(Differentiation{
            main, options, ImplicitLocOpBuilder(main.getLoc(), &getContext())}
                   .run()))
      signalPassFailure();
  }
};

} // namespace
