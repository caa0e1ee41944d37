/// The context of `--sq-lower-onnx`: what every lowered value is, and the
/// helpers that the op families share.
///
/// The pass walks @main in order and writes a new function on tensors. A table
/// gives the function that lowers an op; it reads its operands with
/// `operand(op, i)` and defines every used result with one of the `set...`
/// functions. It either succeeds or says why not with `return l.fail(op, ...)`;
/// the walk goes on and all failures are reported together.
#ifndef SQ_PASSES_LOWER_ONNX_LOWERING_H
#define SQ_PASSES_LOWER_ONNX_LOWERING_H

#include "lib/support/SmallFloat.h"
#include "passes/lower_onnx/Scalars.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/StringMap.h"

#include <deque>
#include <functional>
#include <string>

namespace sq {

class Lowering;

/// Dimensions of a tensor: an index attribute when static, otherwise an SSA
/// value of type index. Equal values are provably equal sizes.
using Dims = llvm::SmallVector<mlir::OpFoldResult>;

/// A type that is stored and converted, but not computed with.
bool isStorageOnly(mlir::Type element);
/// The format of a float of 8 bits or less, null for other types.
const SmallFloat *smallFloatOf(mlir::Type element);

/// A lowered tensor. It has one or more of four forms; `Lowering::tensor()` makes
/// an SSA tensor from any of them and keeps it here.
struct Lowered {
  /// As ONNX has it: `ui8` and `i8` differ here. Element types of lowered tensors
  /// are signless.
  mlir::Type element;
  Dims dims;

  /// SSA tensor of shape `stored`. Where `stored`, aligned at the end, is statically
  /// 1 or has no dim but `dims` has more, broadcasting is still to be done:
  /// `elementwise` reads it as it is, `tensor()` broadcasts.
  mlir::Value tensor;
  Dims stored;
  /// Constant of signless element type and shape `dims`.
  mlir::ElementsAttr constant;
  /// Scalar that all elements are equal to.
  mlir::Value splat;
  /// All elements as scalars, row major; few of them.
  std::optional<llvm::SmallVector<mlir::Value>> elements;

  /// Not a tensor but a sequence of tensors, each of them known by itself; nothing else
  /// is set.
  std::optional<llvm::SmallVector<Lowered *, 4>> sequence;
  /// An optional that holds nothing. One that holds a value is that value.
  bool isAbsent = false;

  /// What is known of the values of integers: `lowest <= x < below`.
  std::optional<int64_t> lowest;
  mlir::OpFoldResult below;

