/// The `sq` dialect and its operations.
#ifndef SQ_DIALECTS_SQ_IR_SQOPS_H
#define SQ_DIALECTS_SQ_IR_SQOPS_H

#include "mlir/Dialect/Quant/IR/QuantTypes.h"
#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/ControlFlowInterfaces.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"
#include "mlir/Interfaces/ViewLikeInterface.h"

#include "dialects/sq/IR/SqInterfaces.h"
#include "lib/numerics/IntegerPiecewise.h"

#include "dialects/sq/IR/SqDialect.h.inc"
#define GET_OP_CLASSES
#include "dialects/sq/IR/SqOps.h.inc"

#endif
