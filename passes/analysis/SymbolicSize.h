/// Sizes as formulas of the model's symbolic dims.
#ifndef SQ_PASSES_ANALYSIS_SYMBOLICSIZE_H
#define SQ_PASSES_ANALYSIS_SYMBOLICSIZE_H

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "llvm/ADT/DenseMap.h"
#include "mlir/IR/Value.h"

namespace sq {

/// A polynomial with integer coefficients. What is no polynomial (a maximum, a
/// rounded quotient) is a factor of its own, as text. Factors are never
/// negative: dims, and functions of sizes. A size that cannot be told (it
/// depends on data, or a coefficient overflows) is unknown, and so is
/// everything computed from it.
class SymbolicSize {
public:
  SymbolicSize(int64_t constant = 0);
  /// `symbol` in the spelling of lib/support/SizeText.h.
  static SymbolicSize symbol(std::string symbol);
  static SymbolicSize unknown();

  bool isKnown() const { return known; }
  std::optional<int64_t> constant() const;

  SymbolicSize operator+(const SymbolicSize &other) const;
  SymbolicSize operator-(const SymbolicSize &other) const;
  SymbolicSize operator*(const SymbolicSize &other) const;
  SymbolicSize &operator+=(const SymbolicSize &other) { return *this = *this + other; }
  SymbolicSize &operator*=(const SymbolicSize &other) { return *this = *this * other; }
  bool operator==(const SymbolicSize &other) const;

  /// Whether `symbol` takes part; of nested functions only their text is looked at.
  bool mentions(const SymbolicSize &symbol) const;

  /// Certainly not below `other`, for all dims.
  bool atLeast(const SymbolicSize &other) const;

  /// Simplified where the result is certain for all dims: the larger polynomial
  /// has coefficients at least as large, the division is without remainder, the
  /// size is aligned already.
  static SymbolicSize max(const SymbolicSize &a, const SymbolicSize &b);
  static SymbolicSize min(const SymbolicSize &a, const SymbolicSize &b);
  static SymbolicSize floorDiv(const SymbolicSize &a, const SymbolicSize &b);
  static SymbolicSize ceilDiv(const SymbolicSize &a, const SymbolicSize &b);
  static SymbolicSize mod(const SymbolicSize &a, const SymbolicSize &b);
  static SymbolicSize align(const SymbolicSize &a, int64_t multiple);

  /// Text for sq::evaluateSize; higher powers first. "?" when unknown.
  std::string text() const;

private:
  using Factors = std::vector<std::string>; // sorted, repeated for powers
  static SymbolicSize call(const char *name, const SymbolicSize &a, const SymbolicSize &b);
  void add(const Factors &factors, int64_t coefficient);

  bool known = true;
  std::map<Factors, int64_t> terms; // without zeros
};

/// Formulas of index values and extents in one function whose arguments have
/// `sq.dims` and `sq.name`. A dim without a symbol is called NAME:AXIS.
class SymbolicSizes {
public:
  SymbolicSize of(mlir::Value index);
  /// The extent of dim `dim` of a memref, traced through views to where the
  /// buffer was made; of a tensor likewise, as far as shapes are handed on.
  SymbolicSize extent(mlir::Value memref, int64_t dim);
  /// Elements of a memref, and their bytes.
  SymbolicSize elements(mlir::Value memref);
  SymbolicSize bytes(mlir::Value memref);

private:
  SymbolicSize compute(mlir::Value index);

  llvm::DenseMap<mlir::Value, SymbolicSize> cache;
};

/// Bytes of one element in memory: booleans have one, an index eight.
int64_t bytesPerElement(mlir::Type element);

} // namespace sq

#endif