  bool isTensor() const { return !sequence && !isAbsent; }
  int64_t rank() const { return dims.size(); }
  bool isUnsigned() const { return element.isUnsignedInteger(); }
  /// Numbers that are computed with: no storage-only types.
  bool isFloat() const { return mlir::isa<mlir::FloatType>(element) && !smallFloatOf(element); }
  bool isBool() const { return element.isSignlessInteger(1); }
  bool isInteger() const {
    return mlir::isa<mlir::IntegerType>(element) && !isBool() && !isStorageOnly(element);
  }
};

/// Tensors of more elements are never taken apart into scalars.
constexpr int64_t maxKnownElements = 64;

using LowerFn = std::function<mlir::LogicalResult(Lowering &, mlir::Operation *)>;

/// Which function lowers an op, how many of its leading operands must be given, and
/// which may be sequences or optionals: those from `firstList` to before `endLists`.
struct LoweringRule {
  LowerFn lower;
  unsigned minOperands = 0, firstList = 0, endLists = 0;
};
struct LoweringTable : llvm::StringMap<LoweringRule> {
  /// `name` without the dialect: "Add".
  void add(llvm::StringRef name, unsigned minOperands, LowerFn lower) {
    (*this)[("onnx." + name).str()] = {std::move(lower), minOperands};
  }
  /// Operands of an operator that was added may be sequences or optionals.
  void takesLists(llvm::StringRef name, unsigned first, unsigned end) {
    LoweringRule &rule = (*this)[("onnx." + name).str()];
    rule.firstList = first;
    rule.endLists = end;
  }
  /// The same for an operator of ONNX's that has no op in the dialect.
  void addUndeclared(llvm::StringRef name, unsigned minOperands, unsigned endLists, LowerFn lower) {
    (*this)[("ai.onnx." + name).str()] = {std::move(lower), minOperands, 0, endLists};
  }
  /// The same for an `onnx.Custom` of the domain com.microsoft.
  void addMicrosoft(llvm::StringRef name, unsigned minOperands, LowerFn lower) {
    (*this)[("com.microsoft." + name).str()] = {std::move(lower), minOperands};
  }
};

// One per file of passes/lower_onnx.
void registerActivations(LoweringTable &table);
void registerArithmetic(LoweringTable &table);
void registerAttention(LoweringTable &table);
void registerConvolutions(LoweringTable &table);
void registerDeformConv(LoweringTable &table);
void registerFourier(LoweringTable &table);
void registerImages(LoweringTable &table);
void registerMatrices(LoweringTable &table);
void registerPooling(LoweringTable &table);
void registerResize(LoweringTable &table);
void registerSampling(LoweringTable &table);
void registerSignals(LoweringTable &table);
void registerUnpooling(LoweringTable &table);
void registerRearrangement(LoweringTable &table);
void registerQuantization(LoweringTable &table);
void registerControl(LoweringTable &table);
void registerCasts(LoweringTable &table);
void registerContractions(LoweringTable &table);
void registerControl(LoweringTable &table);
void registerIndexing(LoweringTable &table);
void registerLoops(LoweringTable &table);
void registerScan(LoweringTable &table);
void registerLosses(LoweringTable &table);
void registerMovement(LoweringTable &table);
void registerMicrosoft(LoweringTable &table);
void registerNormalizations(LoweringTable &table);
void registerPackedBlocks(LoweringTable &table);
void registerQuantization(LoweringTable &table);
void registerQuantizedProducts(LoweringTable &table);
void registerRandom(LoweringTable &table);
void registerRearrangement(LoweringTable &table);
void registerRecurrent(LoweringTable &table);
void registerReductions(LoweringTable &table);
void registerReshape(LoweringTable &table);
void registerRotary(LoweringTable &table);
void registerSelection(LoweringTable &table);
void registerSequences(LoweringTable &table);
void registerShapes(LoweringTable &table);
void registerTensorScatter(LoweringTable &table);
void registerTextVectors(LoweringTable &table);
void registerUnary(LoweringTable &table);

/// The onnx element type (`ui8`, `i1`, `f32`...) of a TensorProto data type; null for
/// those that no lowered tensor has.
mlir::Type elementTypeOf(mlir::MLIRContext *context, int64_t dataType);
/// How values that a float of 8 bits or less does not have become one.
struct SmallFloatCast {
  bool saturate = true;
  SmallRounding rounding = SmallRounding::NearestEven; // E8M0: any of the others
};
/// ONNX's Cast of a (stored) scalar between onnx element types. Floats out of the range
/// of an integer saturate and NaN gives 0, where C++ has undefined behaviour.
mlir::Value castScalar(Scalars &s, mlir::Value scalar, mlir::Type from, mlir::Type to,
                       SmallFloatCast how = {});
/// The code (i8) of an f32 or f64, and the f32 of a code; exact, see lib/support/SmallFloat.h.
mlir::Value encodeSmallFloat(Scalars &s, mlir::Value value, const SmallFloat &format,
                             SmallFloatCast how = {});
mlir::Value decodeSmallFloat(Scalars &s, mlir::Value code, const SmallFloat &format);

/// The element type of lowered tensors: integers without their sign. Those of 2 and 4
/// bits, sign- or zero-extended, and codes of floats of 8 bits or less are i8.
mlir::Type signless(mlir::Type element);
/// An op (by the key of its rule) that only moves or converts elements: what takes
/// storage-only types.
bool movesOrConverts(llvm::StringRef rule);
/// A dense constant with elements as lowered tensors store them; those in a blob must
/// be all there.
mlir::ElementsAttr storedConstant(mlir::ElementsAttr value);
/// "f32", "u8", "bool8"...; empty for types that no lowered tensor has.
llvm::StringRef dtypeName(mlir::Type element);
/// The name of the ONNX node an op was, or the op's name.
std::string nodeName(mlir::Operation *op);
/// The size if static.
std::optional<int64_t> staticDim(mlir::OpFoldResult dim);
bool isOne(mlir::OpFoldResult dim);
/// The number of elements if all dims are static (and the product fits).
std::optional<int64_t> staticCount(llvm::ArrayRef<mlir::OpFoldResult> dims);
/// The static shape with `ShapedType::kDynamic` for dynamic dims.
llvm::SmallVector<int64_t> shapeOf(llvm::ArrayRef<mlir::OpFoldResult> dims);
mlir::RankedTensorType tensorType(llvm::ArrayRef<mlir::OpFoldResult> dims, mlir::Type element);

/// The numbers if all scalars are constant integers.
std::optional<llvm::SmallVector<int64_t>> constantIntegers(llvm::ArrayRef<mlir::Value> scalars);

class Lowering {
  /// What a dim turned out to be equal to: everywhere (checked when a run starts)
  /// or after an assertion.
  struct Equal {
    mlir::OpFoldResult dim;
    bool isEverywhere;
  };

public:
  Lowering(mlir::ModuleOp module, mlir::FunctionOpInterface source, const LoweringTable &table);

