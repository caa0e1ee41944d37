/// A graph of floats, rewritten op by op to one of integers.
///
/// Every float value has, once its op is converted, a way to be had as integers in any `Form`; who
/// reads it asks for the form it needs. A value that only one form is asked of is made in that form
/// by the op itself, others are kept in 16 bits (`Raw`) and requantized from there.
#ifndef SQ_PASSES_INTEGER_ONLY_CONVERTER_H
#define SQ_PASSES_INTEGER_ONLY_CONVERTER_H

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

#include <functional>
#include <optional>

#include "dialects/sq/IR/SqOps.h"
#include "lib/calibration/Range.h"
#include "lib/calibration/StatsFile.h"
#include "passes/Borders.h"
#include "passes/LayerDecisions.h"
#include "passes/QuantizedWeight.h"

namespace sq {

/// How a number x of channel c (of the last dim) is written: clamp(round(x * factors[c] / scale) + zero).
struct Form {
  int bits = 8;
  bool isUnsigned = false;
  double scale = 1;
  int64_t zero = 0;
  std::vector<float> factors = {}; // empty: 1

  bool operator==(const Form &other) const {
    return bits == other.bits && isUnsigned == other.isUnsigned && scale == other.scale && zero == other.zero &&
           factors == other.factors;
  }
  /// Of the integers that store it.
  mlir::Type storage(mlir::MLIRContext *context) const;
  /// x = (q - zero) * step(c).
  double step(size_t channel) const { return factors.empty() ? scale : scale / factors[channel]; }
};

/// Integers as an op left them: x = (q - zero) * scales[c].
struct Raw {
  mlir::Value value;
  std::vector<double> scales; // one, or one per channel of the last dim
  int bits;
  bool isUnsigned = false;
  int64_t zero = 0;
};

/// Softmax of a sum with less than that is 0: what masks add.
inline constexpr double kMasked = -9.99e3;

/// A float of two values only, as masks are: bits (i1) and what they mean.
struct TwoValued {
  mlir::Value bits;
  double atFalse, atTrue;
};

/// A converted value.
struct Known {
  /// The op in this form; null: `raw` is requantized.
  std::function<mlir::Value(const Form &)> direct;
  /// For those that read sums as they are, and several forms.
  std::function<Raw()> raw;
  bool perChannel = true; // forms may have factors
  std::optional<Raw> kept = std::nullopt; // what `raw` gave
  llvm::SmallVector<std::pair<Form, mlir::Value>, 2> made = {};
};

/// Why an op stayed, for --sq-verify-integer-only.
inline constexpr char kReason[] = "sq.float_because";

class IntegerConverter {
public:
  IntegerConverter(mlir::func::FuncOp func, const calibration::Stats &stats, const calibration::RangeOptions &ranges,
                   bool hasFeedback);

  void run();

private:
  using Op = mlir::Operation;
  mlir::func::FuncOp func;
  mlir::ImplicitLocOpBuilder b;
  calibration::RangeOptions ranges;
  bool hasFeedback; // see QuantizedWeight
  llvm::DenseMap<mlir::Value, const calibration::TensorStats *> observed;
  llvm::DenseMap<mlir::Value, Known> known;
  llvm::DenseMap<mlir::Value, TwoValued> masks;
  llvm::DenseMap<mlir::Value, mlir::Value> counts; // floats that are sums of masks: these in i32

  /// Linear layers that read one value, and their common weight.
  struct Group {
    QuantizedWeight weight;
    Form form;
    llvm::DenseMap<Op *, int64_t> firstColumn;
  };
  llvm::DenseMap<mlir::Value, std::unique_ptr<Group>> groups; // by what is read, before reshapes

  //===-- Converter.cpp ------------------------------------------------------===//
  /// Fills in what became of a layer.
  void describe(LinearOp op, LayerDecision &layer) const;
  /// False, with the reason in `why`, when the op stays in float.
  bool convert(Op *op);
  bool refuse(const llvm::Twine &reason) {
    why = reason.str();
    return false;
  }
  std::string why;
  /// Integers of `v`.
  mlir::Value get(mlir::Value v, const Form &form);
  Raw rawOf(mlir::Value v);
  bool isKnown(mlir::Value v);
  /// Keeps what `direct` makes in a form of its own where several are asked of `v`.
  void define(mlir::Value v, std::function<mlir::Value(const Form &)> direct, bool perChannel = true);
  void defineRaw(mlir::Value v, Raw raw);
  bool hasOneForm(mlir::Value v);
  /// `v` itself, with the reason at its op, when it has no integer form after all.
  mlir::Value dequantize(mlir::Value v, mlir::Location loc, llvm::StringRef border);
  mlir::Value quantize(mlir::Value v, const Form &form, llvm::StringRef border);
  void finish();

  //===-- Forms.cpp ----------------------------------------------------------===//
  const calibration::TensorStats *statsOf(mlir::Value v);
  /// 16 bits with room beyond what was seen, or 22 where 16 are too coarse for most of it.
  Form wideForm(const calibration::TensorStats &stats);
  Form signedForm(const calibration::TensorStats &stats);
  Form unsignedForm(const calibration::TensorStats &stats);
  mlir::Value requantize(const Raw &from, const Form &to);
  mlir::Value constant(mlir::Value v, const Form &form);
  mlir::Value emptyLike(mlir::Value v, mlir::Type element);

  //===-- Layers.cpp ---------------------------------------------------------===//
  Group *groupOf(LinearOp op);
  bool convertLinear(LinearOp op);
  bool convertContraction(mlir::linalg::GenericOp op);
  template <typename OpTy> bool convertNorm(OpTy op, bool centred);
  /// Kept as `kept` where several forms are asked of it.
  void defineNorm(mlir::Value result, mlir::Value x, const Form &wide, bool centred, double epsilon, std::vector<double> gamma,
                  std::vector<double> beta, mlir::Location loc, const Form &kept);
  bool convertEmbedding(EmbeddingOp op);
  bool convertAttention(AttentionOp op);

  //===-- Pointwise.cpp ------------------------------------------------------===//
  enum class Activation { Gelu, Silu, Tanh, Sigmoid, Other };
  bool convertActivation(mlir::Value x, mlir::Value result, Activation kind, llvm::function_ref<std::optional<double>(double)> f);
  /// A product with a positive number, in whatever way it is written (a NaN becoming 0, as behind attention, included).
  bool convertFactor(mlir::Value x, mlir::Value result, llvm::function_ref<std::optional<double>(double)> f);
  bool convertGeneric(mlir::linalg::GenericOp op);
  bool convertSum(mlir::linalg::GenericOp op);
  bool convertMask(mlir::linalg::GenericOp op);

  //===-- Pooling.cpp --------------------------------------------------------===//
  bool convertMasked(mlir::linalg::GenericOp op);
  bool convertReduction(mlir::linalg::GenericOp op);
  bool convertCount(mlir::linalg::GenericOp op);
  bool convertQuotient(mlir::linalg::GenericOp op);

  //===-- Movement.cpp -------------------------------------------------------===//
  bool isMovement(Op *op);
  bool convertMovement(Op *op);
};

/// Integer factors for ratios of scales, all over 2^exponent.
struct Factors {
  llvm::SmallVector<int64_t> m;
  int exponent;
};
/// The finest exponent for which all factors stay below 2^width; none when it is not 1 to 62 (a
/// larger one is lowered).
std::optional<Factors> factorsOf(llvm::ArrayRef<double> ratios, int width);

inline constexpr char kRounding[] = "half_up"; // one addition and a shift; half_even takes four ops more

} // namespace sq

#endif
