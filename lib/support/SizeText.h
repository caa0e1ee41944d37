/// Sizes as text: what the compiler writes into the manifest about a kernel's
/// work, and the tools evaluate for the dims of a run. Free of MLIR and LLVM.
#ifndef SQ_LIB_SUPPORT_SIZETEXT_H
#define SQ_LIB_SUPPORT_SIZETEXT_H

#include <functional>
#include <string>

namespace sq {

/// The value of a symbol; false when there is none of that name. The number of
/// threads is the symbol "threads()".
using SizeSymbols = std::function<bool(const std::string &name, double &value)>;

/// Evaluates `text`, e.g. "589824*batch*sequence + max(64, n^2)":
///
///     sum     = ["-"] product { ("+" | "-") product }
///     product = power { "*" power }
///     power   = atom [ "^" digits ]
///     atom    = digits | symbol | function "(" sum "," sum { "," sum } ")" | "(" sum ")"
///     symbol  = letter { letter | digit | "_" | "." | ":" } | "'" any "'" | "threads()"
///
/// where any has '' for ', and the functions are min and max (of two or more),
/// div (rounded down), ceil (division rounded up), mod and align (up to a
/// multiple). Arithmetic is
/// in double, exact below 2^53. False for what is not such a text, an unknown
/// symbol or a division by zero; `value` is then unchanged.
bool evaluateSize(const std::string &text, const SizeSymbols &symbols, double &value);

/// `name` as a symbol of such a text: quoted unless it is a plain one.
std::string sizeSymbol(const std::string &name);

} // namespace sq

#endif
