#ifndef SQ_PASSES
#define SQ_PASSES

include "mlir/Pass/PassBase.td"

def KeepIntermediatesPass : Pass<"sq-keep-intermediates", "::mlir::ModuleOp"> {
  let summary = "make what every node computes a result of the program";
  let description = [{
    For comparing a compiled program with another one node by node (`sq-diff`): every
    floating-point tensor that a node of @main computes becomes a result called `node:` and the
    node's name. Before: `func.func @main` as the importer makes it. A program that keeps
    everything fuses less and needs memory for all of it at once; what it computes is the same up
    to rounding.

    ```mlir
    %0 = onnx.Erf(%x) : (tensor<?x8xf32>) -> tensor<?x8xf32> loc("erf")
    %1 = onnx.Neg(%0) : (tensor<?x8xf32>) -> tensor<?x8xf32> loc("neg")
    return %1 // {onnx.name = "y"}
    ==>
    return %1, %0, %1 // {onnx.name = "y"}, {onnx.name = "node:erf"}, {onnx.name = "node:neg"}
    ```

    Running it twice changes nothing.
  }];
}

def ObservePass : Pass<"sq-observe", "::mlir::ModuleOp"> {
  let summary = "make the activations whose ranges are gathered results of the program";
  let description = [{
    For calibration (`sq-calibrate`): every float tensor of @main that `analysis/ObservedValues.h`
    selects, arguments aside, becomes a result called `observed:` and the name of the ONNX node that
    it came from. The quantisation passes look ranges up by the same names. Before: the graph level,
    as `--sq-onnx-to-graph` leaves it. What the program computes is the same up to rounding; less of
    it can be fused.

    ```mlir
    %0 = sq.linear ins(%x, %w : ...) ... loc("fc")
    %1 = sq.gelu ins(%0 : ...) ... loc("act")
    return %1 // {sq.name = "y"}
    ==>
    return %1, %0, %1 // {sq.name = "y"}, {sq.name = "observed:fc"}, {sq.name = "observed:act"}
    ```

    Running it twice changes nothing.
  }];
}

