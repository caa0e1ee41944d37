#include "passes/analysis/ObservedValues.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/DenseSet.h"
#include "llvm/ADT/StringMap.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Linalg/IR/LinalgInterfaces.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

#include "dialects/sq/IR/SqOps.h"

using namespace mlir;

namespace {

bool isFloatTensor(Type type) {
  auto tensor = dyn_cast<RankedTensorType>(type);
  return tensor && isa<Float16Type, BFloat16Type, Float32Type, Float64Type>(tensor.getElementType());
}

/// The same elements in the same order under another shape.
bool isReshape(Operation *op) { return isa<tensor::ExpandShapeOp, tensor::CollapseShapeOp, tensor::CastOp>(op); }

bool isElementwise(Operation *op) {
  auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
  return linalgOp && !isa<linalg::FillOp>(op) && linalgOp.getNumParallelLoops() == linalgOp.getNumLoops();
}

/// The ops that quantisation is about.
bool isAnchor(Operation *op) {
  if (op->getName().getDialectNamespace() == "sq")
    return true;
  auto linalgOp = dyn_cast<linalg::LinalgOp>(op);
  return linalgOp &&
         (linalg::isaContractionOpInterface(linalgOp) || linalg::isaConvolutionOpInterface(linalgOp));
}

/// Whether `use` reads the tensor's elements: no shape arithmetic, no destination that is overwritten.
bool readsElements(OpOperand &use) {
  Operation *user = use.getOwner();
  if (isa<tensor::DimOp>(user))
    return false;
  if (auto linalgOp = dyn_cast<linalg::LinalgOp>(user))
    return !linalgOp.isDpsInit(&use) || linalgOp.payloadUsesValueFromOperand(&use);
  auto composite = dyn_cast<DestinationStyleOpInterface>(user);
  return !composite || user->getName().getDialectNamespace() != "sq" || !composite.isDpsInit(&use);
}

class Selection {
public:
  /// Whether all that becomes of `v` are masks of attention and operands of a softmax.
  bool isMask(Value v) {
    auto [known, fresh] = masks.try_emplace(v, false);
    if (!fresh)
      return known->second;
    bool isUsed = false, result = true;
    for (OpOperand &use : v.getUses()) {
      if (!readsElements(use))
        continue;
      isUsed = true;
      Operation *user = use.getOwner();
      if (auto attention = dyn_cast<sq::AttentionOp>(user))
        result &= attention.getMask() == v && attention.getQ() != v && attention.getK() != v && attention.getV() != v;
      else if (isReshape(user) || isElementwise(user))
        result &= isMask(user->getResult(0));
      else
        result &= isa<sq::SoftmaxOp>(user);
    }
    return masks[v] = isUsed && result;
  }

  bool isObserved(OpResult v) {
    Operation *op = v.getOwner();
    if (!isFloatTensor(v.getType()))
      return false;
    if (isAnchor(op))
      return true;
    if (isReshape(op) || isa<tensor::EmptyOp, linalg::FillOp>(op) || !dependsOnInputs(v))
      return false;
    return ((isElementwise(op) && followsAnchor(op)) || isReadByAnchor(v)) && !isMask(v);
  }

  /// To be called in program order.
  void visit(Operation *op) {
    if (isa<tensor::EmptyOp>(op))
      return;
    bool depends = isAnchor(op);
    op->walk([&](Operation *inner) {
      for (OpOperand &operand : inner->getOpOperands())
        depends |= dependsOnInputs(operand.get()) && (readsElements(operand) || isa<tensor::DimOp>(inner));
    });
    if (depends)
      computed.insert_range(op->getResults());
  }

private:
  bool dependsOnInputs(Value v) const {
    auto argument = dyn_cast<BlockArgument>(v);
    return computed.contains(v) || (argument && argument.getOwner()->isEntryBlock() &&
                                    isa<FunctionOpInterface>(argument.getOwner()->getParentOp()));
  }

  bool followsAnchor(Operation *op) {
    return llvm::any_of(op->getOperands(), [](Value v) {
      Operation *source = sq::throughReshapes(v).getDefiningOp();
      return source && isAnchor(source) && isFloatTensor(source->getResult(0).getType());
    });
  }

  bool isReadByAnchor(Value v) {
    return llvm::any_of(v.getUses(), [&](OpOperand &use) {
      Operation *user = use.getOwner();
      if (!readsElements(use))
        return false;
      if (isReshape(user))
        return isReadByAnchor(user->getResult(0));
      return isAnchor(user) || user->hasTrait<OpTrait::ReturnLike>();
    });
  }

  llvm::DenseMap<Value, bool> masks;
  llvm::DenseSet<Value> computed; // from inputs, their sizes or by products: no weights in another form
};

std::string nameOf(Operation *op) {
  auto name = op->getLoc()->findInstanceOf<NameLoc>();
  return name ? name.getName().str() : op->getName().stripDialect().str();
}

int64_t lastDim(Value v) {
  auto type = cast<RankedTensorType>(v.getType());
  return type.getRank() == 0 || type.isDynamicDim(type.getRank() - 1) ? 0 : type.getShape().back();
}

int64_t channelsOf(Value v) {
  int64_t channels = lastDim(v);
  for (Operation *user : v.getUsers())
    if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(user); collapse && collapse.getResultType().getRank() > 1)
      channels = std::max(channels, lastDim(collapse));
  return channels <= sq::kMaxChannels ? channels : 0;
}

/// Whether a linear layer multiplies rows of `channels` elements of `v`, through reshapes or not.
bool feedsLinear(Value v, int64_t channels) {
  return llvm::any_of(v.getUsers(), [&](Operation *user) {
    if (auto linear = dyn_cast<sq::LinearOp>(user))
      return linear.getX() == v && lastDim(v) == channels;
    return isReshape(user) && feedsLinear(user->getResult(0), channels);
  });
}

} // namespace

Value sq::throughReshapes(Value v) {
  while (Operation *op = v.getDefiningOp()) {
    if (!isReshape(op))
      break;
    v = op->getOperand(0);
  }
  return v;
}

std::vector<sq::ObservedValue> sq::observedValues(FunctionOpInterface main) {
  std::vector<ObservedValue> observed;
  llvm::StringMap<int> used;
  auto add = [&](Value v, std::string name) {
    if (int count = ++used[name]; count > 1)
      name += "#" + std::to_string(count);
    int64_t channels = channelsOf(v);
    observed.push_back({v, std::move(name), channels, channels && feedsLinear(v, channels)});
  };
  Selection selection;
  for (BlockArgument argument : main.getArguments())
    if (isFloatTensor(argument.getType()) && !selection.isMask(argument)) {
      auto name = main.getArgAttrOfType<StringAttr>(argument.getArgNumber(), "sq.name");
      add(argument, name ? name.getValue().str() : "arg" + std::to_string(argument.getArgNumber()));
    }
  for (Operation &op : main.getFunctionBody().front()) {
    selection.visit(&op);
    for (OpResult result : op.getResults())
      if (selection.isObserved(result))
        add(result, nameOf(&op));
  }
  return observed;
}
