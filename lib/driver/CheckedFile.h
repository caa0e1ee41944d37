/// Files whose every write is checked: LLVM's streams end the process when an
/// error (a full disk) is never asked for.
#ifndef SQ_LIB_DRIVER_CHECKEDFILE_H
#define SQ_LIB_DRIVER_CHECKEDFILE_H

#include <string>

#include "llvm/ADT/STLFunctionalExtras.h"
#include "llvm/Support/Error.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/raw_ostream.h"

namespace sq {

enum class WriteMode { Replace, Append };

/// Calls `write` with a stream to `path`; errors of it and of the disk come
/// back, the latter as the bare reason ("No space left on device").
inline llvm::Error writeChecked(const std::string &path, WriteMode mode,
                                llvm::function_ref<llvm::Error(llvm::raw_ostream &)> write) {
  std::error_code failure;
  bool append = mode == WriteMode::Append;
  llvm::raw_fd_ostream os(
      path, failure, append ? llvm::sys::fs::CD_OpenExisting : llvm::sys::fs::CD_CreateAlways,
      llvm::sys::fs::FA_Write, append ? llvm::sys::fs::OF_Append : llvm::sys::fs::OF_None);
  llvm::Error error = llvm::Error::success();
  if (!failure) {
    error = write(os);
    os.close();
    failure = os.error();
    os.clear_error();
  }
  if (!failure)
    return error;
  llvm::consumeError(std::move(error)); // a consequence, if anything
  return llvm::createStringError(failure, failure.message());
}

} // namespace sq

#endif