  /// Writes the new @main in place of the old one. Failures have been reported.
  mlir::LogicalResult run();

  /// Lowers the ops of a block (but its terminator) at the insertion point, for
  /// ops with regions whose choice is known. Failures are recorded, not returned.
  void lowerBlock(mlir::Block &block);

  /// While it lives, code goes into a region that may run never or often. At its end
  /// all is forgotten that holds only there: which scalars exist, which dims are
  /// equal, the tensors made of values from outside.
  class Scope {
  public:
    Scope(Lowering &lowering, mlir::Block *body);
    ~Scope();

  private:
    friend class Lowering;
    Lowering &lowering;
    Scope *outer;
    mlir::OpBuilder::InsertionGuard guard;
    ScalarFacts facts;
    llvm::MapVector<mlir::Value, Equal> unified;
    llvm::DenseMap<Lowered *, Lowered> before; // values as they were
  };
  /// The number of failures so far, and back to where there were fewer.
  size_t numFailures() const { return failures.size(); }
  void forgetFailures(size_t count) { failures.erase(failures.begin() + count, failures.end()); }
  /// The op failed as something inside it did, which has been recorded.
  mlir::LogicalResult failInside(mlir::Operation *op) {
    failedOp = op;
    return mlir::failure();
  }

  //===--------------------------------------------------------------------===//
  // Operands, results, failures
  //===--------------------------------------------------------------------===//

  /// Operand i, or null when it is absent or `onnx.NoValue`. Valid until the end.
  Lowered *operand(mlir::Operation *op, unsigned i);
  /// The lowering of any value of the source function, null when it failed.
  Lowered *lowered(mlir::Value source) { return map.lookup(source); }

  /// Result i is this tensor. `dims` are those of `tensor`; `element` is ONNX's.
  Lowered *setTensor(mlir::Operation *op, unsigned i, mlir::Value tensor, Dims dims,
                     mlir::Type element);
  Lowered *setElements(mlir::Operation *op, unsigned i, llvm::SmallVector<mlir::Value> elements,
                       Dims dims, mlir::Type element);
  Lowered *setSplat(mlir::Operation *op, unsigned i, mlir::Value scalar, Dims dims,
                    mlir::Type element);
  Lowered *set(mlir::Value result, Lowered value);
  /// A value that is no result: an element of a sequence.
  Lowered *addValue(Lowered value);
  /// Result i is what another value is.
  void alias(mlir::Value result, Lowered *value) { map[result] = value; }

  /// Records why `op` cannot be lowered: what, why and what to do, without the name
  /// of the op or node (they are added, equal reasons are counted).
  /// `notes` say more about the first node that fails so.
  mlir::LogicalResult fail(mlir::Operation *op, const llvm::Twine &reason,
                           std::vector<std::string> notes = {});

  /// Records for a warning what the user should know of `op`: "stays in float: ..". Those with
  /// the same text are one.
  void note(mlir::Operation *op, const llvm::Twine &text);

  //===--------------------------------------------------------------------===//
  // Attributes (one of the wrong kind fails the op and reads as absent)
  //===--------------------------------------------------------------------===//

  int64_t intAttr(mlir::Operation *op, llvm::StringRef name, int64_t absent);
  double floatAttr(mlir::Operation *op, llvm::StringRef name, double absent);
  std::string stringAttr(mlir::Operation *op, llvm::StringRef name, llvm::StringRef absent);
  std::optional<llvm::SmallVector<int64_t>> intsAttr(mlir::Operation *op, llvm::StringRef name);
  /// `axis` in [-rank, rank) as [0, rank).
  mlir::FailureOr<int64_t> normalizeAxis(mlir::Operation *op, int64_t axis, int64_t rank);
  /// The same for several axes, all different.
  mlir::FailureOr<llvm::SmallVector<int64_t>>
  normalizeAxes(mlir::Operation *op, llvm::ArrayRef<int64_t> axes, int64_t rank);

  /// The version of the default operator set.
  int64_t opset() const { return opsetVersion; }

  //===--------------------------------------------------------------------===//
  // Values
  //===--------------------------------------------------------------------===//

