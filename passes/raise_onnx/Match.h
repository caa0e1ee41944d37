/// Reading and building `onnx` ops by name, for the patterns of `--sq-raise-onnx`.
#ifndef SQ_PASSES_RAISE_ONNX_MATCH_H
#define SQ_PASSES_RAISE_ONNX_MATCH_H

#include "mlir/IR/PatternMatch.h"

#include <optional>

namespace sq {

/// Equal to a relative 1e-3: exporters print constants with three or more digits.
bool isClose(double a, double b);

/// The op that defines `v` if it has this name ("onnx.Add"), or null.
mlir::Operation *definedBy(mlir::Value v, llvm::StringRef onnxName);
/// The op has exactly this many operands.
bool hasOperands(mlir::Operation *op, unsigned count);
/// The value of a constant with one element (through Cast and Sqrt), as a double.
std::optional<double> scalarConstant(mlir::Value v);
/// Looks through casts between floats that lose nothing.
mlir::Value skipWidening(mlir::Value v);
/// Calls `match` with both orders of the operands of the binary `op` until it holds.
bool eitherOrder(mlir::Operation *op, llvm::function_ref<bool(mlir::Value, mlir::Value)> match);

mlir::Operation *createOnnx(mlir::PatternRewriter &rewriter, mlir::Location loc,
                            llvm::StringRef name, mlir::ValueRange operands,
                            mlir::TypeRange results,
                            llvm::ArrayRef<mlir::NamedAttribute> attributes = {});

// One per file of passes/raise_onnx.
void populateRaiseActivations(mlir::RewritePatternSet &patterns);
void populateRaiseMicrosoft(mlir::RewritePatternSet &patterns);
void populateRaiseNorms(mlir::RewritePatternSet &patterns);
void populateRaiseQuantizedConstants(mlir::RewritePatternSet &patterns);
void populateRaiseSequences(mlir::RewritePatternSet &patterns);

} // namespace sq

#endif
