#include "lib/driver/Shapes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/Builders.h"
#include "mlir/IR/Diagnostics.h"

#include <set>

using namespace mlir;
using namespace sq;

std::string sq::parseShape(StringRef text, DimRanges &ranges) {
  auto [name, value] = text.split('=');
  auto [low, high] = value.split("..");
  if (!value.contains(".."))
    high = low;
  DimRange range;
  if (name.empty() || low.getAsInteger(10, range.min) || high.getAsInteger(10, range.max))
    return ("--shape=" + text + " is not NAME=LO..HI or NAME=N").str();
  if (range.min < 0 || range.max < range.min)
    return ("--shape=" + text + " is an empty or negative range").str();
  if (!ranges.try_emplace(name.str(), range).second)
    return ("--shape gives '" + name + "' twice").str();
  return "";
}

LogicalResult sq::applyShapes(ModuleOp module, const DimRanges &ranges) {
  if (ranges.empty())
    return success();
  std::set<std::string> symbols;
  module.walk([&](func::FuncOp func) {
    for (unsigned i = 0; i < func.getNumArguments(); ++i)
      if (auto dims = func.getArgAttrOfType<ArrayAttr>(i, "onnx.dims"))
        for (auto name : dims.getAsRange<StringAttr>())
          if (!name.getValue().empty())
            symbols.insert(name.getValue().str());
  });
  Builder b(module.getContext());
  NamedAttrList attributes;
  for (const auto &[name, range] : ranges) {
    if (!symbols.count(name)) {
      std::string known;
      for (const std::string &symbol : symbols)
        known += (known.empty() ? "" : ", ") + symbol;
      return emitError(UnknownLoc::get(module.getContext()))
             << "--shape names the dimension '" << name << "', which no input has; symbols of this model: "
             << (known.empty() ? "none" : known);
    }
    attributes.set(name, b.getDenseI64ArrayAttr({range.min, range.max}));
  }
  module->setAttr("sq.dims", attributes.getDictionary(module.getContext()));
  return success();
}
