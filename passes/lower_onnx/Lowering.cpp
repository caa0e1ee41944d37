/// The walk over @main: arguments, ops, results, and the report of all failures.
#include "passes/lower_onnx/Lowering.h"

#include "dialects/onnx/IR/OnnxOps.h"
#include "lib/importer/Signatures.h"

#include "mlir/Dialect/ControlFlow/IR/ControlFlowOps.h"
#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include <algorithm>
#include <cmath>

using namespace mlir;
using namespace sq;

std::string sq::nodeName(Operation *op) {
  std::string name;
  op->getLoc()->walk([&](Location loc) {
    auto named = dyn_cast<NameLoc>(loc);
    if (!named)
      return WalkResult::advance();
    name = named.getName().str();
    return WalkResult::interrupt();
  });
  return name.empty() ? op->getName().stripDialect().str() : name;
}

/// The op's key in the table of rules: "onnx.Add", or "com.microsoft.Attention" for
/// an `onnx.Custom`.
static std::string ruleName(Operation *op) {
  auto domain = op->getAttrOfType<StringAttr>("domain");
  auto type = op->getAttrOfType<StringAttr>("op_type");
  if (op->getName().getStringRef() != "onnx.Custom" || !domain || !type)
    return op->getName().getStringRef().str();
  return (domain.getValue() + "." + type.getValue()).str();
}

/// The operands as `operandError` takes them. What only moves elements takes those that are only
/// stored: a Gather of 4-bit numbers, which `--sq-raise-onnx` writes, is none of ONNX's.
static SmallVector<GivenOperand> givenOperands(Lowering &l, Operation *op) {
  SmallVector<GivenOperand> given;
  for (auto [i, value] : llvm::enumerate(op->getOperands())) {
    Lowered *lowered = l.operand(op, i);
    Type element = lowered && lowered->isTensor() ? lowered->element : Type();
    given.push_back({!isa<NoneType>(value.getType()), element,
                     element && isStorageOnly(element) && movesOrConverts(ruleName(op))});
  }
  return given;
}

/// What users call the op.
static std::string opTitle(Operation *op) {
  if (op->getName().getStringRef() != "onnx.Custom")
    return op->getName().stripDialect().str();
  auto string = [&](StringRef name) {
    auto attr = op->getAttrOfType<StringAttr>(name);
    return attr ? attr.getValue() : StringRef();
  };
  std::string title = string("domain").empty() ? "" : (string("domain") + ".").str();
  title += string("op_type");
  if (auto opset = op->getAttrOfType<IntegerAttr>("opset"))
    title += " (opset " + std::to_string(opset.getValue().getSExtValue()) + ")";
  return title;
}

Lowering::Lowering(ModuleOp module, FunctionOpInterface source, const LoweringTable &table)
    : builder(module.getContext()), module(module), source(source), table(table) {}

//===----------------------------------------------------------------------===//
// Failures
//===----------------------------------------------------------------------===//

void Lowering::record(std::vector<Failure> &all, Operation *op, const Twine &reason, std::vector<std::string> notes) {
  std::string title = opTitle(op), text = reason.str();
  for (Failure &failure : all) {
    if (failure.op == title && failure.reason == text) {
      ++failure.count;
      return;
    }
  }
  all.push_back({title, text, nodeName(op), op->getLoc(), 1, std::move(notes)});
}

LogicalResult Lowering::fail(Operation *op, const Twine &reason, std::vector<std::string> notes) {
  failedOp = op;
  if (notes.empty() && op == loweredOp)
    notes = describeOperands(op);
  record(failures, op, reason, std::move(notes));
  return mlir::failure();
}

void Lowering::note(Operation *op, const Twine &text) { record(noted, op, text, {}); }

void Lowering::report(Failure &failure, DiagnosticSeverity severity) {
  // The text names the node; only a position in a file says more.
  Location loc = failure.loc;
  while (auto named = dyn_cast<NameLoc>(loc))
    loc = named.getChildLoc();
  bool isError = severity == DiagnosticSeverity::Error;
  InFlightDiagnostic said = isError ? emitError(loc) : emitWarning(loc);
  said << (isError ? "cannot lower " : "") << failure.op << (isError ? ": " : " ") << failure.reason;
  if (failure.count == 1)
    said << " (node '" << failure.firstNode << "')";
  else
    said << " (" << failure.count << " nodes, the first is '" << failure.firstNode << "')";
  for (const std::string &note : failure.notes)
    said.attachNote(loc) << note;
}

