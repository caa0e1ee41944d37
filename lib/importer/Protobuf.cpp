#include "lib/importer/Protobuf.h"

#include "mlir/IR/Diagnostics.h"
#include "onnx/defs/parser.h"

#include <climits>
#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/stubs/logging.h>

using namespace mlir;
using ::onnx::ModelProto;

namespace sq::importer {
namespace {

// Deeper than the limits on graphs and types need (four messages a level), shallow enough for the
// parser's stack.
constexpr int kProtobufDepth = 400;
// The text parser recurses per bracket and has no limit of its own.
constexpr int kTextDepth = 100;

/// Why protobuf could not parse `bytes`, found by walking the fields of the outermost message.
std::string explainParseFailure(StringRef bytes) {
  google::protobuf::io::CodedInputStream stream(
      reinterpret_cast<const uint8_t *>(bytes.data()), static_cast<int>(bytes.size()));
  while (uint32_t tag = stream.ReadTag()) {
    uint64_t number;
    uint32_t size;
    int at = stream.CurrentPosition();
    bool read = false;
    switch (tag & 7) {
    case 0:
      read = stream.ReadVarint64(&number);
      break;
    case 1:
      read = stream.Skip(8);
      break;
    case 5:
      read = stream.Skip(4);
      break;
    case 2:
      if (stream.ReadVarint32(&size)) {
        uint64_t left = bytes.size() - stream.CurrentPosition();
        if (size > left && (tag >> 3) <= 26)
          return "is truncated or damaged: field " + std::to_string(tag >> 3) + " at byte " +
                 std::to_string(at) + " needs " + std::to_string(size) + " bytes, " +
                 std::to_string(left) + " are left";
        read = size <= left && stream.Skip(static_cast<int>(size));
      }
      break;
    default:
      break;
    }
    if (!read)
      return "is not an ONNX model: no protobuf field at byte " + std::to_string(at);
  }
  return "is damaged, or its messages are nested too deep: protobuf cannot parse it";
}

/// The deepest nesting of brackets outside of strings and comments.
int bracketDepth(StringRef text) {
  int depth = 0, deepest = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    switch (text[i]) {
    case '"':
      for (++i; i < text.size() && text[i] != '"'; ++i)
        if (text[i] == '\\')
          ++i;
      break;
    case '#':
      while (i + 1 < text.size() && text[i + 1] != '\n')
        ++i;
      break;
    case '=': // an arrow closes nothing
      if (i + 1 < text.size() && text[i + 1] == '>')
        ++i;
      break;
    case '(':
    case '[':
    case '{':
    case '<':
      deepest = std::max(deepest, ++depth);
      break;
    case ')':
    case ']':
    case '}':
    case '>':
      depth = std::max(depth - 1, 0);
      break;
    }
  }
  return deepest;
}

} // namespace

Location fileLocation(StringRef name, MLIRContext *context, unsigned line, unsigned column) {
  return FileLineColLoc::get(context, name, line, column);
}

FailureOr<std::unique_ptr<ModelProto>> parseProtobuf(StringRef bytes, Location loc) {
  if (bytes.empty())
    return emitError(loc) << "the file is empty; expected an ONNX model";
  if (bytes.size() > static_cast<size_t>(INT_MAX))
    return emitError(loc) << "the file has " << bytes.size()
                          << " bytes, a protobuf message at most " << INT_MAX
                          << "; store the weights as external data";
  auto model = std::make_unique<ModelProto>();
  google::protobuf::LogSilencer quiet; // its messages go to stderr and say less
  google::protobuf::io::CodedInputStream stream(
      reinterpret_cast<const uint8_t *>(bytes.data()), static_cast<int>(bytes.size()));
  stream.SetRecursionLimit(kProtobufDepth);
  if (!model->ParseFromCodedStream(&stream) || !stream.ConsumedEntireMessage())
    return emitError(loc) << "the file " << explainParseFailure(bytes);
  return model;
}

FailureOr<std::unique_ptr<ModelProto>> parseText(StringRef text, StringRef name, Location loc) {
  if (text.contains('\0'))
    return emitError(loc) << "the text contains a zero byte";
  if (bracketDepth(text) > kTextDepth)
    return emitError(loc) << "brackets are nested more than " << kTextDepth << " deep";
  auto model = std::make_unique<ModelProto>();
  std::string message;
  std::string input = text.str(); // the parser wants a zero at the end
  try {
    ::onnx::OnnxParser parser(input.c_str());
    auto status = parser.Parse(*model);
    if (status.IsOK())
      return model;
    message = status.ErrorMessage();
  } catch (const std::exception &exception) {
    message = std::string("a number does not fit (") + exception.what() + ")";
  }
  // "[ParseError at position (line: 1 column: 7)]\nError context: ...\nwhat is wrong"
  StringRef rest = message;
  unsigned line = 0, column = 0;
  if (rest.consume_front("[ParseError at position (line: ")) {
    rest.consumeInteger(10, line);
    rest.consume_front(" column: ");
    rest.consumeInteger(10, column);
    rest = rest.rtrim().rsplit('\n').second;
  }
  return emitError(fileLocation(name, loc.getContext(), line, column))
         << "not valid ONNX text: " << rest;
}

} // namespace sq::importer
