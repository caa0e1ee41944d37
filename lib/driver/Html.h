/// What sq's reports in HTML share: one file each, without scripts or references.
#ifndef SQ_LIB_DRIVER_HTML_H
#define SQ_LIB_DRIVER_HTML_H

#include <string>

#include "llvm/ADT/StringRef.h"

namespace sq {

/// From the doctype to <body>; numbers are in cells of class n, formulas f, and
/// a span of class bar with a width is a bar.
extern const char kHtmlHead[];

/// Names come from models: they must not become markup.
std::string htmlEscaped(llvm::StringRef text);

} // namespace sq

#endif
