#ifndef SQ_DIALECT
#define SQ_DIALECT

include "mlir/IR/OpBase.td"

def Sq_Dialect : Dialect {
  let name = "sq";
  let cppNamespace = "::sq";
  let summary = "squeezed transformer inference";
  let description = [{
    Composites of transformer graphs and the kernels made from them. What
    upstream dialects express well is not defined again: the long tail lives in
    `linalg`, `tensor`, `arith` and `math`.

    Composites come in destination-passing style, like `linalg`: `ins` are read,
    `outs` gives the shape of the result (and, once bufferized, its memory).
  }];
  let dependentDialects = ["arith::ArithDialect", "tensor::TensorDialect", "quant::QuantDialect"];
}

class Sq_Op<string mnemonic, list<Trait> traits = []>
    : Op<Sq_Dialect, mnemonic, traits>;

// A composite in destination-passing style: tensors in and out, or memrefs and
// no result.
class Sq_DpsOp<string mnemonic, list<Trait> traits = []>
    : Sq_Op<mnemonic, !listconcat([DestinationStyleOpInterface,
        DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>,
        DeclareOpInterfaceMethods<MemoryEffectsOpInterface>], traits)> {
  code dpsDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getOutsMutable(); }
  }];
  let extraClassDeclaration = dpsDeclaration;
  let hasVerifier = 1;
}

def Sq_F32Shaped : AnyTypeOf<[TensorOf<[F32, F64, F16, BF16]>, MemRefOf<[F32, F64, F16, BF16]>],
                             "ranked tensor or memref of floats">;

// Upstream's !quant.uniform, any of its kinds. Graphs have them, kernels their storage.
def Sq_Quantized : Type<CPred<"::llvm::isa<::mlir::quant::QuantizedType>($_self)">, "quantised element">;

def Sq_QuantizedTensor : TensorOf<[Sq_Quantized]>;

def Sq_FloatOrQuantizedShaped : AnyTypeOf<[Sq_F32Shaped, Sq_QuantizedTensor],
                                          "ranked tensor or memref of floats, or tensor of quantised elements">;

def Sq_NumberShaped : AnyTypeOf<[TensorOf<[F32, F64, F16, BF16, AnySignlessInteger]>,
                                 MemRefOf<[F32, F64, F16, BF16, AnySignlessInteger]>],
                                "ranked tensor or memref of floats or integers">;

def Sq_IndexShaped : AnyTypeOf<[TensorOf<[I64]>, MemRefOf<[I64]>], "ranked tensor or memref of i64">;

#endif
