#include "lib/tensorio/Npy.h"

#include <cstdio>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

using namespace sq;

namespace {

/// A file in gtest's temporary folder, removed with the object.
struct TemporaryFile {
  std::string path = testing::TempDir() + "sq-npy-" + std::to_string(::getpid()) + ".npy";
  explicit TemporaryFile(const std::string &content) {
    std::ofstream(path, std::ios::binary) << content;
  }
  ~TemporaryFile() { std::remove(path.c_str()); }
};

std::string file(int version, const std::string &header, const std::string &data) {
  std::string text = "\x93NUMPY";
  text += {static_cast<char>(version), '\0'};
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i)
    text += static_cast<char>(header.size() >> (8 * i));
  return text + header + data;
}

std::string header(const std::string &descr, const std::string &shape,
                   const std::string &fortran = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }\n";
}

/// Why `content` is refused, without the file's name.
std::string refusal(const std::string &content) {
  TemporaryFile f(content);
  Tensor t;
  Status s = readNpy(f.path, t);
  EXPECT_EQ(s.code, ExitCode::Refused) << content;
  size_t colon = s.message.find(": ");
  return colon == std::string::npos ? s.message : s.message.substr(colon + 2);
}

TEST(Npy, Reads) {
  const std::string data("\1\0\0\0\377\377\377\377", 8);
  for (int version : {1, 2, 3}) {
    TemporaryFile f(file(version, header("<i4", "(1, 2)"), data));
    Tensor t;
    Status s = readNpy(f.path, t);
    ASSERT_TRUE(s.ok()) << s.message;
    EXPECT_EQ(formatTensor(t, 9), "1x2xi32=1,-1");
  }
  // Any order of keys, either quote, no trailing comma, rank 0.
  TemporaryFile f(file(1, "{\"shape\":(),\"fortran_order\":False,\"descr\":\"|b1\"}", "\7"));
  Tensor t;
  ASSERT_TRUE(readNpy(f.path, t).ok());
  EXPECT_EQ(formatTensor(t, 9), "bool8=1");
}

TEST(Npy, RoundTrip) {
  for (const char *text : {"2x3xi64=1,2,3,4,5,6", "f32=0.5", "0x3xf16=", "2xbf16=1,2", "1xu8=255",
                           "2xbool8=1,0", "2xf64=0.1,-0.1"}) {
    Tensor t, back;
    ASSERT_TRUE(parseTensor(text, t).ok());
    TemporaryFile f("");
    ASSERT_TRUE(writeNpy(f.path, t).ok());
    Status s = readNpy(f.path, back);
    ASSERT_TRUE(s.ok()) << s.message;
    EXPECT_EQ(formatTensor(back, 100), text);
  }
}

TEST(Npy, Refused) {
  EXPECT_EQ(refusal(""), "it has only 0 bytes");
  EXPECT_EQ(refusal("PK\3\4 an archive"), "it does not start with \\x93NUMPY");
  EXPECT_EQ(refusal(file(4, header("<f4", "()"), "1234")), "format version 4, expected 1 to 3");
  EXPECT_EQ(refusal(file(1, header("<f4", "(2,)"), "1234")),
            "2xf32 needs 8 bytes of data, given 4");
  EXPECT_EQ(refusal(file(1, header("<f4", "(1,)"), "12345678")),
            "1xf32 needs 4 bytes of data, given 8");
  EXPECT_EQ(refusal(file(1, header(">f4", "()"), "1234")),
            "elements are big endian ('>f4'), expected little endian; convert with "
            "a.astype(a.dtype.newbyteorder('<'))");
  EXPECT_EQ(refusal(file(1, header("<c8", "()"), "12345678")), "element type '<c8' is not supported");
  EXPECT_EQ(refusal(file(1, header("<f4", "(1, 1)", "True"), "1234")),
            "Fortran order; save np.ascontiguousarray(a)");
  EXPECT_EQ(refusal(file(1, header("<f4", "(4611686018427387904, 2)"), "1234")),
            "the shape 4611686018427387904x2xf32 overflows");
}

TEST(Npy, HostileHeaders) {
  EXPECT_EQ(refusal(file(1, header("<f4", "(99999999999999999999,)"), "1234")),
            "shape is not a tuple of up to 64 dims");
  EXPECT_EQ(refusal(file(1, header("<f4", "(-1,)"), "1234")), "shape is not a tuple of up to 64 dims");
  std::string deep = "(";
  for (int i = 0; i < 65; ++i)
    deep += "1,";
  EXPECT_EQ(refusal(file(1, header("<f4", deep + ")"), "1234")),
            "shape is not a tuple of up to 64 dims");
  EXPECT_EQ(refusal(std::string("\x93NUMPY\2\0\377\377\377\377{}", 14)),
            "the header claims 4294967295 bytes of a file of 14");
  // Every truncation of a good file is refused, and so is any changed byte of
  // its header or accepted: neither may crash.
  const std::string good = file(1, header("<f4", "(2, 1)"), "12345678");
  for (size_t length = 0; length < good.size(); ++length)
    EXPECT_NE(refusal(good.substr(0, length)), "");
  for (size_t i = 0; i < good.size(); ++i)
    for (char c : {'\0', '(', '}', '\'', '9', '\377'}) {
      std::string changed = good;
      changed[i] = c;
      TemporaryFile f(changed);
      Tensor t;
      Status s = readNpy(f.path, t);
      EXPECT_TRUE(s.ok() || s.code == ExitCode::Refused);
    }
}

TEST(Npy, FilesThatAreNone) {
  Tensor t;
  EXPECT_EQ(readNpy("/nonexistent/a.npy", t).message,
            "cannot read '/nonexistent/a.npy': No such file or directory");
  EXPECT_EQ(readNpy("/dev/null", t).message, "cannot read '/dev/null': it is not a regular file");
  EXPECT_EQ(readNpy("/", t).code, ExitCode::Refused);
}

// Nothing half-written stays, and what was there does.
TEST(Npy, FailedWriteLeavesNothing) {
  Tensor t;
  ASSERT_TRUE(parseTensor("1024xf32=1", t).ok());
  EXPECT_EQ(writeNpy("/nonexistent/a.npy", t).code, ExitCode::Lacking);
  Status full = writeNpy("/dev/full", t);
  EXPECT_EQ(full.code, ExitCode::Lacking);
  EXPECT_EQ(full.message, "cannot write '/dev/full': No space left on device");
}

} // namespace
