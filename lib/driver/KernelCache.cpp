#include "lib/driver/KernelCache.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/IR/DialectResourceBlobManager.h"
#include "mlir/IR/SymbolTable.h"
#include "mlir/Pass/PassManager.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringSet.h"
#include "llvm/Support/SHA256.h"

#include "codegen/host/EmitObject.h"
#include "codegen/host/Pipelines.h"

using namespace mlir;
using namespace sq;

/// Of objects, some 10 to 100 KB each; when they are more, all go.
static constexpr size_t kMostBytes = 256 << 20;

/// A kernel's text says all about it, unless it refers to what lies elsewhere.
static bool canStandAlone(func::FuncOp func) {
  if (func.isExternal() || func.getSymName() == "main")
    return false;
  return !func.walk([](Operation *op) {
                bool refers = false;
                op->getAttrDictionary().walk([&](Attribute attribute) {
                  refers |=
                      isa<SymbolRefAttr, DenseResourceElementsAttr>(attribute);
                });
                return refers ? WalkResult::interrupt() : WalkResult::advance();
              })
              .wasInterrupted();
}

static std::string symbolOf(func::FuncOp func, const std::string &context) {
  std::string text = context;
  llvm::raw_string_ostream os(text);
  std::string name = func.getSymName().str();
  func.setSymName("kernel"); // a number of this program
  func.print(os, OpPrintingFlags().useLocalScope());
  func.setSymName(name);
  llvm::SHA256 hash;
  hash.update(text);
  return "sq_kernel_" + llvm::toHex(hash.final(), /*LowerCase=*/true);
}

/// The object of a program that is this kernel alone.
static llvm::Expected<KernelCache::Object>
compileAlone(func::FuncOp func, const std::string &symbol, ModuleOp of,
             const HostTarget &target, bool amxEmulated) {
  OpBuilder b(func.getContext());
  Location loc = func.getLoc();
  OwningOpRef<ModuleOp> module = ModuleOp::create(loc);
  (*module)->setDiscardableAttrs(of->getDiscardableAttrDictionary());
  b.setInsertionPointToEnd(module->getBody());
  auto main = func::FuncOp::create(b, loc, "main", b.getFunctionType({}, {}));
  cast<func::FuncOp>(b.clone(*func)).setSymName(symbol);
  b.setInsertionPointToEnd(main.addEntryBlock());
  func::ReturnOp::create(b, loc);
  PassManager pm(func.getContext(), ModuleOp::getOperationName());
  buildKernelsToLLVM(pm, "sq_entry");
  if (failed(pm.run(*module)))
    return llvm::createStringError(llvm::inconvertibleErrorCode(),
                                   "a kernel could not be lowered by itself");
  return emitObject(*module, target, symbol, ObjectKind::Object,
                    /*sanitize=*/false, amxEmulated);
}

llvm::Error KernelCache::replaceKernels(
    ModuleOp module, const HostTarget &target, bool amxEmulated,
    std::vector<std::shared_ptr<const Object>> &objects) {
  std::string context;
  llvm::raw_string_ostream(context)
      << target.level << ' ' << target.cpu << ' ' << target.attributes << ' '
      << amxEmulated << ' ' << module->getDiscardableAttrDictionary() << '\n';
  SmallVector<func::FuncOp> kernels;
  for (auto func : module.getOps<func::FuncOp>())
    if (canStandAlone(func))
      kernels.push_back(func);
  llvm::StringSet<> declared;
  for (func::FuncOp func : kernels) {
    std::string symbol = symbolOf(func, context);
    std::shared_ptr<const Object> object;
    {
      std::lock_guard<std::mutex> lock(mutex);
      if (auto it = known.find(symbol); it != known.end())
        object = it->second;
      ++(object ? hits : misses);
    }
    if (!object) {
      auto made = compileAlone(func, symbol, module, target, amxEmulated);
      if (!made)
        return made.takeError();
      object = std::make_shared<const Object>(std::move(*made));
      std::lock_guard<std::mutex> lock(mutex);
      if (bytes + object->size() > kMostBytes) {
        known.clear();
        bytes = 0;
      }
      if (known.try_emplace(symbol, object).second)
        bytes += object->size();
    }
    if (failed(SymbolTable::replaceAllSymbolUses(
            func, StringAttr::get(func.getContext(), symbol), module)))
      return llvm::createStringError(llvm::inconvertibleErrorCode(),
                                     "a kernel's calls could not be renamed");
    if (!declared.insert(symbol).second) { // two that became equal
      func.erase();
      continue;
    }
    func.setSymName(symbol);
    func.eraseBody();
    objects.push_back(std::move(object));
  }
  return llvm::Error::success();
}