  /// The whole tensor, every broadcast done; signless element type.
  mlir::Value tensor(Lowered *value);
  /// The tensor as stored: dims of `stored`, which `Lowered::dims` broadcasts.
  mlir::Value storedTensor(Lowered *value);
  /// All elements as scalars if they are known and few; also splats and constants.
  std::optional<llvm::SmallVector<mlir::Value>> elements(Lowered *value);
  /// The scalar that all elements are equal to, or null.
  mlir::Value splat(Lowered *value);
  /// Elements of an operand that decides about shapes: constants, shape arithmetic, or
  /// scalars read from the tensor at run time. Fails when these are too many; `what`
  /// names the operand: "shape".
  mlir::FailureOr<llvm::SmallVector<mlir::Value>> knownElements(mlir::Operation *op, unsigned i,
                                                                llvm::StringRef what);
  mlir::FailureOr<llvm::SmallVector<mlir::Value>>
  readElements(mlir::Operation *op, Lowered *value, const llvm::Twine &what);
  /// The same of integers of any type, as i64.
  mlir::FailureOr<llvm::SmallVector<mlir::Value>> knownInts(mlir::Operation *op, unsigned i,
                                                            llvm::StringRef what);
  /// A size that is not known to be at least 0: run time checks it. The result is at
  /// least 0 even so.
  mlir::Value atLeastZero(mlir::Operation *op, mlir::Value size, const llvm::Twine &what);
  /// The same where the values must be constants.
  mlir::FailureOr<llvm::SmallVector<int64_t>> constantInts(mlir::Operation *op, unsigned i,
                                                           llvm::StringRef what);
  /// The constant of a single-element or splat operand, null when it is not constant.
  mlir::TypedAttr constantScalar(Lowered *value);

  //===--------------------------------------------------------------------===//
  // Dimensions
  //===--------------------------------------------------------------------===//

  mlir::OpFoldResult indexAttr(int64_t size) { return builder.getIndexAttr(size); }
  /// A dim as an SSA value, of type index or i64.
  mlir::Value indexValue(mlir::OpFoldResult dim);
  mlir::Value i64Value(mlir::OpFoldResult dim);
  /// An i64 or index scalar as a dim.
  mlir::OpFoldResult toDim(mlir::Value scalar);
  /// A dim as it is known now: after `unify` one of two equal dims stands for both.
  mlir::OpFoldResult resolve(mlir::OpFoldResult dim);
  mlir::OpFoldResult multiply(mlir::OpFoldResult a, mlir::OpFoldResult b);
  mlir::OpFoldResult add(mlir::OpFoldResult a, mlir::OpFoldResult b);
  mlir::OpFoldResult product(llvm::ArrayRef<mlir::OpFoldResult> dims);

  /// Both dims must be equal: what is not provable is asserted at run time, or
  /// becomes a limit of a symbol. Statically unequal ones fail. Returns the more
  /// precise of both. `which` for the message: "dimension 1".
  mlir::FailureOr<mlir::OpFoldResult> unify(mlir::Operation *op, mlir::OpFoldResult a,
                                            mlir::OpFoldResult b, const llvm::Twine &which);
  /// The shape that numpy's broadcasting gives (dims that are not statically 1 and
  /// not equal are unified).
  mlir::FailureOr<Dims> broadcast(mlir::Operation *op, llvm::ArrayRef<Lowered *> operands);
  mlir::FailureOr<Dims> broadcast(mlir::Operation *op, llvm::ArrayRef<mlir::OpFoldResult> a,
                                  llvm::ArrayRef<mlir::OpFoldResult> b);
  /// Fails at run time with "<node>: <what>" when `condition` (i1) is false.
  void assertTrue(mlir::Operation *op, mlir::Value condition, const llvm::Twine &what);
  /// True when every element of an integer tensor is provably in [0, size); this
  /// may give a symbol a maximum.
  bool provablyBelow(Lowered *indices, mlir::OpFoldResult size);

  //===--------------------------------------------------------------------===//
  // Building
  //===--------------------------------------------------------------------===//

  /// Scalar code at the insertion point, folded and shared.
  Scalars scalars(mlir::Location loc) { return Scalars(builder, loc, &facts); }
  mlir::Value emptyTensor(mlir::Location loc, llvm::ArrayRef<mlir::OpFoldResult> dims,
                          mlir::Type element);
  /// A tensor of these dims filled with a scalar (for reductions).
  mlir::Value filledTensor(mlir::Location loc, llvm::ArrayRef<mlir::OpFoldResult> dims,
                           mlir::Value scalar);

