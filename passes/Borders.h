/// Where a program of integers meets floats.
#ifndef SQ_PASSES_BORDERS_H
#define SQ_PASSES_BORDERS_H

namespace sq {

/// A loop that makes floats of integers ("dequantize") or integers of floats ("quantize") has this
/// attribute. Nothing is fused with it, so that its kernel is the only one with float instructions.
inline constexpr char kBorder[] = "sq.border";

} // namespace sq

#endif
