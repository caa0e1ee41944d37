// The ONNX operators that sq knows. Attributes are the union over all opsets, so that one op stands
// for every version; `onnx.opset_imports` of the module says which version is meant.
#ifndef SQ_ONNX_OPS
#define SQ_ONNX_OPS

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinAttributeInterfaces.td"
include "mlir/IR/OpBase.td"
include "mlir/Interfaces/SideEffectInterfaces.td"

def Onnx_Dialect : Dialect {
  let name = "onnx";
  let cppNamespace = "::sq::onnx";
  let summary = "the ONNX operators, as a file has them";
  let description = [{
    What the importer makes and `--sq-lower-onnx` consumes: one op per node, with the node's
    operands, results and attributes in the file's order and under the file's names. Nothing is
    normalised here. An omitted input is the result of `onnx.NoValue`, a node whose operator is
    not below (or not in the opset that the model imports) is an `onnx.Custom`, a graph attribute
    is a region ended by `onnx.Yield` and named in `region_names`. Initializers and `Constant`
    nodes are `onnx.Constant`. Node names are locations.

    A constant of more than 1,024 bytes is a resource whose blob holds ONNX's own layout: little
    endian, booleans a byte each, 4-bit elements two to a byte and the first in the low half, at
    any alignment.

    Types are those that the file states and onnx's shape inference finds: `tensor<?x4xf32>`,
    `tensor<*xf32>` when the rank is unknown, `!onnx.unknown` when nothing is. Unsigned integers
    are `ui8` and so on, strings `!onnx.string`.

    Example:
    ```mlir
    module attributes {onnx.ir_version = 8 : i64, onnx.opset_imports = {"ai.onnx" = 17 : i64}} {
      func.func @main(%x: tensor<?x4xf32> {onnx.name = "x", onnx.dims = ["batch", ""]})
          -> (tensor<?x4xf32> {onnx.name = "y", onnx.dims = ["batch", ""]}) {
        %w = onnx.Constant() {value = dense<0.5> : tensor<4xf32>} : () -> tensor<4xf32>
        %0 = onnx.Mul(%x, %w) : (tensor<?x4xf32>, tensor<4xf32>) -> tensor<?x4xf32>
        %1 = onnx.Softmax(%0) {axis = -1 : i64} : (tensor<?x4xf32>) -> tensor<?x4xf32>
        return %1 : tensor<?x4xf32>
      }
    }
    ```
  }];
  let useDefaultTypePrinterParser = 1;
}

// Types.

class Onnx_Type<string name, string typeMnemonic> : TypeDef<Onnx_Dialect, name> {
  let mnemonic = typeMnemonic;
}

def Onnx_StringType : Onnx_Type<"String", "string"> {
  let summary = "the element type of a tensor of strings";
}
def Onnx_UnknownType : Onnx_Type<"Unknown", "unknown"> {
  let summary = "a value of which neither the file nor shape inference tells a type";
}
def Onnx_SeqType : Onnx_Type<"Seq", "seq"> {
  let summary = "a sequence of values of one type";
  let parameters = (ins "::mlir::Type":$element);
  let assemblyFormat = "`<` $element `>`";
}
def Onnx_OptType : Onnx_Type<"Opt", "opt"> {
  let summary = "a value that may be absent";
  let parameters = (ins "::mlir::Type":$element);
  let assemblyFormat = "`<` $element `>`";
}
def Onnx_MapType : Onnx_Type<"Map", "map"> {
  let summary = "a map from integers or strings to values of one type";
  let parameters = (ins "::mlir::Type":$key, "::mlir::Type":$value);
  let assemblyFormat = "`<` $key `,` $value `>`";
}
def Onnx_SparseType : Onnx_Type<"Sparse", "sparse"> {
  let summary = "a sparse tensor; the parameter is the dense type";
  let parameters = (ins "::mlir::Type":$dense);
  let assemblyFormat = "`<` $dense `>`";
}

def Onnx_Value : AnyTypeOf<[AnyTensor, NoneType, Onnx_UnknownType, Onnx_SeqType, Onnx_OptType,
                            Onnx_MapType, Onnx_SparseType], "ONNX value">;

