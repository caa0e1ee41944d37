/// A relocatable ELF64 x86-64 object that holds weights and manifest, written
/// section by section: the weights never lie in anonymous memory.
#ifndef SQ_LIB_DRIVER_ELFOBJECT_H
#define SQ_LIB_DRIVER_ELFOBJECT_H

#include <cstdint>
#include <functional>
#include <string>

#include "llvm/ADT/ArrayRef.h"
#include "llvm/Support/Error.h"

namespace sq {

inline constexpr char kWeightsSection[] = ".sq.weights";
inline constexpr char kManifestSection[] = ".sq.manifest";

/// Writes `path`. `fillWeights` gets the mapped section (weightsSize bytes,
/// zero); then `makeManifest` is asked for the manifest, so that it can hold
/// the hash of the weights. Disk space is reserved before anything is mapped:
/// a full disk is an error here, not a SIGBUS.
llvm::Error writeDataObject(const std::string &path, uint64_t weightsSize,
                            llvm::function_ref<llvm::Error(llvm::MutableArrayRef<uint8_t>)> fillWeights,
                            llvm::function_ref<std::string(llvm::ArrayRef<uint8_t>)> makeManifest);

} // namespace sq

#endif
