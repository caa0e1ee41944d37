/// How the ops of `sq` turn from tensors to memrefs (one-shot bufferization).
#ifndef SQ_DIALECTS_SQ_IR_SQBUFFERIZE_H
#define SQ_DIALECTS_SQ_IR_SQBUFFERIZE_H

namespace mlir {
class DialectRegistry;
} // namespace mlir

namespace sq {
void registerBufferizableOpInterfaces(mlir::DialectRegistry &registry);
} // namespace sq

#endif
