#include "passes/analysis/SymbolicSize.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

#include "dialects/sq/IR/SqOps.h"
#include "lib/support/SizeText.h"

using namespace mlir;
using namespace sq;

SymbolicSize::SymbolicSize(int64_t constant) { add({}, constant); }

SymbolicSize SymbolicSize::symbol(std::string symbol) {
  SymbolicSize result;
  result.add({std::move(symbol)}, 1);
  return result;
}

SymbolicSize SymbolicSize::unknown() {
  SymbolicSize result;
  result.known = false;
  return result;
}

void SymbolicSize::add(const Factors &factors, int64_t coefficient) {
  if (coefficient == 0)
    return;
  int64_t &term = terms[factors];
  if (llvm::AddOverflow(term, coefficient, term))
    known = false;
  if (term == 0)
    terms.erase(factors);
}

std::optional<int64_t> SymbolicSize::constant() const {
  if (!known || terms.size() > 1 || (terms.size() == 1 && !terms.begin()->first.empty()))
    return std::nullopt;
  return terms.empty() ? 0 : terms.begin()->second;
}

SymbolicSize SymbolicSize::operator+(const SymbolicSize &other) const {
  SymbolicSize result = *this;
  result.known &= other.known;
  for (auto &[factors, coefficient] : other.terms)
    result.add(factors, coefficient);
  return result;
}

SymbolicSize SymbolicSize::operator-(const SymbolicSize &other) const {
  return *this + other * SymbolicSize(-1);
}

SymbolicSize SymbolicSize::operator*(const SymbolicSize &other) const {
  SymbolicSize result;
  result.known = known && other.known;
  for (auto &[a, ca] : terms)
    for (auto &[b, cb] : other.terms) {
      Factors factors = a;
      factors.insert(factors.end(), b.begin(), b.end());
      llvm::sort(factors);
      int64_t coefficient;
      if (llvm::MulOverflow(ca, cb, coefficient))
        result.known = false;
      else
        result.add(factors, coefficient);
    }
  return result;
}

bool SymbolicSize::operator==(const SymbolicSize &other) const {
  return known && other.known && terms == other.terms;
}

bool SymbolicSize::mentions(const SymbolicSize &symbol) const {
  std::string name = symbol.text();
  return llvm::any_of(terms, [&](auto &term) {
    return llvm::any_of(term.first, [&](StringRef factor) {
      return factor == name || (factor.contains('(') && factor.contains(name));
    });
  });
}

bool SymbolicSize::atLeast(const SymbolicSize &other) const {
  if (!known || !other.known)
    return false;
  for (auto &[factors, coefficient] : other.terms) {
    auto own = terms.find(factors);
    if ((own == terms.end() ? 0 : own->second) < coefficient)
      return false;
  }
  return llvm::all_of(terms, [&](auto &term) { return term.second > 0 || other.terms.count(term.first); });
}

/// Maxima of maxima may double with each: beyond this a formula tells nobody anything.
constexpr size_t maxText = 4096;

SymbolicSize SymbolicSize::call(const char *name, const SymbolicSize &a, const SymbolicSize &b) {
  if (!a.known || !b.known)
    return unknown();
  // max(max(x, y), z) reads better as max(x, y, z).
  std::string head = std::string(name) + "(", list = a.text();
  bool nested = a.terms.size() == 1 && a.terms.begin()->second == 1 && a.terms.begin()->first.size() == 1;
  if (nested && (head == "max(" || head == "min(") && list.compare(0, head.size(), head) == 0)
    list = list.substr(head.size(), list.size() - head.size() - 1);
  std::string text = head + list + ", " + b.text() + ")";
  return text.size() <= maxText ? symbol(std::move(text)) : unknown();
}

SymbolicSize SymbolicSize::max(const SymbolicSize &a, const SymbolicSize &b) {
  return a.atLeast(b) ? a : b.atLeast(a) ? b : call("max", a, b);
}

SymbolicSize SymbolicSize::min(const SymbolicSize &a, const SymbolicSize &b) {
  return a.atLeast(b) ? b : b.atLeast(a) ? a : call("min", a, b);
}

SymbolicSize SymbolicSize::floorDiv(const SymbolicSize &a, const SymbolicSize &b) {
  if (!a.known || !b.known || b.terms.empty())
    return unknown();
  // Exact when the divisor is one term that is in all terms.
  if (b.terms.size() == 1) {
    SymbolicSize quotient;
    auto &[divisor, by] = *b.terms.begin();
    bool exact = true;
    for (auto &[factors, coefficient] : a.terms) {
      Factors rest;
      std::set_difference(factors.begin(), factors.end(), divisor.begin(), divisor.end(),
                          std::back_inserter(rest));
      exact &= coefficient % by == 0 && rest.size() + divisor.size() == factors.size();
      quotient.add(rest, coefficient / by);
    }
    if (exact)
      return quotient;
    if (auto whole = a.constant(); whole && divisor.empty())
      return SymbolicSize(llvm::divideFloorSigned(*whole, by));
  }
  return call("div", a, b);
}