//===----------------------------------------------------------------------===//
// The walk
//===----------------------------------------------------------------------===//

LogicalResult Lowering::run() {
  if (failed(readModule()) || failed(lowerArguments()))
    return failure();
  lowerBlock(source.getFunctionBody().front());
  bool ok = failures.empty() && succeeded(lowerReturn());
  for (Failure &failure : failures)
    report(failure, DiagnosticSeverity::Error);
  for (Failure &note : noted)
    report(note, DiagnosticSeverity::Warning);
  if (!ok) {
    target->erase();
    return failure();
  }
  applyUnified();
  eraseDead();
  std::string name = source.getName().str();
  source->erase();
  target.setName(name);

  SmallVector<NamedAttribute> ranges;
  if (auto given = module->getAttrOfType<DictionaryAttr>("sq.dims"))
    llvm::append_range(ranges, given.getValue());
  NamedAttrList merged(ranges);
  for (Symbol &symbol : symbols)
    if (symbol.limited)
      merged.set(symbol.name,
                 builder.getDenseI64ArrayAttr({symbol.range.min, symbol.range.max}));
  if (!merged.empty())
    module->setAttr("sq.dims", merged.getDictionary(module.getContext()));
  for (StringRef attr : {"onnx.ir_version", "onnx.opset_imports", "onnx.producer"})
    module->removeAttr(attr);
  return success();
}

LogicalResult Lowering::readModule() {
  if (!llvm::hasSingleElement(source.getFunctionBody()) ||
      !isa<func::ReturnOp>(source.getFunctionBody().front().back()))
    return source->emitError("@main must have one block that ends with func.return");
  // Without a version: the newest that is known.
  opsetVersion = 25;
  if (auto opsets = module->getAttrOfType<DictionaryAttr>("onnx.opset_imports"))
    if (auto version = opsets.getAs<IntegerAttr>("ai.onnx"))
      opsetVersion = version.getValue().getSExtValue();
  return success();
}

static std::string dimName(DictionaryAttr attrs, unsigned i) {
  auto names = attrs ? attrs.getAs<ArrayAttr>("onnx.dims") : ArrayAttr();
  if (!names || i >= names.size())
    return "";
  auto name = dyn_cast<StringAttr>(names[i]);
  return name ? name.str() : "";
}

/// Argument and result attributes of the lowered function.
static DictionaryAttr signatureAttrs(Builder &b, DictionaryAttr from, ArrayRef<std::string> dims,
                                     Type element) {
  NamedAttrList attrs;
  if (auto name = from ? from.getAs<StringAttr>("onnx.name") : StringAttr())
    attrs.set("sq.name", name);
  SmallVector<Attribute> names;
  for (const std::string &dim : dims)
    names.push_back(b.getStringAttr(dim));
  attrs.set("sq.dims", b.getArrayAttr(names));
  attrs.set("sq.dtype", b.getStringAttr(dtypeName(element)));
  return attrs.getDictionary(b.getContext());
}

