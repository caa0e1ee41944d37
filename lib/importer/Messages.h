/// Text of files in messages.
#ifndef SQ_LIB_IMPORTER_MESSAGES_H
#define SQ_LIB_IMPORTER_MESSAGES_H

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/StringRef.h"
#include "llvm/Support/raw_ostream.h"

#include <string>

namespace sq::importer {

/// `'text'` with everything that is not printable ASCII escaped and long text cut: names come
/// from files that others wrote, messages go to terminals and logs.
inline std::string quoted(llvm::StringRef text) {
  constexpr size_t kLongest = 120;
  std::string result;
  llvm::raw_string_ostream stream(result);
  stream << '\'';
  llvm::printEscapedString(text.take_front(kLongest), stream);
  stream << (text.size() > kLongest ? "...'" : "'");
  return result;
}

} // namespace sq::importer

#endif