// Attributes, as the importer translates them.

def Onnx_Int : OptionalAttr<I64Attr>;
def Onnx_Float : OptionalAttr<F32Attr>;
def Onnx_Str : OptionalAttr<StrAttr>;
def Onnx_Ints : OptionalAttr<DenseI64ArrayAttr>;
def Onnx_Floats : OptionalAttr<DenseF32ArrayAttr>;
def Onnx_Strs : OptionalAttr<StrArrayAttr>;
def Onnx_Tensor : OptionalAttr<ElementsAttr>;

// Ops. None is speculatable: most have inputs that ONNX leaves undefined or makes an error.

class Onnx_Op<string mnemonic, dag attributes = (ins), list<Trait> traits = []>
    : Op<Onnx_Dialect, mnemonic, !listconcat([NoMemoryEffect], traits)> {
  let arguments = !con((ins Variadic<Onnx_Value>:$inputs), attributes);
  let results = (outs Variadic<Onnx_Value>:$outputs);
  let assemblyFormat = "`(` $inputs `)` attr-dict `:` functional-type($inputs, $outputs)";
}

// An op with graph attributes: one region each, in the order of `region_names`, with the values of
// the enclosing graphs visible inside.
class Onnx_RegionOp<string mnemonic, dag attributes = (ins)>
    : Op<Onnx_Dialect, mnemonic, [RecursiveMemoryEffects]> {
  let arguments = !con((ins Variadic<Onnx_Value>:$inputs, StrArrayAttr:$region_names), attributes);
  let regions = (region VariadicRegion<SizedRegion<1>>:$graphs);
  let results = (outs Variadic<Onnx_Value>:$outputs);
  let assemblyFormat = [{
    `(` $inputs `)` attr-dict-with-keyword `:` functional-type($inputs, $outputs) $graphs
  }];
}

def Onnx_NoValueOp : Op<Onnx_Dialect, "NoValue", [Pure]> {
  let summary = "stands for an optional input that is not given";
  let results = (outs NoneType:$result);
  let assemblyFormat = "attr-dict";
}

