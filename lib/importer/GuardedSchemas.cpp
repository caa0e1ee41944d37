#include "lib/importer/GuardedSchemas.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/ADT/StringSwitch.h"
#include "onnx/defs/shape_inference.h"

#include <map>
#include <memory>
#include <mutex>

using namespace onnx;

namespace sq::importer {
namespace {

/// onnx makes a vector that describes a shape into one message per element, known or not. No
/// tensor has so many dims.
constexpr int64_t kMostDims = 1024;

/// Blocks are squared; no image has so large ones.
constexpr int64_t kLargestBlock = 1 << 20;

/// Whether a value of this type, understood as a shape, has too many dims.
bool isTooLong(const TypeProto *type) {
  if (!type || !type->has_tensor_type() || type->tensor_type().shape().dim_size() != 1)
    return false;
  return type->tensor_type().shape().dim(0).dim_value() > kMostDims;
}

/// What operand `index` stands for in the operators that read a shape from it; "" in others.
llvm::StringRef shapeOperand(llvm::StringRef op, size_t index) {
  return llvm::StringSwitch<llvm::StringRef>(op)
      .Cases({"Reshape", "Expand"}, index == 1 ? "shape" : "")
      .Case("ConstantOfShape", index == 0 ? "shape" : "")
      .Case("Resize", index == 3 ? "sizes" : "")
      .Case("AffineGrid", index == 1 ? "size" : "")
      .Default("");
}

void checkShapeOperands(llvm::StringRef op, const InferenceContext &context) {
  for (size_t i = 0; i < context.getNumInputs(); ++i)
    if (llvm::StringRef name = shapeOperand(op, i); !name.empty() && isTooLong(context.getInputType(i)))
      fail_shape_inference("its ", name.str(), " has ",
                           context.getInputType(i)->tensor_type().shape().dim(0).dim_value(),
                           " elements; expected at most ", kMostDims);
}

/// onnx indexes the shapes by the equation without checks of ellipses and of labels that only the
/// output has.
void checkEinsum(const InferenceContext &context) {
  const AttributeProto *attribute = context.getAttribute("equation");
  std::string equation = attribute ? attribute->s() : "";
  llvm::erase(equation, ' ');
  auto refuse = [&](const char *why) {
    fail_shape_inference("the equation '", equation, "' ", why);
  };
  auto [left, right] = llvm::StringRef(equation).split("->");
  llvm::SmallVector<llvm::StringRef> terms;
  left.split(terms, ',');
  if (terms.size() != context.getNumInputs())
    refuse("has not one term per input");
  int ellipsisDims = -1;
  constexpr llvm::StringLiteral ellipsis = "...";
  auto checkTerm = [&](llvm::StringRef term) {
    auto [before, after] = term.split(ellipsis);
    if (!llvm::all_of(before, llvm::isAlpha) || !llvm::all_of(after, llvm::isAlpha))
      refuse("may have letters and one '...' in each term only");
    return int(before.size() + after.size());
  };
  for (auto [i, term] : llvm::enumerate(terms)) {
    int labels = checkTerm(term);
    if (!term.contains(ellipsis) || !hasInputShape(context, i))
      continue;
    int dims = getInputShape(context, i).dim_size() - labels;
    if (dims < 0 || (ellipsisDims >= 0 && dims != ellipsisDims))
      refuse("has an ellipsis that stands for different numbers of dims");
    ellipsisDims = dims;
  }
  checkTerm(right);
  if (right.contains(ellipsis) && !left.contains(ellipsis))
    refuse("has an ellipsis in the output only");
  for (char label : right)
    if (label != '.' && !left.contains(label))
      refuse("has a label in the output only");
}

/// An integer that an operator needs to be in a range.
struct Range {
  llvm::StringRef op, attribute;
  int64_t low, high;
};

void checkAttributes(llvm::StringRef op, const InferenceContext &context) {
  if (op == "Einsum")
    return checkEinsum(context);
  int64_t inputs = context.getNumInputs(), outputs = context.getNumOutputs();
  constexpr int64_t any = INT64_MAX;
  llvm::SmallVector<Range> ranges = {
      {"Attention", "q_num_heads", 1, any},
      {"Attention", "kv_num_heads", 1, any},
      {"DepthToSpace", "blocksize", 1, kLargestBlock},
      {"SpaceToDepth", "blocksize", 1, kLargestBlock},
      {"GatherND", "batch_dims", 0, any},
      {"Scan", "num_scan_inputs", 1, inputs},
      {"Split", "num_outputs", 1, outputs},
  };
  if (op == "LayerNormalization" && hasInputShape(context, 0)) {
    int64_t rank = getInputShape(context, 0).dim_size();
    ranges.push_back({"LayerNormalization", "axis", -rank, rank - 1});
  }
  for (const Range &range : ranges) {
    const AttributeProto *attribute = op == range.op ? context.getAttribute(range.attribute.str()) : nullptr;
    if (!attribute || (attribute->i() >= range.low && attribute->i() <= range.high))
      continue;
    std::string above = range.high == any ? "" : " and at most " + std::to_string(range.high);
    fail_shape_inference(range.attribute.str(), " is ", attribute->i(), "; expected at least ", range.low, above);
  }
}

class GuardedRegistry : public ISchemaRegistry {
public:
  const OpSchema *GetSchema(const std::string &op, const int version,
                            const std::string &domain) const override {
    const OpSchema *schema = OpSchemaRegistry::Instance()->GetSchema(op, version, domain);
    if (!schema || !domain.empty())
      return schema;
    std::lock_guard<std::mutex> lock(mutex);
    std::unique_ptr<OpSchema> &guarded = schemas[schema];
    if (!guarded)
      guarded = guard(*schema);
    return guarded.get();
  }

private:
  static std::unique_ptr<OpSchema> guard(const OpSchema &schema) {
    auto guarded = std::make_unique<OpSchema>(schema);
    if (schema.has_type_and_shape_inference_function())
      guarded->TypeAndShapeInferenceFunction(
          [op = schema.Name(), infer = schema.GetTypeAndShapeInferenceFunction()](
              InferenceContext &context) {
            checkShapeOperands(op, context);
            checkAttributes(op, context);
            infer(context);
          });
    if (schema.has_data_propagation_function())
      guarded->PartialDataPropagationFunction(
          [propagate = schema.GetDataPropagationFunction()](DataPropagationContext &context) {
            for (size_t i = 0; i < context.getNumInputs(); ++i)
              if (isTooLong(context.getInputType(i)))
                return; // no shape: nothing is lost
            propagate(context);
          });
    return guarded;
  }

  mutable std::mutex mutex;
  mutable std::map<const OpSchema *, std::unique_ptr<OpSchema>> schemas;
};

} // namespace

const ISchemaRegistry &guardedSchemas() {
  static const GuardedRegistry registry;
  return registry;
}

} // namespace sq::importer