  /// The result of an element, from the (signless) scalars of the operands. Runs in
  /// the function or in a `linalg` body; it builds with `Scalars` only.
  using ElementFn = llvm::function_ref<mlir::Value(Scalars &, mlir::ValueRange)>;
  /// Result 0 of `op` := fn of the broadcast operands. Known elements and splats are
  /// computed as scalars; otherwise one `linalg.generic`, into whose body constant
  /// scalars go. `element` is ONNX's element type of the result.
  mlir::LogicalResult elementwise(mlir::Operation *op, llvm::ArrayRef<Lowered *> operands,
                                  mlir::Type element, ElementFn fn);
  /// The same without an op to define: returns the value.
  mlir::FailureOr<Lowered> mapElements(mlir::Operation *op, llvm::ArrayRef<Lowered *> operands,
                                       mlir::Type element, ElementFn fn);
  /// `elementwise` of float operands of one type. f16 and bf16 are computed in f32 and
  /// rounded once; `fn` sees f32 or f64.
  mlir::LogicalResult floatElementwise(mlir::Operation *op, llvm::ArrayRef<Lowered *> operands,
                                       ElementFn fn);
  /// Result 0 has the elements of `value` in another shape (equal counts).
  void setReshaped(mlir::Operation *op, Lowered *value, Dims dims);
  /// Sizes given by the elements of operand i, which must not be negative.
  mlir::FailureOr<Dims> sizesFrom(mlir::Operation *op, unsigned i, llvm::StringRef what);

  /// Reinterprets a tensor: same elements in row-major order. Becomes at most one
  /// expand_shape or collapse_shape where unchanged dims show how to group.
  mlir::Value reshape(mlir::Location loc, mlir::Value tensor, llvm::ArrayRef<mlir::OpFoldResult> from,
                      llvm::ArrayRef<mlir::OpFoldResult> to);
  /// dims[i] of the result is dims[perm[i]] of the operand.
  mlir::Value transpose(mlir::Location loc, mlir::Value tensor,
                        llvm::ArrayRef<mlir::OpFoldResult> dims, llvm::ArrayRef<int64_t> perm);

  mlir::OpBuilder builder;
  ScalarFacts facts;

private:
  struct Symbol {
    std::string name;
    mlir::Value dim; // null when its range is one number
    Interval range;
    bool limited = false;
  };
  friend class Scope;
  /// Before a form is added to a value.
  void keep(Lowered *value) {
    if (scope && owned.contains(value))
      scope->before.try_emplace(value, *value);
  }

  struct Failure {
    std::string op, reason, firstNode;
    mlir::Location loc;
    unsigned count = 0;
    std::vector<std::string> notes;
  };

  void lowerOp(mlir::Operation *op);
  void checkDeclared(mlir::Operation *op);
  mlir::LogicalResult readModule();
  mlir::LogicalResult lowerArguments();
  mlir::LogicalResult lowerReturn();
  void applyUnified();
  void eraseDead();
  /// Equal ones are counted.
  static void record(std::vector<Failure> &all, mlir::Operation *op, const llvm::Twine &reason,
                     std::vector<std::string> notes);
  static void report(Failure &failure, mlir::DiagnosticSeverity severity);
  Symbol *symbolOf(mlir::OpFoldResult dim);
  /// "3", the name of a symbol, or "?".
  std::string dimText(mlir::OpFoldResult dim);
  /// Where dim `place` of a value was first there.
  std::pair<mlir::Value, size_t> dimSource(mlir::Value value, size_t place);
  std::string dimOrigin(std::pair<mlir::Value, size_t> source);
  std::string typeText(Lowered *value);
  /// For messages: the types of the operands, and where dims come from: those that should be equal
  /// and are not, or without any all that an operand's own definer did not make.
  std::vector<std::string> describeOperands(mlir::Operation *op,
                                            llvm::ArrayRef<mlir::OpFoldResult> unequal = {});
  /// Gives a symbol a smaller maximum; false when its minimum is above.
  bool limit(Symbol &symbol, int64_t max);

  mlir::ModuleOp module;
  mlir::FunctionOpInterface source, target;
  const LoweringTable &table;
  int64_t opsetVersion = 0;
  std::vector<Symbol> symbols;
  llvm::MapVector<mlir::Value, Equal> unified;
  std::deque<Lowered> values;
  llvm::DenseSet<const Lowered *> owned; // those in `values`, not copies of them
  llvm::DenseMap<mlir::Value, Lowered *> map;
  std::vector<Failure> failures, noted;
  mlir::Operation *failedOp = nullptr;
  mlir::Operation *loweredOp = nullptr; // whose rule runs
  Scope *scope = nullptr;
};

} // namespace sq

#endif