def Onnx_CustomOp : Op<Onnx_Dialect, "Custom"> {
  let summary = "a node whose operator sq does not know";
  let description = [{
    Any domain, any operator, any attribute: those of the node are in the dictionary `attributes`
    (not declared here, its accessor would hide one of MLIR's). `opset` is the version of `domain`
    that the model imports. What the node does is unknown, so it has unknown effects and is never
    removed before it has been reported.
  }];
  let arguments = (ins Variadic<Onnx_Value>:$inputs, StrAttr:$domain, StrAttr:$op_type,
                   I64Attr:$opset, OptionalAttr<StrArrayAttr>:$region_names);
  let regions = (region VariadicRegion<SizedRegion<1>>:$graphs);
  let results = (outs Variadic<Onnx_Value>:$outputs);
  let assemblyFormat = [{
    $domain $op_type `(` $inputs `)` attr-dict-with-keyword
    `:` functional-type($inputs, $outputs) $graphs
  }];
}

def Onnx_YieldOp : Op<Onnx_Dialect, "Yield", [Pure, Terminator]> {
  let summary = "the outputs of a graph attribute";
  let arguments = (ins Variadic<Onnx_Value>:$outputs);
  let assemblyFormat = "attr-dict ($outputs^ `:` type($outputs))?";
}

// Control flow.

foreach name = ["If", "Loop"] in
  def Onnx_#name#Op : Onnx_RegionOp<name>;
def Onnx_ScanOp : Onnx_RegionOp<"Scan", (ins I64Attr:$num_scan_inputs,
      Onnx_Ints:$scan_input_axes, Onnx_Ints:$scan_input_directions,
      Onnx_Ints:$scan_output_axes, Onnx_Ints:$scan_output_directions)>;

// Elementwise, one input (Dropout: and a mask).

foreach name = ["Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BitwiseNot", "Ceil",
                "Cos", "Cosh", "Erf", "Exp", "Floor", "Identity", "IsNaN", "Log", "Neg", "Not",
                "Reciprocal", "Round", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign",
                "Sqrt", "Tan", "Tanh", "Relu", "HardSwish", "Mish"] in
  def Onnx_#name#Op : Onnx_Op<name>;
foreach name = ["Celu", "Elu", "LeakyRelu", "Swish", "ThresholdedRelu"] in
  def Onnx_#name#Op : Onnx_Op<name, (ins Onnx_Float:$alpha)>;
def Onnx_GeluOp : Onnx_Op<"Gelu", (ins Onnx_Str:$approximate)>;
def Onnx_HardSigmoidOp : Onnx_Op<"HardSigmoid", (ins Onnx_Float:$alpha, Onnx_Float:$beta)>;
def Onnx_IsInfOp : Onnx_Op<"IsInf", (ins Onnx_Int:$detect_negative, Onnx_Int:$detect_positive)>;
def Onnx_SeluOp : Onnx_Op<"Selu", (ins Onnx_Float:$alpha, Onnx_Float:$gamma)>;
def Onnx_ShrinkOp : Onnx_Op<"Shrink", (ins Onnx_Float:$bias, Onnx_Float:$lambd)>;
def Onnx_DropoutOp : Onnx_Op<"Dropout", (ins Onnx_Int:$seed, Onnx_Float:$ratio)>;

// Elementwise, several inputs.

foreach name = ["Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor", "Equal", "Greater", "Less"]
                in
  def Onnx_#name#Op : Onnx_Op<name, (ins Onnx_Int:$axis, Onnx_Int:$broadcast)>;
def Onnx_ModOp : Onnx_Op<"Mod", (ins Onnx_Int:$fmod)>;
foreach name = ["BitwiseAnd", "BitwiseOr", "BitwiseXor", "GreaterOrEqual", "LessOrEqual", "Max",
                "Min", "Mean", "Sum", "PRelu", "Where"] in
  def Onnx_#name#Op : Onnx_Op<name>;
def Onnx_BitShiftOp : Onnx_Op<"BitShift", (ins StrAttr:$direction)>;
def Onnx_ClipOp : Onnx_Op<"Clip", (ins Onnx_Float:$max, Onnx_Float:$min)>;

// Types.

def Onnx_CastOp : Onnx_Op<"Cast", (ins Onnx_Str:$round_mode, Onnx_Int:$saturate, I64Attr:$to)>;
def Onnx_CastLikeOp : Onnx_Op<"CastLike", (ins Onnx_Str:$round_mode, Onnx_Int:$saturate)>;
def Onnx_BitCastOp : Onnx_Op<"BitCast", (ins I64Attr:$to)>;
def Onnx_QuantizeLinearOp : Onnx_Op<"QuantizeLinear", (ins Onnx_Int:$axis, Onnx_Int:$block_size,
      Onnx_Int:$output_dtype, Onnx_Int:$precision, Onnx_Int:$saturate)>;
def Onnx_DequantizeLinearOp : Onnx_Op<"DequantizeLinear", (ins Onnx_Int:$axis,
      Onnx_Int:$block_size, Onnx_Int:$output_dtype)>;
def Onnx_DynamicQuantizeLinearOp : Onnx_Op<"DynamicQuantizeLinear">;

// Reductions, scans and searches.

foreach name = ["ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax",
                "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"] in
  def Onnx_#name#Op : Onnx_Op<name, (ins Onnx_Int:$keepdims, Onnx_Int:$noop_with_empty_axes,
      Onnx_Ints:$axes)>;
foreach name = ["ArgMax", "ArgMin"] in
  def Onnx_#name#Op : Onnx_Op<name, (ins Onnx_Int:$axis, Onnx_Int:$keepdims,
      Onnx_Int:$select_last_index)>;
foreach name = ["CumSum", "CumProd"] in
  def Onnx_#name#Op : Onnx_Op<name, (ins Onnx_Int:$exclusive, Onnx_Int:$reverse)>;
def Onnx_TopKOp : Onnx_Op<"TopK", (ins Onnx_Int:$axis, Onnx_Int:$largest, Onnx_Int:$sorted,
      Onnx_Int:$k)>;
