#include "lib/driver/ModelHash.h"

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/DialectResourceBlobManager.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

using namespace mlir;

namespace {

class HashStream : public llvm::raw_ostream {
public:
  HashStream() { XXH3_128bits_reset(&state); }
  ~HashStream() override { flush(); }

  void addBytes(ArrayRef<char> bytes) {
    constexpr size_t kWhole = 1 << 20, kPage = 4096, kPages = 64;
    *this << bytes.size() << '\n';
    if (bytes.size() <= kWhole) {
      write(bytes.data(), bytes.size());
      return;
    }
    size_t stride = (bytes.size() - kPage) / (kPages - 1);
    for (size_t i = 0; i < kPages; ++i)
      write(bytes.data() + i * stride, kPage);
  }

  sq::calibration::ModelHash digest() {
    flush();
    XXH128_hash_t hash = XXH3_128bits_digest(&state);
    return {hash.low64, hash.high64};
  }

private:
  void write_impl(const char *data, size_t size) override {
    XXH3_128bits_update(&state, data, size);
    at += size;
  }
  uint64_t current_pos() const override { return at; }

  XXH3_state_t state;
  uint64_t at = 0;
};

} // namespace

sq::calibration::ModelHash sq::hashModel(ModuleOp module) {
  HashStream os;
  // Elements are hashed as bytes; what is printed are operators, types and small attributes.
  constexpr int64_t kPrinted = 16;
  OpPrintingFlags flags;
  flags.elideLargeElementsAttrs(kPrinted);
  // Only a module by itself has its resources printed behind it, each as a text of twice its size before that is left
  // out for being large.
  flags.useLocalScope();
  module.print(os, flags);
  module.walk([&](Operation *op) {
    if (auto name = op->getLoc()->findInstanceOf<NameLoc>())
      os << name.getName().getValue() << '\n';
    for (NamedAttribute attribute : op->getAttrDictionary()) {
      if (auto resource = dyn_cast<DenseResourceElementsAttr>(attribute.getValue())) {
        if (AsmResourceBlob *blob = resource.getRawHandle().getBlob())
          os.addBytes(blob->getData());
      } else if (auto dense = dyn_cast<DenseElementsAttr>(attribute.getValue())) {
        if (!isa<DenseStringElementsAttr>(dense))
          os.addBytes(dense.getRawData());
      }
    }
  });
  return os.digest();
}
