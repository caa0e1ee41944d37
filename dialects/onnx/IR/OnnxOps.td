#ifndef SQ_ONNX_OPS
#define SQ_ONNX_OPS

include "mlir/IR/OpBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Onnx_Dialect : Dialect {
  let name = "onnx";
  let cppNamespace = "::sq::onnx";
  let summary = "the ONNX operators, as a file has them";
}

class Onnx_Op<string mnemonic, list<Trait> traits = []>
    : Op<Onnx_Dialect, mnemonic, !listconcat([Pure], traits)>;

def Onnx_NoValueOp : Onnx_Op<"NoValue"> {
  let summary = "stands for an optional input that is not given";
  let results = (outs NoneType:$result);
  let assemblyFormat = "attr-dict";
}

#endif