foreach name = ["Hardmax", "Softmax", "LogSoftmax"] in
  def Onnx_#name#Op : Onnx_Op<name, (ins Onnx_Int:$axis)>;
def Onnx_NonZeroOp : Onnx_Op<"NonZero">;
def Onnx_UniqueOp : Onnx_Op<"Unique", (ins Onnx_Int:$axis, Onnx_Int:$sorted)>;
def Onnx_NonMaxSuppressionOp : Onnx_Op<"NonMaxSuppression", (ins Onnx_Int:$center_point_box)>;
foreach name = ["NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"] in
  def Onnx_#name#Op : Onnx_Op<name, (ins Onnx_Int:$ignore_index, Onnx_Str:$reduction)>;

// Products.

foreach name = ["MatMul", "MatMulInteger", "QLinearMatMul", "Det"] in
  def Onnx_#name#Op : Onnx_Op<name>;
def Onnx_GemmOp : Onnx_Op<"Gemm", (ins Onnx_Float:$alpha, Onnx_Float:$beta, Onnx_Int:$transA,
      Onnx_Int:$transB, Onnx_Int:$broadcast)>;
def Onnx_EinsumOp : Onnx_Op<"Einsum", (ins StrAttr:$equation)>;

// Transformer blocks.

def Onnx_AttentionOp : Onnx_Op<"Attention", (ins Onnx_Int:$is_causal, Onnx_Int:$kv_num_heads,
      Onnx_Int:$q_num_heads, Onnx_Int:$qk_matmul_output_mode, Onnx_Float:$scale,
      Onnx_Float:$softcap, Onnx_Int:$softmax_precision)>;
def Onnx_RotaryEmbeddingOp : Onnx_Op<"RotaryEmbedding", (ins Onnx_Int:$interleaved,
      Onnx_Int:$num_heads, Onnx_Int:$rotary_embedding_dim)>;
foreach name = ["LayerNormalization", "RMSNormalization"] in
  def Onnx_#name#Op : Onnx_Op<name, (ins Onnx_Int:$axis, Onnx_Float:$epsilon,
      Onnx_Int:$stash_type)>;

// Normalisations.

def Onnx_BatchNormalizationOp : Onnx_Op<"BatchNormalization", (ins Onnx_Float:$epsilon,
      Onnx_Float:$momentum, Onnx_Int:$training_mode)>;
def Onnx_GroupNormalizationOp : Onnx_Op<"GroupNormalization", (ins Onnx_Float:$epsilon,
      I64Attr:$num_groups, Onnx_Int:$stash_type)>;
def Onnx_InstanceNormalizationOp : Onnx_Op<"InstanceNormalization", (ins Onnx_Float:$epsilon)>;
def Onnx_LpNormalizationOp : Onnx_Op<"LpNormalization", (ins Onnx_Int:$axis, Onnx_Int:$p)>;
def Onnx_LRNOp : Onnx_Op<"LRN", (ins Onnx_Float:$alpha, Onnx_Float:$beta, Onnx_Float:$bias,
      I64Attr:$size)>;
def Onnx_MeanVarianceNormalizationOp : Onnx_Op<"MeanVarianceNormalization", (ins
      Onnx_Ints:$axes)>;

// Convolution and pooling.

foreach name = ["Conv", "ConvInteger", "QLinearConv"] in
  def Onnx_#name#Op : Onnx_Op<name, (ins Onnx_Str:$auto_pad, Onnx_Ints:$dilations,
      Onnx_Int:$group, Onnx_Ints:$kernel_shape, Onnx_Ints:$pads, Onnx_Ints:$strides)>;
def Onnx_ConvTransposeOp : Onnx_Op<"ConvTranspose", (ins Onnx_Str:$auto_pad, Onnx_Ints:$dilations,
      Onnx_Int:$group, Onnx_Ints:$kernel_shape, Onnx_Ints:$output_padding,
      Onnx_Ints:$output_shape, Onnx_Ints:$pads, Onnx_Ints:$strides)>;
