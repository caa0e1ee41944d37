/// The `onnx` dialect: one op per ONNX operator.
#ifndef SQ_DIALECTS_ONNX_IR_ONNXOPS_H
#define SQ_DIALECTS_ONNX_IR_ONNXOPS_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

#include "dialects/onnx/IR/OnnxDialect.h.inc"
#define GET_TYPEDEF_CLASSES
#include "dialects/onnx/IR/OnnxTypes.h.inc"
#define GET_OP_CLASSES
#include "dialects/onnx/IR/OnnxOps.h.inc"

#endif
