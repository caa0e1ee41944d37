#include "lib/tensorio/Npz.h"
#include "lib/tensorio/Npy.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <unistd.h>

using namespace sq;

namespace {

template <typename T>
void put(std::string &to, T value) {
  to.append(reinterpret_cast<const char *>(&value), sizeof value);
}

struct Member {
  std::string name, bytes;
  uint16_t method = 0, flags = 0;
};

/// As numpy.savez writes it: local headers with zip64 fields, a directory of 32 bits; with `is64`
/// sizes and offsets of the directory are in zip64 fields too.
std::string archiveOf(const std::vector<Member> &members, bool is64 = false) {
  std::string file, directory;
  for (const Member &m : members) {
    uint32_t at = file.size(), size = m.bytes.size();
    put<uint32_t>(file, 0x04034b50);
    for (uint16_t field : {uint16_t(45), m.flags, m.method, uint16_t(0), uint16_t(0)})
      put(file, field);
    put<uint32_t>(file, 0);
    put<uint32_t>(file, 0xffffffff);
    put<uint32_t>(file, 0xffffffff);
    put<uint16_t>(file, m.name.size());
    put<uint16_t>(file, 20);
    file += m.name;
    put<uint16_t>(file, 1);
    put<uint16_t>(file, 16);
    put<uint64_t>(file, size);
    put<uint64_t>(file, size);
    file += m.bytes;

    put<uint32_t>(directory, 0x02014b50);
    for (uint16_t field : {uint16_t(45), uint16_t(45), m.flags, m.method, uint16_t(0), uint16_t(0)})
      put(directory, field);
    put<uint32_t>(directory, 0);
    put<uint32_t>(directory, is64 ? 0xffffffff : size);
    put<uint32_t>(directory, is64 ? 0xffffffff : size);
    put<uint16_t>(directory, m.name.size());
    put<uint16_t>(directory, is64 ? 28 : 0);
    put<uint16_t>(directory, 0);
    put<uint16_t>(directory, 0);
    put<uint16_t>(directory, 0);
    put<uint32_t>(directory, 0);
    put<uint32_t>(directory, is64 ? 0xffffffff : at);
    directory += m.name;
    if (is64) {
      put<uint16_t>(directory, 1);
      put<uint16_t>(directory, 24);
      for (uint64_t field : {uint64_t(size), uint64_t(size), uint64_t(at)})
        put(directory, field);
    }
  }
  uint64_t begin = file.size();
  file += directory;
  if (is64) {
    uint64_t end64 = file.size();
    put<uint32_t>(file, 0x06064b50);
    put<uint64_t>(file, 44);
    put<uint32_t>(file, 0);
    put<uint64_t>(file, 0);
    put<uint64_t>(file, members.size());
    put<uint64_t>(file, members.size());
    put<uint64_t>(file, directory.size());
    put<uint64_t>(file, begin);
    put<uint32_t>(file, 0x07064b50);
    put<uint32_t>(file, 0);
    put<uint64_t>(file, end64);
    put<uint32_t>(file, 1);
  }
  put<uint32_t>(file, 0x06054b50);
  put<uint32_t>(file, 0);
  put<uint16_t>(file, members.size());
  put<uint16_t>(file, members.size());
  put<uint32_t>(file, is64 ? 0xffffffff : directory.size());
  put<uint32_t>(file, is64 ? 0xffffffff : begin);
  put<uint16_t>(file, 0);
  return file;
}

class NpzTest : public testing::Test {
protected:
  // Each test is a process of its own, and several run at once.
  std::string prefix = testing::TempDir() + "sq-npz-" + std::to_string(::getpid());
  std::string path = prefix + ".npz";
  ~NpzTest() override { std::remove(path.c_str()); }

  Status list(const std::string &bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
    file = std::make_shared<InputFile>();
    Status s = file->open(path);
    return s.ok() ? listNpz(*file, members) : s;
  }
  std::string npyBytes(const char *text) {
    Tensor tensor;
    std::string name = prefix + ".npy";
    EXPECT_TRUE(parseTensor(text, tensor).ok() && writeNpy(name, tensor).ok());
    std::ifstream in(name, std::ios::binary);
    std::string bytes(std::istreambuf_iterator<char>(in), {});
    std::remove(name.c_str());
    return bytes;
  }

  std::shared_ptr<InputFile> file;
  std::vector<NpzMember> members;
};

} // namespace

TEST_F(NpzTest, ReadsRowsOfMembers) {
  std::string a = npyBytes("2x3xi64=1,2,3,4,5,6"), b = npyBytes("3xf32=1.5,2,3");
  for (bool is64 : {false, true}) {
    ASSERT_TRUE(list(archiveOf({{"ids.npy", a}, {"x.npy", b}}, is64)).ok());
    ASSERT_EQ(members.size(), 2u);
    EXPECT_EQ(members[0].name, "ids");
    NpyFile ids, x;
    ASSERT_TRUE(ids.open(file, "ids", members[0].offset, members[0].size).ok());
    ASSERT_TRUE(x.open(file, "x", members[1].offset, members[1].size).ok());
    Tensor row, whole;
    ASSERT_TRUE(ids.readRows(1, 1, row).ok() && x.read(whole).ok());
    EXPECT_EQ(formatTensor(row, 10), "1x3xi64=4,5,6");
    EXPECT_EQ(formatTensor(whole, 10), "3xf32=1.5,2,3");
  }
}

TEST_F(NpzTest, Refused) {
  std::string a = npyBytes("2xi64=1,2");
  auto message = [&](const std::vector<Member> &m) { return list(archiveOf(m)).message; };
  const std::string start = "'" + path + "' is not a readable .npz file: ";
  EXPECT_EQ(message({{"a.npy", a, 8}}),
            start + "'a' is compressed; save it with numpy.savez instead of savez_compressed");
  EXPECT_EQ(message({{"a.npy", a, 0, 1}}), start + "'a' is encrypted");
  EXPECT_EQ(message({{"a.txt", a}}), start + "it holds 'a.txt', expected .npy arrays only");
  EXPECT_EQ(message({{"a.npy", a}, {"a.npy", a}}), start + "it holds 'a' twice");
}

TEST_F(NpzTest, TruncatedOrChanged) {
  for (bool is64 : {false, true}) {
    std::string whole = archiveOf({{"a.npy", npyBytes("2xi64=1,2")}}, is64);
    for (size_t size = 0; size < whole.size(); ++size)
      EXPECT_FALSE(list(whole.substr(0, size)).ok()) << size;
    for (size_t at = 0; at < whole.size(); ++at) {
      std::string changed = whole;
      changed[at] ^= 0xff;
      if (list(changed).ok()) // what it then says must still lie in the file
        for (const NpzMember &m : members)
          EXPECT_LE(m.offset + m.size, changed.size());
    }
  }
}