def Onnx_DeformConvOp : Onnx_Op<"DeformConv", (ins Onnx_Ints:$dilations, Onnx_Int:$group,
      Onnx_Ints:$kernel_shape, Onnx_Int:$offset_group, Onnx_Ints:$pads, Onnx_Ints:$strides)>;
def Onnx_Col2ImOp : Onnx_Op<"Col2Im", (ins Onnx_Ints:$dilations, Onnx_Ints:$pads,
      Onnx_Ints:$strides)>;
def Onnx_AveragePoolOp : Onnx_Op<"AveragePool", (ins Onnx_Str:$auto_pad, Onnx_Int:$ceil_mode,
      Onnx_Int:$count_include_pad, Onnx_Ints:$dilations, DenseI64ArrayAttr:$kernel_shape,
      Onnx_Ints:$pads, Onnx_Ints:$strides)>;
def Onnx_MaxPoolOp : Onnx_Op<"MaxPool", (ins Onnx_Str:$auto_pad, Onnx_Int:$ceil_mode,
      Onnx_Ints:$dilations, DenseI64ArrayAttr:$kernel_shape, Onnx_Ints:$pads,
      Onnx_Int:$storage_order, Onnx_Ints:$strides)>;
def Onnx_LpPoolOp : Onnx_Op<"LpPool", (ins Onnx_Str:$auto_pad, Onnx_Int:$ceil_mode,
      Onnx_Ints:$dilations, Onnx_Ints:$kernel_shape, Onnx_Int:$p, Onnx_Ints:$pads,
      Onnx_Ints:$strides)>;
foreach name = ["GlobalAveragePool", "GlobalMaxPool"] in
  def Onnx_#name#Op : Onnx_Op<name>;
def Onnx_GlobalLpPoolOp : Onnx_Op<"GlobalLpPool", (ins Onnx_Int:$p)>;
def Onnx_MaxUnpoolOp : Onnx_Op<"MaxUnpool", (ins DenseI64ArrayAttr:$kernel_shape, Onnx_Ints:$pads,
      Onnx_Ints:$strides)>;

// Recurrent.

def Onnx_GRUOp : Onnx_Op<"GRU", (ins Onnx_Floats:$activation_alpha, Onnx_Floats:$activation_beta,
      Onnx_Strs:$activations, Onnx_Float:$clip, Onnx_Str:$direction, Onnx_Int:$hidden_size,
      Onnx_Int:$layout, Onnx_Int:$linear_before_reset)>;
def Onnx_LSTMOp : Onnx_Op<"LSTM", (ins Onnx_Floats:$activation_alpha,
      Onnx_Floats:$activation_beta, Onnx_Strs:$activations, Onnx_Float:$clip, Onnx_Str:$direction,
      Onnx_Int:$hidden_size, Onnx_Int:$input_forget, Onnx_Int:$layout)>;
def Onnx_RNNOp : Onnx_Op<"RNN", (ins Onnx_Floats:$activation_alpha, Onnx_Floats:$activation_beta,
      Onnx_Strs:$activations, Onnx_Float:$clip, Onnx_Str:$direction, Onnx_Int:$hidden_size,
      Onnx_Int:$layout)>;

// Shapes and constants.

// All value_* forms and initializers become `value`.
def Onnx_ConstantOp : Onnx_Op<"Constant", (ins ElementsAttr:$value)>;
def Onnx_ConstantOfShapeOp : Onnx_Op<"ConstantOfShape", (ins Onnx_Tensor:$value)>;
def Onnx_EyeLikeOp : Onnx_Op<"EyeLike", (ins Onnx_Int:$dtype, Onnx_Int:$k)>;
def Onnx_RangeOp : Onnx_Op<"Range", (ins Onnx_Int:$stash_type)>;
def Onnx_ShapeOp : Onnx_Op<"Shape", (ins Onnx_Int:$end, Onnx_Int:$start)>;
foreach name = ["Size", "Expand"] in
  def Onnx_#name#Op : Onnx_Op<name>;
def Onnx_ReshapeOp : Onnx_Op<"Reshape", (ins Onnx_Int:$allowzero, Onnx_Ints:$shape)>;
def Onnx_FlattenOp : Onnx_Op<"Flatten", (ins Onnx_Int:$axis)>;
foreach name = ["Squeeze", "Unsqueeze"] in
  def Onnx_#name#Op : Onnx_Op<name, (ins Onnx_Ints:$axes)>;