LogicalResult Lowering::lowerArguments() {
  Block &block = source.getFunctionBody().front();
  auto given = module->getAttrOfType<DictionaryAttr>("sq.dims");

  // Symbols with their ranges first: a range of one number is a static dim.
  auto addSymbol = [&](const std::string &name) {
    if (name.empty() || llvm::any_of(symbols, [&](Symbol &s) { return s.name == name; }))
      return success();
    Symbol symbol{name, Value(), {0, INT64_MAX}};
    if (Attribute attr = given ? given.get(name) : Attribute()) {
      auto range = dyn_cast<DenseI64ArrayAttr>(attr);
      if (!range || range.size() != 2 || range[0] < 0 || range[1] < range[0])
        return LogicalResult(module->emitError("the range of dimension '")
                             << name << "' in `sq.dims` must be array<i64: min, max> with 0 <= min "
                             << "<= max, got " << attr);
      symbol.range = {range[0], range[1]};
    }
    symbols.push_back(symbol);
    return success();
  };

  SmallVector<Type> types;
  SmallVector<DictionaryAttr> attrs;
  bool ok = true;
  for (auto [i, argument] : llvm::enumerate(block.getArguments())) {
    DictionaryAttr from = source.getArgAttrDict(i);
    auto nameAttr = from ? from.getAs<StringAttr>("onnx.name") : StringAttr();
    std::string name = nameAttr ? nameAttr.str() : std::to_string(i);
    auto type = dyn_cast<RankedTensorType>(argument.getType());
    if (auto shaped = dyn_cast<ShapedType>(argument.getType());
        shaped && isa<onnx::StringType>(shaped.getElementType())) {
      source->emitError("input '") << name << "' holds strings, which are not supported; turn "
                                   << "them into numbers before the model";
      ok = false;
      continue;
    }
    if (isa<onnx::SeqType, onnx::OptType>(argument.getType())) {
      source->emitError("input '")
          << name << "' is " << (isa<onnx::SeqType>(argument.getType()) ? "a sequence" : "an optional")
          << "; the inputs of a program are tensors: give the model its tensors as inputs, from which "
             "it makes this one by "
          << (isa<onnx::SeqType>(argument.getType()) ? "SequenceConstruct" : "Optional");
      ok = false;
      continue;
    }
    if (!type || dtypeName(type.getElementType()).empty()) {
      source->emitError("input '") << name << "' has type " << argument.getType()
                                   << "; supported are tensors of known rank of f32, f64, f16, "
                                      "bf16, i2..i64, u2..u64, bool, and floats of 8 and 4 bits";
      ok = false;
      continue;
    }
    SmallVector<int64_t> shape(type.getShape());
    SmallVector<std::string> names;
    for (int64_t d = 0; d < type.getRank(); ++d) {
      names.push_back(type.isDynamicDim(d) ? dimName(from, d) : "");
      if (failed(addSymbol(names.back())))
        return failure();
      for (Symbol &symbol : symbols)
        if (symbol.name == names.back() && symbol.range.isPoint())
          shape[d] = symbol.range.min;
    }
    types.push_back(RankedTensorType::get(shape, signless(type.getElementType())));
    attrs.push_back(signatureAttrs(builder, from, names, type.getElementType()));
  }
  if (!ok)
    return failure();

  builder.setInsertionPoint(source);
  auto function = func::FuncOp::create(builder, source->getLoc(), "sq_lowered_main",
                                       builder.getFunctionType(types, {}));
  function.setAllArgAttrs(attrs);
  target = function;
  Block *body = function.addEntryBlock();
  builder.setInsertionPointToStart(body);
  Scalars s = scalars(source->getLoc());
  for (auto [i, argument] : llvm::enumerate(block.getArguments())) {
    auto type = cast<RankedTensorType>(types[i]);
    Lowered value;
    value.element = cast<RankedTensorType>(argument.getType()).getElementType();
    value.tensor = body->getArgument(i);
    for (int64_t d = 0; d < type.getRank(); ++d) {
      if (!type.isDynamicDim(d)) {
        value.dims.push_back(indexAttr(type.getDimSize(d)));
        continue;
      }
      std::string name = dimName(source.getArgAttrDict(i), d);
      auto symbol = llvm::find_if(symbols, [&](Symbol &s) { return s.name == name; });
      if (symbol != symbols.end() && symbol->dim) {
        value.dims.push_back(symbol->dim);
        continue;
      }
      Value index = s.integer(builder.getIndexType(), d);
      Value dim = tensor::DimOp::create(builder, source->getLoc(), value.tensor, index);
      facts.ranges[dim] = {0, INT64_MAX};
      if (symbol != symbols.end()) {
        symbol->dim = dim;
        facts.ranges[dim] = symbol->range;
      }
      value.dims.push_back(dim);
    }
    value.stored = value.dims;
    set(argument, std::move(value));
  }
  return success();
}

