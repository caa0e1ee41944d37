/// Access to sq_kernel_context (include/sq/kernel_abi.h) from the LLVM dialect.
#ifndef SQ_CODEGEN_COMMON_KERNELCONTEXT_H
#define SQ_CODEGEN_COMMON_KERNELCONTEXT_H

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"
#include "mlir/IR/PatternMatch.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "sq/kernel_abi.h"

namespace sq {

/// Loads the field at byte `offset` of the context.
inline mlir::Value loadContextField(mlir::ImplicitLocOpBuilder &b, mlir::Value context,
                                    size_t offset, mlir::Type type) {
  auto ptr = mlir::LLVM::LLVMPointerType::get(b.getContext());
  mlir::Value at = mlir::LLVM::GEPOp::create(b, ptr, b.getI8Type(), context,
                                             llvm::ArrayRef<mlir::LLVM::GEPArg>{
                                                 static_cast<int32_t>(offset)});
  return mlir::LLVM::LoadOp::create(b, type, at);
}

/// Calls the callback at byte `offset`, with the context as first argument.
inline mlir::LLVM::CallOp callContext(mlir::ImplicitLocOpBuilder &b, mlir::Value context,
                                      size_t offset, mlir::Type result,
                                      llvm::ArrayRef<mlir::Value> args) {
  auto ptr = mlir::LLVM::LLVMPointerType::get(b.getContext());
  llvm::SmallVector<mlir::Value> operands = {loadContextField(b, context, offset, ptr), context};
  operands.append(args.begin(), args.end());
  llvm::SmallVector<mlir::Type> types = {ptr};
  for (mlir::Value v : args)
    types.push_back(v.getType());
  auto type = mlir::LLVM::LLVMFunctionType::get(
      result ? result : mlir::Type(mlir::LLVM::LLVMVoidType::get(b.getContext())), types);
  return mlir::LLVM::CallOp::create(b, type, operands);
}

/// The context: the first argument of the function around `op`.
inline mlir::Value contextOf(mlir::Operation *op) {
  auto func = op->getParentOfType<mlir::FunctionOpInterface>();
  return func.getFunctionBody().front().getArgument(0);
}

/// Memory for one `type` in the frame of the function, wherever `op` stands.
inline mlir::Value frameSlot(mlir::ImplicitLocOpBuilder &b, mlir::Operation *op, mlir::Type type) {
  mlir::OpBuilder::InsertionGuard guard(b);
  auto func = op->getParentOfType<mlir::FunctionOpInterface>();
  b.setInsertionPointToStart(&func.getFunctionBody().front());
  mlir::Value one = mlir::LLVM::ConstantOp::create(b, b.getI64Type(), 1);
  return mlir::LLVM::AllocaOp::create(b, mlir::LLVM::LLVMPointerType::get(b.getContext()), type, one);
}

/// Ends the function with a status when `condition` is false.
inline void returnUnless(mlir::RewriterBase &rewriter, mlir::Location loc, mlir::Value condition) {
  mlir::Block *before = rewriter.getInsertionBlock();
  mlir::Block *after = rewriter.splitBlock(before, rewriter.getInsertionPoint());
  mlir::Block *stop = rewriter.createBlock(after);
  mlir::Value one = mlir::LLVM::ConstantOp::create(rewriter, loc, rewriter.getI32Type(), 1);
  mlir::LLVM::ReturnOp::create(rewriter, loc, one);
  rewriter.setInsertionPointToEnd(before);
  mlir::LLVM::CondBrOp::create(rewriter, loc, condition, after, stop);
  rewriter.setInsertionPointToStart(after);
}

} // namespace sq

#endif
