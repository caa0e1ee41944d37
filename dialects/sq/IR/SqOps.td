// The `sq` dialect: what is about squeezing and not yet expressed upstream.
#ifndef SQ_OPS
#define SQ_OPS

include "mlir/IR/OpBase.td"
include "mlir/IR/BuiltinAttributes.td"
include "mlir/Interfaces/DestinationStyleOpInterface.td"
include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "mlir/Interfaces/ControlFlowInterfaces.td"
include "mlir/Interfaces/ViewLikeInterface.td"

include "dialects/sq/IR/SqDialect.td"
include "dialects/sq/IR/SqCacheOps.td"
include "dialects/sq/IR/SqGraphOps.td"
include "dialects/sq/IR/SqIntegerOps.td"
include "dialects/sq/IR/SqKernelOps.td"
include "dialects/sq/IR/SqLossOps.td"
include "dialects/sq/IR/SqQuantOps.td"
include "dialects/sq/IR/SqSparseOps.td"

#endif
