#include "passes/analysis/NamedResults.h"

using namespace mlir;
using namespace sq;

static func::ReturnOp returnOf(func::FuncOp main) {
  return cast<func::ReturnOp>(main.getBody().front().getTerminator());
}

NamedResults::NamedResults(func::FuncOp main, StringRef nameAttribute)
    : main(main), nameAttribute(nameAttribute), results(returnOf(main).getOperands()) {
  for (unsigned i = 0; i < results.size(); ++i) {
    DictionaryAttr attribute = main.getResultAttrDict(i);
    attributes.push_back(attribute ? attribute : DictionaryAttr::get(main.getContext()));
    if (auto name = main.getResultAttrOfType<StringAttr>(i, nameAttribute))
      taken.insert(name.getValue());
  }
}

void NamedResults::add(const std::string &name, Value value, ArrayRef<NamedAttribute> beside) {
  if (!taken.insert(name).second)
    return;
  Builder b(main.getContext());
  SmallVector<NamedAttribute> all(beside);
  all.push_back(b.getNamedAttr(nameAttribute, b.getStringAttr(name)));
  results.push_back(value);
  attributes.push_back(b.getDictionaryAttr(all));
}

void NamedResults::finish() {
  returnOf(main).getOperandsMutable().assign(results);
  main.setType(Builder(main.getContext()).getFunctionType(main.getArgumentTypes(), TypeRange(ValueRange(results))));
  main.setAllResultAttrs(attributes);
}
