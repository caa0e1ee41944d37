// onnx checks types while it infers shapes, but stops doing so behind the first operator that it
// does not know, and it knows none of onnxruntime's. So sq asks here when it knows the types.
//
// Source of onnxruntime's signatures: ContribOperators.md of onnxruntime.
#include "lib/importer/Signatures.h"

#include "lib/importer/Messages.h"
#include "lib/importer/Types.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/ADT/StringMap.h"
#include "onnx/defs/schema.h"

using namespace mlir;
using ::onnx::OpSchema;
using ::onnx::OpSchemaRegistry;

namespace sq {
namespace {

struct Parameter {
  std::string name;
  bool isRequired = true;
  /// Parameters of one variable have one element type; "" is of its own.
  std::string variable;
  /// ONNX's names of the element types, sorted; any when there is none.
  std::vector<std::string> types;
};

struct Signature {
  std::vector<Parameter> parameters;
  /// The last parameter stands for any number of operands.
  bool isVariadic = false;
};

/// ONNX's name of an element type; "" for types that it does not have.
std::string nameOf(Type element) {
  for (int32_t code = 1; ::onnx::TensorProto_DataType_IsValid(code); ++code)
    if (auto info = importer::elementInfo(code, element.getContext()); info && info->type == element)
      return info->name.str();
  return "";
}

Signature signatureOf(const OpSchema &schema) {
  Signature signature;
  for (const OpSchema::FormalParameter &formal : schema.inputs()) {
    Parameter parameter{formal.GetName(), formal.GetOption() == OpSchema::Single,
                        formal.GetIsHomogeneous() ? formal.GetTypeStr() : "", {}};
    signature.isVariadic = formal.GetOption() == OpSchema::Variadic;
    // "tensor(float)" and "optional(tensor(float))"; a list never has the name of an element.
    for (const std::string *type : formal.GetTypes()) {
      StringRef name = *type;
      if (name.consume_front("optional("))
        name = name.drop_back();
      if (name.consume_front("tensor("))
        name = name.drop_back();
      parameter.types.push_back(name.str());
    }
    llvm::sort(parameter.types);
    signature.parameters.push_back(std::move(parameter));
  }
  return signature;
}

/// The element types that a variable of the table below stands for, by its first letter.
std::vector<std::string> typesOf(char variable) {
  switch (variable) {
  case 'B':
    return {"bool"};
  case 'F':
    return {"float"};
  case 'I':
    return {"int32", "int64"};
  case 'L':
    return {"int64"};
  case 'M':
    return {"int32"};
  case 'Q':
    return {"int8", "uint8"};
  case 'T':
    return {"bfloat16", "double", "float", "float16"};
  case 'U':
    return {"uint8"};
  case 'V':
    return {"float", "int8", "uint8"};
  case 'Z':
    return {"bfloat16", "float", "float16", "uint8"};
  default: // 'A'
    return {};
  }
}

/// "X:T bias?:T rest*:V", `?` for what may be missing, `*` for any number of them.
Signature parse(StringRef text) {
  Signature signature;
  SmallVector<StringRef> words;
  text.split(words, ' ');
  for (StringRef word : words) {
    auto [name, variable] = word.split(':');
    bool isRequired = !name.consume_back("?");
    signature.isVariadic = name.consume_back("*");
    signature.parameters.push_back({name.str(), isRequired && !signature.isVariadic,
                                    signature.isVariadic ? "" : variable.str(), typesOf(variable[0])});
  }
  return signature;
}

const llvm::StringMap<Signature> &contributed() {
  static const llvm::StringMap<Signature> table = [] {
    llvm::StringMap<Signature> result;
    auto add = [&](ArrayRef<StringRef> names, StringRef text) {
      for (StringRef name : names)
        result[(name.contains('.') ? "" : "com.microsoft.") + name.str()] = parse(text);
    };
    add({"ai.onnx.LayerNormalization", "LayerNormalization"}, "X:T scale:T2 B?:T2");
    add({"ai.onnx.SimplifiedLayerNormalization", "SimplifiedLayerNormalization"}, "X:T scale:T2");
    add({"SkipLayerNormalization"}, "input:T skip:T gamma:T beta?:T bias?:T");
    add({"SkipSimplifiedLayerNormalization"}, "input:T skip:T gamma:T bias?:T");
    add({"EmbedLayerNormalization"},
        "input_ids:M segment_ids?:M word_embedding:T position_embedding:T segment_embedding?:T gamma:T "
        "beta:T mask?:M position_ids?:M");
    add({"BiasGelu"}, "A:T B:T");
    add({"Gelu", "QuickGelu"}, "X:T");
    add({"FastGelu"}, "X:T bias?:T");
    add({"GemmFastGelu"}, "X:T W:T bias?:T");
    add({"BiasSplitGelu"}, "X:T bias:T");
    add({"BiasAdd"}, "X:T bias:T skip:T");
    add({"BiasSoftmax"}, "data:T bias:T");
    add({"BiasDropout"}, "data:T bias:T residual?:T ratio?:T2 training_mode?:B");
    add({"FusedConv"}, "X:T W:T B?:T Z?:T");
    add({"NhwcConv"}, "X:T W:T B?:T");
    add({"FusedGemm"}, "A:A B:A C?:A");
    add({"FusedMatMul", "CDist"}, "A:T B:T");
    add({"ExpandDims"}, "X:A axis:M");
    add({"GatherND"}, "data:A indices:I");
    add({"Pad"}, "data:A pads:L value?:A axes?:I");
    add({"Trilu"}, "X:A k?:L");
    add({"MatMulNBits"}, "A:T B:U scales:T2 zero_points?:Z g_idx?:M bias?:T3");
    add({"GatherBlockQuantized"}, "data:A indices:I scales:T zero_points?:A");
    add({"QuantizeLinear"}, "x:T y_scale:T y_zero_point?:A");
    add({"DequantizeLinear"}, "x:A x_scale:T x_zero_point?:A");
    add({"QLinearAdd", "QLinearMul"},
        "A:Q A_scale:F A_zero_point?:Q B:Q B_scale:F B_zero_point?:Q C_scale:F C_zero_point?:Q");
    add({"QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax", "QLinearAveragePool", "QLinearGlobalAveragePool"},
        "X:Q X_scale:F X_zero_point?:Q Y_scale:F Y_zero_point?:Q");
    add({"QLinearConcat"}, "Y_scale:F Y_zero_point?:Q inputs*:V");
    add({"QLinearWhere"},
        "condition:B X:Q x_scale:F x_zero_point?:Q Y:Q y_scale:F y_zero_point?:Q z_scale:F z_zero_point?:Q");
    add({"MatMulIntegerToFloat"},
        "A:Q B:Q2 a_scale:T b_scale:T a_zero_point?:Q b_zero_point?:Q2 bias?:T");
    add({"DynamicQuantizeMatMul"}, "A:F B:Q b_scale:F b_zero_point?:Q bias?:F");
    add({"QGemm"}, "A:Q a_scale:F a_zero_point?:Q B:Q2 b_scale:F b_zero_point?:Q2 C?:M y_scale?:F "
                   "y_zero_point?:Q3");
    add({"QAttention"}, "input:Q weight:Q2 bias:T input_scale:T weight_scale:T mask_index?:M "
                        "input_zero_point?:Q weight_zero_point?:Q2 past?:T");
    add({"Attention"}, "input:T weights:T bias?:T mask_index?:M past?:T attention_bias?:T "
                       "past_sequence_length?:M");
    add({"MultiHeadAttention"}, "query:T key?:T value?:T bias?:T key_padding_mask?:M attention_bias?:T "
                                "past_key?:T past_value?:T past_sequence_length?:M cache_indirection?:M");
    add({"GroupQueryAttention"}, "query:T key?:T value?:T past_key?:T past_value?:T seqlens_k:M "
                                 "total_sequence_length:M cos_cache?:T sin_cache?:T position_ids?:L "
                                 "attention_bias?:T head_sink?:T");
    add({"RotaryEmbedding"}, "input:T position_ids:L cos_cache:T sin_cache:T");
    for (StringRef domain : kQonnxDomains) {
      auto named = [&](StringRef name) { return (domain + "." + name).str(); };
      add({named("Quant"), named("IntQuant")}, "X:F scale:F zeropt:F bitwidth:A");
      add({named("BipolarQuant")}, "X:F scale:F");
      add({named("Trunc")}, "X:F scale:F zeropt:F in_bitwidth:A out:A2 out_bitwidth?:A3");
    }
    return result;
  }();
  return table;
}

std::string check(const Signature &signature, ArrayRef<GivenOperand> operands) {
  ArrayRef<Parameter> parameters = signature.parameters;
  for (auto [i, parameter] : llvm::enumerate(parameters))
    if (parameter.isRequired && (i >= operands.size() || !operands[i].isGiven))
      return "its input " + importer::quoted(parameter.name) + " is missing";
  if (parameters.empty() ? !operands.empty() : !signature.isVariadic && operands.size() > parameters.size())
    return "it has " + std::to_string(operands.size()) + " inputs; it takes at most " +
           std::to_string(parameters.size());
  struct Bound {
    std::string type, by;
  };
  llvm::StringMap<Bound> bound;
  for (auto [i, operand] : llvm::enumerate(operands)) {
    if (!operand.element)
      continue;
    size_t at = std::min(i, parameters.size() - 1);
    const Parameter &parameter = parameters[at];
    std::string label = importer::quoted(parameter.name), type = nameOf(operand.element);
    if (signature.isVariadic && at + 1 == parameters.size())
      label += " (" + std::to_string(i) + ")";
    if (!operand.isExtension && !parameter.types.empty() && !llvm::is_contained(parameter.types, type))
      return "its input " + label + " has elements of type " + type +
             "; it takes " + llvm::join(parameter.types, ", ");
    if (parameter.variable.empty())
      continue;
    auto [first, isNew] = bound.try_emplace(parameter.variable, Bound{type, label});
    if (!isNew && first->second.type != type)
      return "its inputs " + first->second.by + " and " + label + " have elements of types " +
             first->second.type + " and " + type + ", which must be the same; cast one of them";
  }
  return "";
}

} // namespace

std::string operandError(StringRef op, ArrayRef<GivenOperand> operands) {
  if (auto found = contributed().find(op); found != contributed().end())
    return check(found->second, operands);
  StringRef name = op;
  if (!name.consume_front("onnx.") && !name.consume_front("ai.onnx."))
    return "";
  std::string newest;
  for (int version = INT_MAX; version > 0;) {
    const OpSchema *schema = OpSchemaRegistry::Schema(name.str(), version, "");
    if (!schema)
      break;
    version = schema->SinceVersion() - 1;
    std::string error = check(signatureOf(*schema), operands);
    if (error.empty())
      return "";
    if (newest.empty())
      newest = std::move(error);
  }
  return newest;
}

} // namespace sq