SymbolicSize SymbolicSize::ceilDiv(const SymbolicSize &a, const SymbolicSize &b) {
  SymbolicSize down = floorDiv(a, b);
  if (!down.known || down * b == a)
    return down;
  if (a.constant() && b.constant())
    return down + 1;
  return call("ceil", a, b);
}

SymbolicSize SymbolicSize::mod(const SymbolicSize &a, const SymbolicSize &b) {
  SymbolicSize down = floorDiv(a, b);
  if (!down.known || down * b == a || down.constant())
    return a - down * b;
  return call("mod", a, b);
}

SymbolicSize SymbolicSize::align(const SymbolicSize &a, int64_t multiple) {
  SymbolicSize count = ceilDiv(a, multiple);
  if (count * multiple == a || count.constant())
    return count * multiple;
  return call("align", a, multiple);
}

std::string SymbolicSize::text() const {
  if (!known)
    return "?";
  std::vector<std::pair<Factors, int64_t>> sorted(terms.begin(), terms.end());
  llvm::sort(sorted, [](auto &a, auto &b) {
    return std::pair(b.first.size(), a.first) < std::pair(a.first.size(), b.first);
  });
  std::string text;
  for (auto &[factors, coefficient] : sorted) {
    int64_t c = coefficient;
    if (!text.empty()) {
      text += c < 0 ? " - " : " + ";
      c = std::abs(c);
    }
    bool shown = factors.empty() || c != 1;
    if (c == -1 && !factors.empty()) {
      text += "-";
      shown = false;
    }
    if (shown)
      text += std::to_string(c);
    for (size_t i = 0, n; i < factors.size(); i += n) {
      n = std::count(factors.begin(), factors.end(), factors[i]);
      if (i || shown)
        text += "*";
      text += factors[i];
      if (n > 1)
        text += "^" + std::to_string(n);
    }
  }
  return text.empty() ? "0" : text;
}

//===-- From values --------------------------------------------------------===//

int64_t sq::bytesPerElement(Type element) {
  return element.isIndex() ? 8 : llvm::divideCeil(element.getIntOrFloatBitWidth(), 8);
}

SymbolicSize SymbolicSizes::of(Value index) {
  auto it = cache.find(index);
  if (it != cache.end())
    return it->second;
  SymbolicSize size = compute(index);
  cache.insert({index, size});
  return size;
}

SymbolicSize SymbolicSizes::compute(Value index) {
  Operation *op = index.getDefiningOp();
  if (!op)
    return SymbolicSize::unknown();
  IntegerAttr constant;
  if (auto c = dyn_cast<arith::ConstantOp>(op))
    if ((constant = dyn_cast<IntegerAttr>(c.getValue())))
      return constant.getValue().getSExtValue();
  if (isa<ThreadsOp>(op))
    return SymbolicSize::symbol("threads()");
  if (auto dim = dyn_cast<memref::DimOp>(op)) {
    std::optional<int64_t> at = dim.getConstantIndex();
    return at ? extent(dim.getSource(), *at) : SymbolicSize::unknown();
  }
  if (auto dim = dyn_cast<tensor::DimOp>(op)) {
    std::optional<int64_t> at = dim.getConstantIndex();
    return at ? extent(dim.getSource(), *at) : SymbolicSize::unknown();
  }
  if (isa<arith::IndexCastOp, arith::IndexCastUIOp, arith::ExtSIOp, arith::ExtUIOp, arith::TruncIOp>(op))
    return of(op->getOperand(0));
  if (op->getNumOperands() != 2)
    return SymbolicSize::unknown();
  SymbolicSize a = of(op->getOperand(0)), b = of(op->getOperand(1));
  if (isa<arith::AddIOp>(op))
    return a + b;
  if (isa<arith::SubIOp>(op))
    return a - b;
  if (isa<arith::MulIOp>(op))
    return a * b;
  if (isa<arith::MaxSIOp, arith::MaxUIOp>(op))
    return SymbolicSize::max(a, b);
  if (isa<arith::MinSIOp, arith::MinUIOp>(op))
    return SymbolicSize::min(a, b);
  if (isa<arith::DivSIOp, arith::DivUIOp, arith::FloorDivSIOp>(op))
    return SymbolicSize::floorDiv(a, b);
  if (isa<arith::CeilDivSIOp, arith::CeilDivUIOp>(op))
    return SymbolicSize::ceilDiv(a, b);
  if (isa<arith::RemSIOp, arith::RemUIOp>(op))
    return SymbolicSize::mod(a, b);
  // (x + 63) & -64 rounds up.
  if (isa<arith::AndIOp>(op))
    if (auto mask = b.constant(); mask && *mask < 0 && llvm::isPowerOf2_64(-static_cast<uint64_t>(*mask)))
      return SymbolicSize::align(a - (-*mask - 1), -*mask);
  return SymbolicSize::unknown();
}

