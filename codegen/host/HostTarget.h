/// What code generation needs to know about a level of x86-64.
#ifndef SQ_CODEGEN_HOST_HOSTTARGET_H
#define SQ_CODEGEN_HOST_HOSTTARGET_H

#include "codegen/host/Tiles.h"
#include "llvm/ADT/ArrayRef.h"
#include "llvm/ADT/StringRef.h"
#include <cstdint>
#include <optional>
#include <string>

namespace sq {

/// Columns of a packed weight panel. 48 is what AVX-512 does in one tile of
/// 8 x 48 and AVX2 in three of 6 x 16, so both levels share one copy of the
/// weights (specs/host-codegen.md, sections 1 and 2).
constexpr int64_t kPanelColumns = 48;

struct HostTarget {
  llvm::StringRef level;      // as in the manifest and SQ_CPU
  llvm::StringRef cpu;        // for LLVM; never the name of the host's CPU
  llvm::StringRef attributes; // LLVM target features beyond `cpu`
  llvm::ArrayRef<llvm::StringRef> features; // what cpuid must report
  int64_t lanes;              // f32 in a vector register
  int64_t registers;          // of that size
  int64_t l1, l2;             // bytes of data cache of a core, what the least of the level have
  bool vnni;                  // a product of bytes is one instruction
  bool amx;                   // products with bf16 weights run on its tiles
};

/// A target with the sizes of its tiles.
struct TiledTarget : HostTarget {
  Tiles tiles;
};

/// From the least to the most demanding.
llvm::ArrayRef<HostTarget> hostTargets();
std::optional<HostTarget> findHostTarget(llvm::StringRef level);

/// The most demanding level that this machine has, by cpuid and the OS's saved
/// state; empty when it has none.
std::string bestHostLevel();

/// The same, but not above what SQ_CPU says, as the runtime takes no higher one: what runs in this process
/// is compiled for it. (What SQ_CPU says wrongly, the runtime tells.)
std::string runtimeHostLevel();

} // namespace sq

#endif
