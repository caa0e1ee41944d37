#include "dialects/sq/IR/SqOps.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/Quant/IR/Quant.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;

#include "dialects/sq/IR/SqDialect.cpp.inc"
#include "dialects/sq/IR/SqInterfaces.cpp.inc"

void sq::SqDialect::initialize() {
  addOperations<
#define GET_OP_LIST
#include "dialects/sq/IR/SqOps.cpp.inc"
      >();
}