/// Of a tensor: the one that has its shape.
static Value shapeSource(Value tensor) {
  Operation *op = tensor.getDefiningOp();
  if (auto styled = dyn_cast<DestinationStyleOpInterface>(op))
    return styled.getTiedOpOperand(cast<OpResult>(tensor))->get();
  if (auto insert = dyn_cast<tensor::InsertSliceOp>(op))
    return insert.getDest();
  if (auto cast = dyn_cast<tensor::CastOp>(op))
    return cast.getSource();
  return {};
}

SymbolicSize SymbolicSizes::extent(Value memref, int64_t dim) {
  auto type = cast<ShapedType>(memref.getType());
  if (!type.isDynamicDim(dim))
    return type.getDimSize(dim);
  Operation *op = memref.getDefiningOp();
  unsigned dynamic = type.getDynamicDimIndex(dim);
  if (!op) {
    auto arg = cast<BlockArgument>(memref);
    auto func = dyn_cast<FunctionOpInterface>(arg.getOwner()->getParentOp());
    if (!func)
      return SymbolicSize::unknown();
    auto dims = func.getArgAttrOfType<ArrayAttr>(arg.getArgNumber(), "sq.dims");
    auto name = func.getArgAttrOfType<StringAttr>(arg.getArgNumber(), "sq.name");
    if (dims && dim < static_cast<int64_t>(dims.size()))
      if (StringRef symbol = cast<StringAttr>(dims[dim]).getValue(); !symbol.empty())
        return SymbolicSize::symbol(sizeSymbol(symbol.str()));
    std::string input = name ? name.getValue().str() : "arg" + std::to_string(arg.getArgNumber());
    return SymbolicSize::symbol(sizeSymbol(input + ":" + std::to_string(dim)));
  }
  auto sized = [&](OpFoldResult size) {
    if (auto value = dyn_cast<Value>(size))
      return of(value);
    return SymbolicSize(*getConstantIntValue(size));
  };
  auto ofGroup = [&](Value source, const ReassociationIndices &group) {
    SymbolicSize result = 1;
    for (int64_t d : group)
      result *= extent(source, d);
    return result;
  };
  auto ofView = [&](auto view) {
    llvm::SmallBitVector dropped = view.getDroppedDims();
    int64_t kept = -1;
    for (auto [i, size] : llvm::enumerate(view.getMixedSizes()))
      if (!dropped.test(i) && ++kept == dim)
        return sized(size);
    return SymbolicSize::unknown();
  };
  if (isa<TensorType>(type)) {
    if (Value source = shapeSource(memref))
      return extent(source, dim);
    if (auto empty = dyn_cast<tensor::EmptyOp>(op))
      return of(empty.getDynamicSize(dim));
    if (auto expand = dyn_cast<tensor::ExpandShapeOp>(op))
      return of(expand.getOutputShape()[dynamic]);
    if (auto collapse = dyn_cast<tensor::CollapseShapeOp>(op))
      return ofGroup(collapse.getSrc(), collapse.getReassociationIndices()[dim]);
    if (auto slice = dyn_cast<tensor::ExtractSliceOp>(op))
      return ofView(slice);
    return SymbolicSize::unknown();
  }
  if (auto alloc = dyn_cast<memref::AllocOp>(op))
    return of(alloc.getDynamicSizes()[dynamic]);
  if (auto view = dyn_cast<memref::ViewOp>(op))
    return of(view.getSizes()[dynamic]);
  if (auto output = dyn_cast<OutputOp>(op))
    return of(output.getSizes()[dynamic]);
  if (auto flat = dyn_cast<memref::ReinterpretCastOp>(op))
    return sized(flat.getMixedSizes()[dim]);
  if (auto expand = dyn_cast<memref::ExpandShapeOp>(op))
    return of(expand.getOutputShape()[dynamic]);
  if (auto cast = dyn_cast<memref::CastOp>(op))
    return extent(cast.getSource(), dim);
  if (auto part = dyn_cast<PartOp>(op))
    return dim == 0 ? of(part.getLength()) : extent(part.getSource(), dim);
  if (auto collapse = dyn_cast<memref::CollapseShapeOp>(op))
    return ofGroup(collapse.getSrc(), collapse.getReassociationIndices()[dim]);
  if (auto view = dyn_cast<memref::SubViewOp>(op))
    return ofView(view);
  return SymbolicSize::unknown();
}

SymbolicSize SymbolicSizes::elements(Value memref) {
  SymbolicSize result = 1;
  for (int64_t d = 0, e = cast<MemRefType>(memref.getType()).getRank(); d < e; ++d)
    result *= extent(memref, d);
  return result;
}

SymbolicSize SymbolicSizes::bytes(Value memref) {
  return elements(memref) * bytesPerElement(cast<MemRefType>(memref.getType()).getElementType());
}