def DifferentiatePass : Pass<"sq-differentiate", "::mlir::ModuleOp"> {
  let summary = "make @main the program of a loss and its gradients";
  let description = [{
    Reverse-mode differentiation, op by op through `DifferentiableOpInterface` (`dialects/sq/IR/SqInterfaces.td`,
    models in `passes/differentiate/`). Before: the graph level, as `--sq-onnx-to-graph` leaves it. After: the
    results of @main are `loss`, a number per sample, and for each weight of linear layers `gradient:` and the
    layer's name (`#2` for the second of equal name): the gradient of the sum of the losses, summed over layers that
    share the weight. Other results are gone. Added inputs are `labels` (i64, the output's dims but the last) or
    `reference` (as the output). canonicalize and cse should follow: most of what was forward only is dead.

    Cheap results are computed a second time (`sq.recompute`) instead of being kept for the backward pass, and the
    probabilities of attention always are.

    An op without a derivative between a weight and the loss is an error at that op, as are loops, branches,
    f16 and bf16.

    Options: `loss` is `cross-entropy` (of logits [b, c]; of [b, t, c] the mean over next tokens; default), `kl` (from logits
    that are given), `mse`, or `given`: no loss, but an input `cotangent:` and the output's name. `output` is
    the result that is judged (default: the first in floating point). `by` is `weights` (default) or `inputs`: all in floating point.
    `layers` restricts weights to those of these layers (default: all). `weight-arguments` makes the weights
    inputs `weight:` and the layer's name, so that they can be perturbed (default: false). `recompute` is as above (default: true).
    `checkpoints` (default: false) keeps, of what depends on the weights, only values that are all that later ops read of earlier ones and
    that several of them read (a residual stream, twice a block), and computes the rest between two of them again, once.
    With `products` (default: false) there are, instead of gradients, inputs `vector:` and the name, and results `product:` and the
    name: the Hessian of the sum of the losses times all vectors together, by differentiating the gradients once more.

    ```mlir
    func.func @main(%x: tensor<?x4xf32>) -> (tensor<?x8xf32> {sq.name = "y"}) {
      %w = arith.constant dense_resource<w> : tensor<4x8xf32>
      %0 = sq.linear ins(%x, %w : ...) ... loc("fc")
      return %0
    ==>
    func.func @main(%x: tensor<?x4xf32>, %l: tensor<?xi64> {sq.name = "labels"})
        -> (tensor<?xf32> {sq.name = "loss"}, tensor<4x8xf32> {sq.name = "gradient:fc"}) {
    ```
  }];
  let dependentDialects = ["::mlir::affine::AffineDialect", "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
                           "::mlir::math::MathDialect", "::mlir::tensor::TensorDialect", "::sq::SqDialect"];
  let options = [
    Option<"loss", "loss", "std::string", "\"cross-entropy\"", "cross-entropy, kl, mse or given">,
    Option<"output", "output", "std::string", "", "name of the result that is judged (default: the first in floating point)">,
    Option<"by", "by", "std::string", "\"weights\"", "weights or inputs">,
    ListOption<"layers", "layers", "std::string", "names of the layers whose weights count (default: all)">,
    Option<"weightArguments", "weight-arguments", "bool", "false", "make the weights inputs of the program">,
    Option<"recompute", "recompute", "bool", "true", "compute cheap results again for the backward pass">,
    Option<"checkpoints", "checkpoints", "bool", "false", "keep little between blocks and compute the rest again">,
    Option<"products", "products", "bool", "false", "products of the Hessian with vectors instead of gradients">,
  ];
}

def LowerLossesPass : Pass<"sq-lower-losses", "::mlir::func::FuncOp"> {
  let summary = "turn losses into loops";
  let description = [{
    `sq.cross_entropy`, `sq.kl_divergence` and `sq.squared_error` become `linalg` on [b, n, c], where n is what lies between
    samples and classes: the greatest logit and the sum of exponentials of each row, then the losses
    of rows, then their mean. On tensors.
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect", "::mlir::math::MathDialect",
                           "::mlir::tensor::TensorDialect"];
}

def RaiseOnnxPass : Pass<"sq-raise-onnx", "::mlir::ModuleOp"> {
  let summary = "turn exporters' spellings of one op into that op";
  let description = [{
    Norms and activations written as primitives become `onnx.LayerNormalization`
    (opset 17), `onnx.RMSNormalization` (23), `onnx.Gelu` by erf or by tanh (20)
    and `onnx.Swish` (24), whatever opset the model imports: these ops mean the
    same in all opsets that have them. Constants must agree with the exact ones
    to a relative 1e-3. Primitives that other ops still use stay.

    Norms, embeddings and activations of onnxruntime (`com.microsoft`) become
    their definitions in ONNX. Its attention operators stay for
    `--sq-lower-onnx`, which knows the ranks of what is behind them.
    `Quant`, `BipolarQuant` and `Trunc` of QONNX become what they compute (lib/numerics/QonnxQuant.h):
    integers before a `onnx.DequantizeLinear` where these fit a byte, so that products of them are products of
    integers.

    A sequence that a `onnx.Loop` collects only to join it becomes a scan output:
    its length may then depend on the run.

    ```mlir
    %m = "onnx.ReduceMean"(%x) {axes = array<i64: -1>} : ...
    %c = "onnx.Sub"(%x, %m) : ...
    %s = "onnx.Pow"(%c, %two) : ...
    %v = "onnx.ReduceMean"(%s) {axes = array<i64: -1>} : ...
    %e = "onnx.Add"(%v, %eps) : ...
    %d = "onnx.Sqrt"(%e) : ...
    %n = "onnx.Div"(%c, %d) : ...
    %p = "onnx.Mul"(%n, %scale) : ...
    %y = "onnx.Add"(%p, %bias) : ...
    ==>
    %y = "onnx.LayerNormalization"(%x, %scale, %bias) {axis = -1, epsilon = ...} : ...
    ```

    Running it twice changes nothing.
  }];
  let dependentDialects = ["::sq::onnx::OnnxDialect"];
}

def LowerOnnxPass : Pass<"sq-lower-onnx", "::mlir::ModuleOp"> {
  let summary = "turn `onnx` ops into `sq` composites and upstream dialects";
  let description = [{
    The end of `onnx`. Before: `func.func @main` as the importer makes it, any opset. After: @main
    on tensors of signless elements, with `sq.name`, `sq.dims` and `sq.dtype` on arguments and
    results, made of sq, linalg, tensor, arith, math and `cf.assert` only.

    - Sizes: a symbol is one `tensor.dim` at the entry, equal sizes are one SSA value, shape
      arithmetic is folded, result types are as static as can be known. Shapes that depend on the
      contents of inputs are refused.
    - `sq.dims = {sequence = array<i64: 1, 512>}` on the module gives symbols ranges; a range of
      one number makes the dim static. The pass adds the limits that the graph implies (a position
      table of 512 rows).
    - What must hold and cannot be proved (two dims that broadcasting wants equal, indices in
      range) is a `cf.assert` that names the node.
    - Broadcasts are left to the reader: a size of 1 is read at the constant index 0.
    - A product of what DequantizeLinear gives, by a constant of at most 8 bits, is a `sq.linear` on
      quantised elements. A pair of operands without such a kernel is a warning that says why.

    Every op that cannot be lowered is reported, all of them together, equal reasons once with
    their count. Running the pass again changes nothing.

    ```mlir
    %0 = onnx.Add(%x, %y) : (tensor<?x8xf32>, tensor<8xf32>) -> tensor<?x8xf32>
    ```
    ==>
    ```mlir
    %0 = tensor.empty(%n) : tensor<?x8xf32>
    %1 = linalg.generic {indexing_maps = [(d0, d1) -> (d0, d1), (d0, d1) -> (d1), ...]}
        ins(%x, %y) outs(%0) { arith.addf ... } -> tensor<?x8xf32>
    ```
  }];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
    "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect",
    "::mlir::cf::ControlFlowDialect", "::sq::SqDialect", "::mlir::scf::SCFDialect", "::mlir::quant::QuantDialect",
    "::mlir::bufferization::BufferizationDialect"];
}

def RaiseCompositesPass : Pass<"sq-raise-composites", "::mlir::func::FuncOp"> {
  let summary = "find composites that only shapes reveal";
  let description = [{
    After `--sq-lower-onnx`, where slices and broadcasts are static:

    - a vector added to a linear layer becomes its `bias`;
    - an activation times another tensor becomes `sq.silu` with `up` (SwiGLU);
    - a sum of embeddings (words, positions, types) becomes one;
    - a rotary embedding becomes `sq.rotary_embedding`, in both spellings that
      exporters have for pairs of halves, between transpositions where heads come
      before positions:

    ```
    x * cos + concat(-second half of x, first half of x) * sin
    concat(first * cos - second * sin, second * cos + first * sin)
    ==>
    sq.rotary_embedding ins(x, cos, sin)
    ```

    Running it twice changes nothing.
  }];
  let dependentDialects = ["::sq::SqDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::tensor::TensorDialect"];
}

def RaiseAttentionPass : Pass<"sq-raise-attention", "::mlir::func::FuncOp"> {
  let summary = "find scaled dot-product attention";
  let description = [{
    Two products with a softmax between them become one `sq.attention`, which
    never stores the scores of more than a block of queries. Constant factors on
    q, k or the scores become `scale`. Masks, added or boolean, become one
    additive mask, or `causal`: that is proved by evaluating the mask's elements
    from their definition, whatever it is. Heads of k and v that were repeated
    are repeated no more. Transpositions are added where [b, h, s, d] is not a
    transposed [b, s, h, d], and go where they meet one that undoes them, also
    through slices and what is put together of them. Where batch and heads were
    merged into one dim, as torch.bmm wants it, they are taken apart first.

    ```
    q [b,s,h,d] -> transpose [0,2,1,3] (-> * c) --+
    k [b,t,g,d] -> transpose [0,2,3,1] (-> * c) --+-> matmul (-> * c) (-> masks) -> softmax --+
    v [b,t,g,d] -> transpose [0,2,1,3] -------------------------------------------------------+-> matmul -> transpose [0,2,1,3]
    ==>
    sq.attention ins(q, k, v) mask(m) outs(...) {scale = c^3, causal}
    ```

    A select by a boolean is the same as an addition only if the hidden value
    is -1e9 or less, or -1e4 where causality leaves each query a key. Zeros that
    replace the NaN of a query that sees nothing do so after attention.
  }];
  let dependentDialects = ["::sq::SqDialect", "::mlir::tensor::TensorDialect",
    "::mlir::linalg::LinalgDialect", "::mlir::arith::ArithDialect"];
}

def CompressWeightsPass : Pass<"sq-compress-weights", "::mlir::func::FuncOp"> {
  let summary = "weights of linear layers to 2, 3 or 4 bits";
  let description = [{
    The constant f32 weight of each `sq.linear` becomes codes of 2 to 4 bits. With `weights=lut4` (`lut3`, `lut2`) each output
    channel has a table of 16 (8, 4) entries, found by exact weighted k-means (lib/quantizer/WeightedKMeans.h), and
    `outliers` percent of the weights lie beside the codes in 16 bits. Where `stats` have second moments of `x`, codes and
    tables are fitted to them (`rounding=gptq`, lib/quantizer/Refine.h); with `rounding=nearest` the mean squares of
    the channels only weight the k-means. `rtn4` and `gptq4` are even grids of groups of 128 (`gptq4-g64`: 64) input channels,
    rounded to nearest or with feedback of errors; `sym4` has groups of 32 without a minimum, as llama.cpp's Q4_0.

    Where `stats` have rows that were held back (sq-calibrate --hold-back), by them a table fitted as asked for is compared with
    one without outliers, without refinement and without weighting, and the best of these is taken. With `sensitivity` squared
    gradients, moved towards what their row and column say of them (lib/quantizer/Damping.h), weight the k-means of what is not
    refined, choose outliers, and say how much an output channel counts in such comparisons, which then also know tables weighted by
    `stats` alone and outliers by magnitude alone. A bias takes up what the change of the weight does to the mean of a result. What `plan` says of a layer goes before `weights`. A plan may also be in the
    attribute `sq.plan` of the function, as a text.

    The layer becomes a product by codes: with tables `sq.lut_matmul`, or with outliers `sq.dense_and_sparse_matmul`, with groups
    `sq.grouped_matmul`. The attribute `sq.layers` of the function holds for each layer its bits a weight with everything
    counted, bytes, and error.

    ```mlir
    %y = sq.linear ins(%x, %w : tensor<?x64xf32>, tensor<64x8xf32>) ..
    ==>
    %rest = sq.csr %row_ptr, %columns, %values : ..
    %y = sq.dense_and_sparse_matmul ins(%x, %codes, %table, %rest : tensor<?x64xf32>, tensor<8x8xi32>, tensor<8x16xf16>, tensor<8x64xf16>) ..
    ```

    Running it twice changes nothing.
  }];
  let options = [
    Option<"weights", "weights", "std::string", /*default=*/"\"lut4\"",
           "lut2, lut3, lut4; rtn2, rtn3, rtn4, gptq2, gptq3, gptq4, sym2, sym3, sym4, with -gN behind for groups of N (default: lut4)">,
    Option<"outliers", "outliers", "std::string", /*default=*/"\"0%\"",
           "weights in 16 bits beside the codes of lut, in percent of all (default: 0%)">,
    Option<"stats", "stats", "std::string", /*default=*/"\"\"", "file of sq-calibrate (default: none)">,
    Option<"sensitivity", "sensitivity", "std::string", /*default=*/"\"\"",
           "file of sq-sensitivity: squared gradients weight the k-means, and choose a part of the outliers (default: none)">,
    Option<"tables", "tables", "std::string", /*default=*/"\"auto\"",
           "entries: f16; int8, with a scale for each table; auto (default): int8 where f16 takes more than 0.1 bits a weight">,
    Option<"rounding", "rounding", "std::string", /*default=*/"\"gptq\"",
           "gptq (default): fitted to second moments where stats have them; nearest">,
    Option<"plan", "plan", "std::string", /*default=*/"\"\"",
           "file with the scheme of layers, `PATTERN = f32|lut4|...` a line (lib/quantization/Plan.h)">,
    Option<"mixed", "mixed", "bool", /*default=*/"false",
           "only what the plan says is compressed, with the groups and outliers that its lines have; lines of int8 are for sq-quantize, "
           "which comes first; tables of embeddings become bytes when any layer is not f32 (default: false)">,
    Option<"embeddings", "embeddings", "bool", /*default=*/"true", "with mixed: their tables, too (default: true)">,
    Option<"rounds", "rounds", "int", /*default=*/"8", "of tables and codes, at most (default: 8, fewer for large models)">,
    Option<"threads", "threads", "int", /*default=*/"0", "to use (default: 0, all cores); the result does not depend on it">
  ];
  let dependentDialects = ["::sq::SqDialect", "::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::tensor::TensorDialect"];
}

def QuantizePass : Pass<"sq-quantize", "::mlir::func::FuncOp"> {
  let summary = "linear layers and tables of embeddings to 8 bits, from calibration";
  let description = [{
    A `sq.linear` with a constant f32 weight whose `x` the statistics know multiplies
    quantised operands: activations of 8 bits with one scale and zero point, weights
    of 8 bits, symmetric, one scale per column. With `smooth`, channels of `x` that
    are much larger than others hand a part of their range to their rows of the
    weight. Where the statistics have second moments of `x`, rows of the weight take
    over errors that rounding other rows makes (`rounding=gptq`). The bias takes up what
    rounding does to the mean of a result. With
    `activations=dynamic` each row of `x` has the scale of its largest element, found at run
    time, and statistics may be missing. Constant tables of
    `sq.embedding` become bytes with a scale per row.

    Attention between such layers becomes `sq.int_attention` where calibration saw its operands, its mask leaves or hides
    scores and rounding them costs little (passes/QuantizedAttention.h); a mask made of an input of integers is checked when it
    runs.
    A layer stays in float when it is expected to keep less than `min-sqnr` of its result
    (passes/ExpectedError.h), and when it is no faster in 8 bits: as measured (`sq.layer_times` on the
    function, of layers of the same shape) or by the cost model of a CPU level (lib/quantization/CostModel.h).
    A warning then says so. What `plan` (or a text in the attribute `sq.plan` of the function) says of a layer goes before both; `int2` to `int7` there are weights of fewer values in
    products of bytes, stored in that many bits, with as few storage values in their type. The attribute `sq.layers` of the
    function holds for each layer what was decided, and why.

    ```mlir
    %y = sq.linear ins(%x, %w : tensor<?x64xf32>, tensor<64x8xf32>) ..
    ==>
    %q = sq.quantize %x : tensor<?x64xf32> -> tensor<?x64x!quant.uniform<u8:f32, 0.1:128>>
    %y = sq.linear ins(%q, %v : .., tensor<64x8x!quant.uniform<i8<-127:127>:f32:1, {0.01, ..}>>) ..
    ```
  }];
  let options = [
    Option<"stats", "stats", "std::string", /*default=*/"\"\"", "file of sq-calibrate">,
    Option<"method", "method", "std::string", /*default=*/"\"mse\"",
           "how ranges are chosen: minmax, moving-average, percentile=P, entropy, mse">,
    Option<"activations", "activations", "std::string", /*default=*/"\"int8\"",
           "int8: one scale, from calibration; dynamic: 8 bits, each row its own scale at run time">,
    Option<"smooth", "smooth", "bool", /*default=*/"true",
           "let large channels hand a part of their range to the weight">,
    Option<"rounding", "rounding", "std::string", /*default=*/"\"gptq\"",
           "of weights: nearest, or gptq, which needs second moments in the statistics and is nearest without">,
    Option<"plan", "plan", "std::string", /*default=*/"\"\"",
           "file with the precision of layers, `PATTERN = int8|f32` a line (lib/quantization/Plan.h)">,
    Option<"mixed", "mixed", "bool", /*default=*/"false",
           "only layers that the plan says to be int8 are; what else it says, and tables of embeddings, are for sq-compress-weights, which "
           "comes next (default: false)">,
    Option<"attention", "attention", "bool", /*default=*/"true", "in 8 bits between such layers, where that is possible (default: true)">,
    Option<"minSqnr", "min-sqnr", "double", /*default=*/"kMinLayerSqnr",
           "in dB (default 10): a layer that is expected to have less stays in float">,
    Option<"level", "level", "std::string", /*default=*/"\"\"",
           "CPU level whose times are compared (default: none, times are not compared)">
  ];
  let dependentDialects = ["::sq::SqDialect", "::mlir::linalg::LinalgDialect", "::mlir::quant::QuantDialect", "::mlir::math::MathDialect",
    "::mlir::tensor::TensorDialect", "::mlir::arith::ArithDialect", "::mlir::cf::ControlFlowDialect"];
}

def LowerCompositesPass : Pass<"sq-lower-composites", "::mlir::func::FuncOp"> {
  let summary = "turn composites that have no kernel into linalg";
  let description = [{
    The inverse of raising where an op is one for what reads the graph, not for
    the machine: `sq.gelu`, `sq.silu`, `sq.embedding` and `sq.rotary_embedding` become
    elementwise loops, which fuse.

    ```mlir
    %y = sq.silu ins(%x : ..) outs(..)
    ==>
    %y = linalg.generic .. { x / (1 + exp(-x)) }
    ```

    With `bf16`, a `sq.gelu` that linear layers alone read is as exact as that rounding deserves (see its `tolerance`).
  }];
  let options = [
    Option<"bf16", "bf16", "bool", "false", "linear layers round what they read to bf16 (default false)">,
  ];
  let dependentDialects = ["::sq::SqDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::tensor::TensorDialect", "::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
    "::mlir::affine::AffineDialect", "::mlir::memref::MemRefDialect"];
}

def IntegerOnlyPass : Pass<"sq-integer-only", "::mlir::func::FuncOp"> {
  let summary = "everything in integers, from calibration";
  let description = [{
    Rewrites @main, as `--sq-onnx-to-graph` leaves it, so that it computes with integers only, from
    embeddings to the last layer, with the ranges of a file of sq-calibrate. Scales are real numbers in this
    pass alone: what runs are dyadic factors (Yao et al. 2021, HAWQ-V3).

    - Linear layers multiply unsigned bytes by signed ones, layers that read one value with one common range and
      common factors of its channels (see `--sq-quantize`), into sums of 32 bits.
    - Sums become what their readers ask for: bytes of the next product, or 16 bits for residual
      connections and norms (22 where 16 are too coarse for most of what calibration saw).
    - Norms are `sq.int_layer_norm` and `sq.int_rms_norm`, attention is `sq.int_attention`, its mask a boolean,
      which must come from a choice between 0 and -10000 or less by an input of integers or booleans.
      Integer inputs that become masks hold 0 and 1, which a check makes sure of.
    - A function of one value is 32 parabolas over the range that calibration saw (`sq.int_piecewise`) or a table of 256
      entries; GELU, SiLU, sigmoid and tanh may be I-BERT's polynomials, too: whichever has the smallest
      error on the calibration's histogram.
    - Embeddings are tables of bytes with a scale per column, of 16 bits where they have at most 1024 rows.
    - Convolutions with constant weights are loops on bytes and a weight of up to 16 bits.
    - What moves elements moves integers; a product with a mask of 0 and 1 is a choice, a positive factor another scale.
    - Sums over a dim (of at most 65536 elements), divided by the sum of a mask: means, rounded integers. Rows
      divided by their length: an RMS norm.

    The attribute `sq.layers` of the function holds what became of each linear layer, as after `--sq-quantize`.

    An output that the model declares as float is made of integers by a loop of its own, with the attribute
    `sq.border = "dequantize"`; an input of floats is made integers by one with "quantize". No other op
    is fused with them. What has no integer form stays, with the reason in `sq.float_because`;
    `--sq-verify-integer-only` makes an error of it.

    ```mlir
    %y = sq.linear ins(%x, %w : tensor<?x64xf32>, tensor<64x8xf32>) ..
    %z = sq.layer_norm ins(%y, %g : ..) ..
    ==>
    %s = sq.linear ins(%q, %v : tensor<?x64x!quant.uniform<u8:f32, ..>>, ..) outs(.. : tensor<?x8xi32>)
    %r = sq.requantize ins(%s : tensor<?x8xi32>) outs(.. : tensor<?x8xi16>) {multipliers = .., exponents = ..}
    %z = sq.int_layer_norm ins(%r : tensor<?x8xi16>) outs(.. : tensor<?x8xi8>) ..
    ```
  }];
  let options = [
    Option<"stats", "stats", "std::string", /*default=*/"\"\"", "file of sq-calibrate">,
    Option<"method", "method", "std::string", /*default=*/"\"mse\"",
           "how ranges of bytes are chosen: minmax, moving-average, percentile=P, entropy, mse">,
    Option<"rounding", "rounding", "std::string", /*default=*/"\"gptq\"",
           "of weights: nearest, or gptq, which needs second moments in the statistics and is nearest without">
  ];
  let dependentDialects = ["::sq::SqDialect", "::mlir::linalg::LinalgDialect", "::mlir::quant::QuantDialect",
    "::mlir::tensor::TensorDialect", "::mlir::arith::ArithDialect", "::mlir::math::MathDialect",
    "::mlir::cf::ControlFlowDialect"];
}

def VerifyIntegerOnlyPass : Pass<"sq-verify-integer-only", "::mlir::func::FuncOp"> {
  let summary = "name every op that is left in float";
  let description = [{
    After `--sq-integer-only`: one error that lists all ops of @main that compute with floats, each with the
    ONNX nodes that it came from and, where known, why it has no integer form. Allowed are the loops with `sq.border`
    that make a float output of the model from integers, or integers from a float input.

    ```mlir
    %y = linalg.generic .. { math.sin %x } loc("/n/Sin")
    ==>
    error: 1 op stays in float, so that the model is not integer-only; --quant=int8 runs them in float:
      linalg.generic of /n/Sin: calibration has not seen its input or its result
    ```
  }];
}

def LowerQuantizedPass : Pass<"sq-lower-quantized", "::mlir::func::FuncOp"> {
  let summary = "turn quantised elements into the integers that store them";
  let description = [{
    `sq.quantize` and `sq.dequantize` become elementwise loops, which fuse; a
    `sq.linear` of quantised operands becomes `sq.packed_matmul` on bytes, with
    what zero points add, the scales and the bias as its epilogue.

    With `products=false`, for targets that have no products of bytes, such a layer is one of the
    floats that its operands stand for, or, where its result is i32, a loop nest on integers.

    ```mlir
    %y = sq.linear ins(%x, %w : tensor<?x64x!quant.uniform<u8:f32, 0.1:128>>, tensor<64x8x!quant.uniform<i8:f32, 0.2>>) ..
    ==>
    %y = sq.packed_matmul ins(%x, %w : tensor<?x64xi8>, tensor<1x16x64xi8>) extras(%zero_times_sums, %scales) ..
    ```
  }];
  let dependentDialects = ["::sq::SqDialect", "::mlir::linalg::LinalgDialect", "::mlir::quant::QuantDialect",
    "::mlir::tensor::TensorDialect", "::mlir::arith::ArithDialect", "::mlir::math::MathDialect"];
  let options = [
    Option<"products", "products", "bool", "true", "products of bytes (default true)">,
  ];
}

def LowerIntegerPass : Pass<"sq-lower-integer", "::mlir::func::FuncOp"> {
  let summary = "turn integer-only ops into linalg on integers";
  let description = [{
    `sq.requantize`, `sq.int_softmax` and the others of their kind become elementwise
    loops and reductions of integers that compute bit for bit what lib/numerics does,
    with no floating-point operation. Where the input is one of 8 bits, activations become tables.

    Every step is computed on intervals first, channel by channel, from what the
    operands are declared to hold: it gets 32 bits where these are enough, 64
    otherwise, and an op with a step that could leave 64 bits is an error.

    ```mlir
    %y = sq.requantize ins(%x : ..xi32) outs(..) {multipliers = [m], exponents = [e]}
    ==>
    %y = linalg.generic .. { clamp((x * m + half) >> e) }
    ```
  }];
  let options = [
    Option<"keepHost", "keep-host", "bool", /*default=*/"false",
           "leave to the host's kernels sq.int_attention with heads of a multiple of 4 elements, at most 1024, whose scores have a scale of 1e-7 or more, sq.lookup of bytes, and norms that round a half up, as sq.int_norm_rows">
  ];
  let dependentDialects = ["::sq::SqDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::tensor::TensorDialect", "::mlir::arith::ArithDialect", "::mlir::math::MathDialect"];
}

def SplitDenseAndSparsePass : Pass<"sq-split-dense-and-sparse", "::mlir::func::FuncOp"> {
  let summary = "split products by codes with a sparse rest into two products";
  let description = [{
    `sq.dense_and_sparse_matmul` becomes a product by the codes, one by the sparse matrix, and their sum: for targets
    that have a kernel for each but none for both. A sparse matrix known to have no entry just goes.
    The inverse is `--sq-fuse-dense-and-sparse`.

    ```mlir
    %y = sq.dense_and_sparse_matmul ins(%x, %codes, %table, %sparse : ...) outs(%init : ...)
    ==>
    %d = sq.lut_matmul ins(%x, %codes, %table : ...) outs(%init : ...)
    %s = sq.csr_matmul ins(%x, %sparse : ...) outs(%init : ...)
    %y = linalg.add ins(%d, %s : ...) outs(%init : ...)
    ```

    Running it twice changes nothing.
  }];
  let dependentDialects = ["::sq::SqDialect", "::mlir::linalg::LinalgDialect"];
}

def FuseDenseAndSparsePass : Pass<"sq-fuse-dense-and-sparse", "::mlir::func::FuncOp"> {
  let summary = "join a product by codes and a sparse product of the same input";
  let description = [{
    The sum of a `sq.lut_matmul` and a `sq.csr_matmul` of the same `x`, neither of which has another user, becomes a
    `sq.dense_and_sparse_matmul`, which reads `x` once and writes its result once. The sum is a `linalg.add`, or
    an elementwise `linalg.generic` with nothing but an addition. The inverse is `--sq-split-dense-and-sparse`.

    ```mlir
    %d = sq.lut_matmul ins(%x, %codes, %table : ...) outs(%a : ...)
    %s = sq.csr_matmul ins(%x, %sparse : ...) outs(%b : ...)
    %y = linalg.add ins(%d, %s : ...) outs(%c : ...)
    ==>
    %y = sq.dense_and_sparse_matmul ins(%x, %codes, %table, %sparse : ...) outs(%c : ...)
    ```

    Running it twice changes nothing.
  }];
  let dependentDialects = ["::sq::SqDialect"];
}

def DecodeCodesPass : Pass<"sq-decode-codes", "::mlir::func::FuncOp"> {
  let summary = "turn products by codes into linear layers with dense weights";
  let description = [{
    `sq.lut_matmul`, `sq.csr_matmul` and `sq.dense_and_sparse_matmul` of constants become `sq.linear` with the weight that
    they stand for, in f32: the entry of the table, plus the sparse one where there is one, rounded once. `sq.grouped_matmul`
    likewise; its product of scale and code is rounded, and the sum with a least value. For targets that have no kernel for codes, for
    passes that know linear layers only, and as the reference of kernels. Other operands than constants are an error.

    ```mlir
    %y = sq.lut_matmul ins(%x, %codes, %table : ...) outs(%init : ...)
    ==>
    %y = sq.linear ins(%x, %w : tensor<?x40xf32>, tensor<8x40xf32>) outs(%init : ...) {transpose_weight}
    ```
  }];
  let options = [Option<"groupsOnly", "groups-only", "bool", /*default=*/"false", "sq.grouped_matmul only, as a model has them (default: false)">];
  let dependentDialects = ["::sq::SqDialect", "::mlir::arith::ArithDialect"];
}

def PackCodesPass : Pass<"sq-pack-codes", "::mlir::func::FuncOp"> {
  let summary = "bring products by codes into the form that kernels take";
  let description = [{
    `sq.lut_matmul`, `sq.dense_and_sparse_matmul` and `sq.grouped_matmul` of f32 become `sq.packed_matmul` with `lut`: the codes a
    `sq.weight` in the order of vector lanes, the entries of the sparse matrix a stream of one number each, scales of groups in f16 where
    that is exact, and zero points one number where they are all equal. Operands must be constants. What has no such kernel (other
    element types, a sparse product by itself, groups that are neither a power of 2 from 16 on nor the whole row) becomes a
    `sq.linear` (`--sq-decode-codes`), with a remark.

    With `activations=int8`, tables get entries of 8 bits with a scale and a least value per row, and `x` is rounded to 8 bits
    at run time: lossy, twice as fast where caches deliver. Codes of groups lose nothing, only `x` is rounded, and not where
    `float_input` is, unless `activations` is int8-all. More than 65536 columns stay in f32, as sums must fit 32 bits.

    ```mlir
    %y = sq.lut_matmul ins(%x, %codes, %table : tensor<?x40xf32>, tensor<8x6xi32>, tensor<8x8xf16>) outs(%init : tensor<?x8xf32>)
    ==>
    %w = sq.weight .. {codes = 3 : i64} -> tensor<8x1x3x16xi32>
    %y = sq.packed_matmul ins(%x, %w : ..) lut(%table : tensor<8x8xf16>) outs(%init : ..) {yield the sum}
    ```
  }];
  let options = [
    Option<"activations", "activations", "std::string", /*default=*/"\"f32\"",
           "what products are computed in: f32 (default), or int8, where x and the tables are rounded to 8 bits; int8-all: x also where the op says float_input">,
  ];
  let dependentDialects = ["::sq::SqDialect", "::mlir::arith::ArithDialect"];
}

def PackLinearPass : Pass<"sq-pack-linear", "::mlir::func::FuncOp"> {
  let summary = "pack the weights of linear layers into column panels";
  let description = [{
    `sq.linear` with a constant f32 weight becomes `sq.packed_matmul`: the
    weight a `sq.weight` packed by `columns`, the bias the epilogue. A linear
    layer of another type becomes `sq.matmul` and an addition. With bf16 in pairs,
    `sq.attention` is marked `bf16` too. A layer that a plan has in bf16 (the attribute `sq.bf16`, by --sq-compress-weights) is
    stored so whatever `precision` says.
  }];
  let options = [
    Option<"columns", "columns", "int64_t", /*default=*/"48",
           "columns of a panel of f32 (default 48, the only width that has a host kernel; CUDA kernels take 64)">,
    Option<"pairs", "pairs", "bool", /*default=*/"true",
           "bf16 in pairs of rows, as AMX tiles take it; false: in panels, as CUDA kernels do">,
    Option<"precision", "precision", "std::string", /*default=*/"\"f32\"",
           "how weights are stored: f32 (default), bf16, or f16 (not in pairs)">
  ];
  let dependentDialects = ["::sq::SqDialect", "::mlir::linalg::LinalgDialect",
    "::mlir::tensor::TensorDialect", "::mlir::arith::ArithDialect"];
}

def FuseElementwisePass : Pass<"sq-fuse-elementwise", "::mlir::func::FuncOp"> {
  let summary = "fuse chains of elementwise ops";
  let description = [{
    Upstream's elementwise fusion of linalg, for producers with one user only,
    so that nothing is computed twice, and bodies of at most 256 ops, as each step
    copies them. Checks (`cf.assert`) of indices stay behind
    in a loop of their own, and what they guard, clamped indices, fuses without them.
  }];
  let dependentDialects = ["::mlir::linalg::LinalgDialect", "::mlir::affine::AffineDialect"];
}

def FuseEpiloguePass : Pass<"sq-fuse-epilogue", "::mlir::func::FuncOp"> {
  let summary = "move elementwise ops into the matrix product before them";
  let description = [{
    An elementwise op whose operand is a `sq.packed_matmul` without another user
    moves into its epilogue, where it works on the sums while they are in
    registers. Its other operands must be shaped like the result or run over
    its columns.
  }];
  let dependentDialects = ["::sq::SqDialect", "::mlir::tensor::TensorDialect"];
}

def PlaceWeightsPass : Pass<"sq-place-weights", "::mlir::func::FuncOp"> {
  let summary = "give every constant its place in the weight section";
  let description = [{
    Tensor constants become `sq.weight`; each gets an offset, 64-byte aligned,
    in order of first use. Equal constants share one place. The size of the
    section is left as `sq.weight_bytes` on the function.
  }];
  let dependentDialects = ["::sq::SqDialect"];
}

def SeparateResultsPass : Pass<"sq-separate-results", "::mlir::func::FuncOp"> {
  let summary = "give every result an empty tensor of its own";
  let description = [{
    Before bufferization: a `tensor.empty` that several ops write their results
    to is made again for each. Otherwise they would share a buffer that lives
    from the first to the last of them.
  }];
  let dependentDialects = ["::mlir::tensor::TensorDialect"];
}

def ProtectInputsPass : Pass<"sq-protect-inputs", "::mlir::func::FuncOp"> {
  let summary = "say that arguments, but for caches, are not to be written";
  let description = [{
    Before bufferization, which else writes results over an argument that nothing reads any more. Memory of inputs is
    the caller's. Arguments that `--sq-cache-states` made (`sq.cache:...`) are written in place.

    ```mlir
    func.func @main(%x: tensor<?xf32> {sq.name = "x"})
    ==>
    func.func @main(%x: tensor<?xf32> {bufferization.writable = false, sq.name = "x"})
    ```
  }];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect"];
}

def BodyAwareCSEPass : Pass<"sq-cse"> {
  let summary = "upstream's CSE, for many ops that differ in their bodies only";
  let description = [{
    Upstream's CSE hashes an op without its regions, so that it compares each of a thousand
    `linalg.generic` of one tensor, which differ in their bodies, with all others. Here the hash of
    the body is an attribute while CSE runs. What it removes is the same.

    ```mlir
    %a = linalg.generic ... ins(%x : tensor<?xf32>) ... { arith.negf ... }
    %b = linalg.generic ... ins(%x : tensor<?xf32>) ... { math.exp ... }
    %c = linalg.generic ... ins(%x : tensor<?xf32>) ... { arith.negf ... }
    ==>
    %a = linalg.generic ... ins(%x : tensor<?xf32>) ... { arith.negf ... } // for %c, too
    %b = linalg.generic ... ins(%x : tensor<?xf32>) ... { math.exp ... }
    ```
  }];
}

def AlignWhilePass : Pass<"sq-align-while", "::mlir::func::FuncOp"> {
  let summary = "let every scf.while pass on all it carries, in order";
  let description = [{
    Before bufferization, which writes in place only what the condition passes on
    at the place where it came in: canonicalization removes results that are not
    used, and moves the others up.
  }];
  let dependentDialects = ["::mlir::scf::SCFDialect"];
}

def GroupReadersPass : Pass<"sq-group-readers", "::mlir::func::FuncOp"> {
  let summary = "let bufferization see the readers of a tensor in groups";
  let description = [{
    Last before bufferization, whose analysis compares every reader of a tensor with all others:
    ten thousand of them take minutes. A tensor that nothing writes to, and that has at least twice
    `group` users, becomes a tensor for each `group` of them, on the same memory. Bufferization folds
    them away again.

    ```mlir
    %0 = linalg.generic ... ins(%x : tensor<?xf32>) ...   // and thousands more
    ==>
    %m = bufferization.to_buffer %x read_only : tensor<?xf32> to memref<?xf32>
    %x0 = bufferization.to_tensor %m restrict : memref<?xf32> to tensor<?xf32>
    %0 = linalg.generic ... ins(%x0 : tensor<?xf32>) ...  // and the others of this group
    ```
  }];
  let options = [Option<"group", "group", "unsigned", "64", "users of one tensor">];
  let dependentDialects = ["::mlir::bufferization::BufferizationDialect"];
}

def WriteCarriedPass : Pass<"sq-write-carried", "::mlir::func::FuncOp"> {
  let summary = "write what an iteration hands on straight to its place";
  let description = [{
    Before bufferization, after `--sq-separate-results`: where an iteration of a
    loop copies the result of a `linalg.generic` to a destination from outside,
    or inserts it into a tensor, the generic writes to that place at once.

    ```mlir
    %e = tensor.empty() : tensor<8xf32>
    %r = linalg.generic ... outs(%e : tensor<8xf32>) ...
    %n = bufferization.materialize_in_destination %r in %state ...
    ==>
    %r = linalg.generic ... outs(%state : tensor<8xf32>) ...
    %n = bufferization.materialize_in_destination %r in %state ...
    ```
  }];
  let dependentDialects = ["::mlir::tensor::TensorDialect"];
}

def ReuseBuffersPass : Pass<"sq-reuse-buffers", "::mlir::func::FuncOp"> {
  let summary = "write results into the memory of operands that are read for the last time";
  let description = [{
    After bufferization: an elementwise loop, softmax or layer norm whose result
    is a new buffer writes into an operand of the same type and size instead,
    if no later op reads that operand and if each of its elements is read only
    by the iteration that writes the same place. Outputs of the model, views and
    operands that are indexed in another way stay as they are.
  }];
  let dependentDialects = ["::mlir::memref::MemRefDialect"];
}

def BindOutputsPass : Pass<"sq-bind-outputs", "::mlir::func::FuncOp"> {
  let summary = "write results straight into the caller's memory";
  let description = [{
    After bufferization: the buffer of each result becomes a `sq.output`, and
    the function returns nothing. A result that is an input, a constant, part
    of a buffer, or the same as another result is copied.
  }];
  let dependentDialects = ["::sq::SqDialect", "::mlir::memref::MemRefDialect"];
}

def FuseRotaryPass : Pass<"sq-fuse-rotary", "::mlir::func::FuncOp"> {
  let summary = "turn queries and keys of a cache where they are read and written";
  let description = [{
    A rotary embedding that only one `sq.kv_append` or one `sq.kv_attend` reads becomes its `rotary`: keys are turned on
    their way into the cache, queries as attention packs them. Apart they are two loops each over memory that nothing
    else needs.

    Before: `sq.rotary_embedding` on tensors. One with interleaved pairs or of another type than f32 stays.

    ```mlir
    %0 = sq.rotary_embedding ins(%k, %c, %s : ...) outs(...)
    %1 = sq.kv_append ins(%0, %lengths : ...) outs(%cache : ...)
    ==>
    %1 = sq.kv_append ins(%k, %lengths : ...) rotary(%c, %s : ...) outs(%cache : ...)
    ```

    Running it twice changes nothing.
  }];
  let dependentDialects = ["::sq::SqDialect"];
}

def CacheStatesPass : Pass<"sq-cache-states", "::mlir::func::FuncOp"> {
  let summary = "keep keys and values of a decoder in a cache between runs";
  let description = [{
    A decoder that takes its past and returns it with new rows behind it (`past_key_values`, `present`) copies
    all of it in every step. Each such pair of an argument and a result of @main becomes one argument, a cache
    that the program appends to in place: `[batch, capacity, heads, size]`, of which a new argument
    `sq.lengths` says how many places are in use, by row of the batch. A second one, `sq.rows` [batch, r],
    says of which of the new places results [batch, places, n] are wanted: they are selected before the
    products that give them, so that a prefill need not compute logits for all of a prompt.

    Before: the graph level. That a result is an argument with rows appended is proved from offsets and
    extents; nothing but causal attention may read it, and nothing else may depend on how long the past is
    (so positions must be an input). Otherwise nothing changes, and a remark says why. With `required` that
    is an error, and an input of integers called a mask is taken to be ones, if all that it then adds to
    causality is nothing: it leaves the signature. So do other inputs that then nothing reads: `seqlens_k` of
    GroupQueryAttention, whose positions become those of each sequence. `required` also gives caches to a program
    without a past, of all its keys and values, when all attention is causal and all else computes place by place
    (`analysis/PlaceByPlace.h`), which is asked of every program: sequences of a batch get different numbers of tokens, and
    padding must reach none. After: `sq.cache` on @main has the model's own signature (`passes/CacheStates.h`), which
    the runtime still serves.

    ```mlir
    %0 = tensor.insert_slice %past into %empty[0, 0, 0, 0] ...
    %1 = tensor.insert_slice %new into %0[0, 0, %p, 0] ...
    %2 = sq.attention ins(%q, %1, %3 : ...) outs(...) {causal, scale = 0.125 : f32}
    return %2, %1, %3
    ==>
    %1 = sq.kv_append ins(%new, %lengths : ...) outs(%cache : ...)
    %2 = sq.kv_attend ins(%q, %1, %3, %lengths : ...) outs(...) {scale = 0.125 : f32}
    return %2
    ```

    Running it twice changes nothing.
  }];
  let options = [
    Option<"required", "required", "bool", "false", "fail when there is no cache to make, and take a mask of padding to be ones (default: false)">];
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::linalg::LinalgDialect", "::mlir::tensor::TensorDialect",
                           "::sq::SqDialect"];
}

#endif
