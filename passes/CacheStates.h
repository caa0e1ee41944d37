/// What --sq-cache-states leaves on @main for the manifest.
#ifndef SQ_PASSES_CACHESTATES_H
#define SQ_PASSES_CACHESTATES_H

#include "llvm/ADT/StringRef.h"

namespace sq {

/// On @main: the signature that the model has (`inputs`, `outputs`, each with
/// sq.name, sq.dtype, sq.dims and `type`), `states` (input, output, axis of
/// places, heads, size of a head, for each cache), the inputs `tokens` and
/// `positions` (-1: none), the size of the `vocabulary` (0: not known) and the
/// outputs `selected`, of which the program computes the rows asked for. The
/// program's own arguments are the inputs that are no past, in order, then the
/// lengths [batch], the rows [batch, rows] and the caches [batch, capacity,
/// heads, size]; its results are the outputs that are no present.
inline constexpr llvm::StringLiteral kCacheAttr = "sq.cache";

} // namespace sq

#endif
