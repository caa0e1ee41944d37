/// The one place that registers what sq's tools accept.
#ifndef SQ_LIB_INIT_INITSQ_H
#define SQ_LIB_INIT_INITSQ_H

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace sq {
/// Dialects that sq can lower, and their interfaces; no others.
void registerDialects(mlir::DialectRegistry &registry);
/// Passes and pipelines, sq's and the upstream ones that sq's pipelines use.
void registerPasses();
} // namespace sq

#endif