Lowering::Scope::Scope(Lowering &lowering, Block *body)
    : lowering(lowering), outer(lowering.scope), guard(lowering.builder), facts(lowering.facts),
      unified(lowering.unified) {
  lowering.scope = this;
  lowering.builder.setInsertionPointToEnd(body);
}

Lowering::Scope::~Scope() {
  for (auto &[value, as] : before)
    *value = std::move(as);
  lowering.facts = std::move(facts);
  lowering.unified = std::move(unified);
  lowering.scope = outer;
}

void Lowering::lowerBlock(Block &block) {
  for (Operation &op : block.without_terminator())
    lowerOp(&op);
}

void Lowering::lowerOp(Operation *op) {
  if (op->getName().getStringRef() == "onnx.NoValue")
    return;
  // Unknown ops are all named, those that follow another failure too.
  auto rule = table.find(ruleName(op));
  if (rule == table.end()) {
    bool trains = StringRef(opTitle(op)).starts_with("ai.onnx.preview.training.");
    std::string operands = operandError(ruleName(op), givenOperands(*this, op));
    auto why = op->getAttrOfType<StringAttr>(kRefused);
    (void)fail(op, trains ? "operators that train are not supported; export the model for inference"
                   : !operands.empty() ? operands
                   : why ? "not supported yet: " + why.str()
                         : "not supported yet");
    return;
  }
  // The cause has been recorded where it arose.
  for (Value operand : op->getOperands())
    if (!isa<NoneType>(operand.getType()) && !map.count(operand))
      return;
  for (unsigned i = 0; i < op->getNumOperands(); ++i) {
    Lowered *value = operand(op, i);
    if (value && value->isTensor() && isStorageOnly(value->element) && !movesOrConverts(rule->first())) {
      (void)fail(op, "it is not defined for elements of type " + dtypeName(value->element) +
                         "; cast or dequantise them");
      return;
    }
  }
  for (unsigned i = 0; i < rule->second.minOperands; ++i) {
    if (!operand(op, i)) {
      (void)fail(op, "its input " + Twine(i) + " is missing");
      return;
    }
  }
  for (unsigned i = 0; i < op->getNumOperands(); ++i) {
    Lowered *value = operand(op, i);
    if (value && !value->isTensor() &&
        (i < rule->second.firstList || i >= rule->second.endLists)) {
      (void)fail(op, "its input " + Twine(i) + " is " + (value->sequence ? "a sequence" : "an optional") +
                         "; it takes a tensor");
      return;
    }
  }
  if (std::string error = operandError(rule->first(), givenOperands(*this, op)); !error.empty()) {
    (void)fail(op, error);
    return;
  }
  if (op->getNumResults() == 0) {
    (void)fail(op, "it has no output");
    return;
  }
  failedOp = nullptr;
  Operation *outer = std::exchange(loweredOp, op);
  LogicalResult result = rule->second.lower(*this, op);
  if (failed(result) && !failedOp)
    (void)fail(op, "it could not be lowered");
  if (!failedOp && !outer)
    checkDeclared(op);
  loweredOp = outer;
  if (failedOp) {
    for (Value value : op->getResults())
      map.erase(value);
    return;
  }
  for (auto [i, value] : llvm::enumerate(op->getResults())) {
    if (!map.count(value) && !value.use_empty()) {
      (void)fail(op, "its output " + Twine(i) + " is not supported yet");
      return;
    }
  }
}