foreach name = ["BlackmanWindow", "HammingWindow", "HannWindow"] in
  def Onnx_#name#Op : Onnx_Op<name, (ins Onnx_Int:$output_datatype, Onnx_Int:$periodic)>;
def Onnx_MelWeightMatrixOp : Onnx_Op<"MelWeightMatrix", (ins Onnx_Int:$output_datatype)>;

// Data movement.

foreach name = ["Compress", "Concat", "Gather", "GatherElements", "OneHot", "Scatter"] in
  def Onnx_#name#Op : Onnx_Op<name, (ins Onnx_Int:$axis)>;
def Onnx_CenterCropPadOp : Onnx_Op<"CenterCropPad", (ins Onnx_Ints:$axes)>;
def Onnx_DepthToSpaceOp : Onnx_Op<"DepthToSpace", (ins I64Attr:$blocksize, Onnx_Str:$mode)>;
def Onnx_SpaceToDepthOp : Onnx_Op<"SpaceToDepth", (ins I64Attr:$blocksize)>;
def Onnx_GatherNDOp : Onnx_Op<"GatherND", (ins Onnx_Int:$batch_dims)>;
def Onnx_PadOp : Onnx_Op<"Pad", (ins Onnx_Str:$mode, Onnx_Ints:$pads, Onnx_Float:$value)>;
def Onnx_ReverseSequenceOp : Onnx_Op<"ReverseSequence", (ins Onnx_Int:$batch_axis,
      Onnx_Int:$time_axis)>;
def Onnx_ScatterElementsOp : Onnx_Op<"ScatterElements", (ins Onnx_Int:$axis,
      Onnx_Str:$reduction)>;
def Onnx_ScatterNDOp : Onnx_Op<"ScatterND", (ins Onnx_Str:$reduction)>;
def Onnx_TensorScatterOp : Onnx_Op<"TensorScatter", (ins Onnx_Int:$axis, Onnx_Str:$mode)>;
def Onnx_SliceOp : Onnx_Op<"Slice", (ins Onnx_Ints:$axes, Onnx_Ints:$ends, Onnx_Ints:$starts)>;
def Onnx_SplitOp : Onnx_Op<"Split", (ins Onnx_Int:$axis, Onnx_Int:$num_outputs,
      Onnx_Ints:$split)>;
def Onnx_TileOp : Onnx_Op<"Tile">;
def Onnx_TransposeOp : Onnx_Op<"Transpose", (ins Onnx_Ints:$perm)>;
def Onnx_TriluOp : Onnx_Op<"Trilu", (ins Onnx_Int:$upper)>;

// Images and signals.

def Onnx_AffineGridOp : Onnx_Op<"AffineGrid", (ins Onnx_Int:$align_corners)>;
def Onnx_GridSampleOp : Onnx_Op<"GridSample", (ins Onnx_Int:$align_corners, Onnx_Str:$mode,
      Onnx_Str:$padding_mode)>;
def Onnx_ResizeOp : Onnx_Op<"Resize", (ins Onnx_Int:$antialias, Onnx_Ints:$axes,
      Onnx_Str:$coordinate_transformation_mode, Onnx_Float:$cubic_coeff_a,
      Onnx_Int:$exclude_outside, Onnx_Float:$extrapolation_value,
      Onnx_Str:$keep_aspect_ratio_policy, Onnx_Str:$mode, Onnx_Str:$nearest_mode)>;
def Onnx_UpsampleOp : Onnx_Op<"Upsample", (ins Onnx_Str:$mode, Onnx_Floats:$scales,
      Onnx_Float:$height_scale, Onnx_Float:$width_scale)>;
def Onnx_DFTOp : Onnx_Op<"DFT", (ins Onnx_Int:$inverse, Onnx_Int:$onesided, Onnx_Int:$axis)>;
def Onnx_STFTOp : Onnx_Op<"STFT", (ins Onnx_Int:$onesided)>;

#endif
