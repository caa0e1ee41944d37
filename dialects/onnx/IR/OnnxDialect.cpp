#include "dialects/onnx/IR/OnnxOps.h"

using namespace mlir;

#include "dialects/onnx/IR/OnnxDialect.cpp.inc"

void sq::onnx::OnnxDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/onnx/IR/OnnxOps.cpp.inc"
      >();
}

#define GET_OP_CLASSES
#include "dialects/onnx/IR/OnnxOps.cpp.inc"
