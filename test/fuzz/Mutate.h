/// Changes of ONNX models that keep them readable but make them odd: what random bytes
/// hardly ever reach (the importer refuses those in their first field).
#ifndef SQ_TEST_FUZZ_MUTATE_H
#define SQ_TEST_FUZZ_MUTATE_H

#include <onnx/onnx_pb.h>

#include <random>
#include <string>

namespace sq::test {

/// Makes one change to the model; it may be one without effect.
void mutate(onnx::ModelProto &model, std::mt19937 &random);

/// Makes a few changes of the bytes of a model, without regard to what they mean.
void mutateBytes(std::string &bytes, std::mt19937 &random);

} // namespace sq::test

#endif