LogicalResult Lowering::lowerReturn() {
  Operation *terminator = source.getFunctionBody().front().getTerminator();
  SmallVector<Value> results;
  SmallVector<Type> types;
  SmallVector<DictionaryAttr> attrs;
  for (auto [i, operand] : llvm::enumerate(terminator->getOperands())) {
    Lowered *value = lowered(operand);
    if (!value)
      return terminator->emitError("result ") << i << " has no lowered value";
    if (!value->isTensor()) {
      auto attrs = source.getResultAttrDict(i);
      auto name = attrs ? attrs.getAs<StringAttr>("onnx.name") : StringAttr();
      return source->emitError("output '")
             << (name ? name.str() : std::to_string(i)) << "' is "
             << (value->sequence ? "a sequence" : "an optional")
             << "; the outputs of a program are tensors: make outputs of what "
             << (value->sequence ? "SequenceAt or ConcatFromSequence" : "OptionalGetElement") << " gives";
    }
    results.push_back(tensor(value));
    types.push_back(results.back().getType());
    DictionaryAttr from = source.getResultAttrDict(i);
    SmallVector<std::string> names;
    for (auto [d, dim] : llvm::enumerate(value->dims)) {
      Symbol *symbol = symbolOf(dim);
      // A name that an input has means that input's dim; another one is only a name.
      std::string name = symbol ? symbol->name : staticDim(dim) ? "" : dimName(from, d);
      if (!symbol && llvm::any_of(symbols, [&](Symbol &s) { return s.name == name; }))
        name = "";
      names.push_back(name);
    }
    attrs.push_back(signatureAttrs(builder, from, names, value->element));
  }
  func::ReturnOp::create(builder, terminator->getLoc(), results);
  auto function = cast<func::FuncOp>(target.getOperation());
  function.setType(builder.getFunctionType(function.getArgumentTypes(), types));
  function.setAllResultAttrs(attrs);
  return success();
}

void Lowering::eraseDead() {
  Block &body = target.getFunctionBody().front();
  for (Operation &op : llvm::make_early_inc_range(llvm::reverse(body))) {
    if (isOpTriviallyDead(&op)) {
      op.erase();
      continue;
    }
    // Constants that folding used up inside a body.
    for (Region &region : op.getRegions())
      for (Block &block : region)
        for (Operation &inner : llvm::make_early_inc_range(llvm::reverse(block)))
          if (isOpTriviallyDead(&inner))
            inner.erase();
  }
}

//===----------------------------------------------------------------------===//
// Attributes
//===----------------------------------------------------------------------===//

template <typename AttrT>
static AttrT typedAttr(Lowering &l, Operation *op, StringRef name, StringRef kind) {
  Attribute attr = op->getAttr(name);
  if (auto custom = op->getAttrOfType<DictionaryAttr>("attributes"))
    attr = custom.get(name);
  auto typed = dyn_cast_if_present<AttrT>(attr);
  if (attr && !typed)
    (void)l.fail(op, "its attribute `" + name + "` must be " + kind);
  return typed;
}

int64_t Lowering::intAttr(Operation *op, StringRef name, int64_t absent) {
  auto attr = typedAttr<IntegerAttr>(*this, op, name, "an integer");
  return attr && attr.getValue().getBitWidth() <= 64 ? attr.getValue().getSExtValue() : absent;
}

double Lowering::floatAttr(Operation *op, StringRef name, double absent) {
  auto attr = typedAttr<FloatAttr>(*this, op, name, "a float");
  return attr ? attr.getValueAsDouble() : absent;
}

std::string Lowering::stringAttr(Operation *op, StringRef name, StringRef absent) {
  auto attr = typedAttr<StringAttr>(*this, op, name, "a string");
  return attr ? attr.str() : absent.str();
}

std::optional<SmallVector<int64_t>> Lowering::intsAttr(Operation *op, StringRef name) {
  if (auto attr = typedAttr<DenseI64ArrayAttr>(*this, op, name, "integers"))
    return SmallVector<int64_t>(attr.asArrayRef());
  return std::nullopt;
}

FailureOr<int64_t> Lowering::normalizeAxis(Operation *op, int64_t axis, int64_t rank) {
  if (axis < -rank || axis >= rank)
    return fail(op, "axis " + Twine(axis) + " is outside the rank; expected " + Twine(-rank) +
                        " to " + Twine(rank - 1));
  return axis < 0 ? axis + rank : axis;
}

FailureOr<SmallVector<int64_t>> Lowering::normalizeAxes(Operation *op, ArrayRef<int64_t> axes,
                                                        int64_t rank) {
  SmallVector<int64_t> result;
  for (int64_t axis : axes) {
    FailureOr<int64_t> normal = normalizeAxis(op, axis, rank);
    if (failed(normal))
      return failure();
    if (llvm::is_contained(result, *normal))
      return fail(op, "axis " + Twine(axis) + " is given twice");
    result.push_back(*normal);
  }
  return result;
}
