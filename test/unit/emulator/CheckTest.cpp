/// Each mistake is found, ends the launch alone, and is CUDA's error.
#include "test/unit/emulator/Gpu.h"

namespace sq::test {
namespace {

class Check : public Gpu {
protected:
  static constexpr int kElements = 40;

  /// Runs case `which` of the kernel `wrong` by 64 threads, and returns what
  /// was printed. Then the device must have the error, and be usable again.
  std::string fails(int which, CUresult expected) {
    CUdeviceptr p = upload(std::vector<int32_t>(which == 1 ? kElements : 256));
    testing::internal::CaptureStderr();
    SQ_EXPECT_CU(launch("wrong", 1, 64, 256, p, which));
    std::string text = testing::internal::GetCapturedStderr();
    EXPECT_EQ(cuCtxSynchronize(), expected);
    EXPECT_EQ(cuMemFree_v2(p), expected) << "errors are sticky";
    if (expected != CUDA_SUCCESS) {
      EXPECT_EQ(text.rfind("emulator: kernel 'wrong' at '", 0), 0u) << text;
      EXPECT_EQ(text.find('\n'), text.size() - 1) << text;
    }
    stop();
    start();
    p = upload(std::vector<int32_t>(64));
    SQ_EXPECT_CU(launch("wrong", 1, 64, 256, p, 0));
    EXPECT_EQ(download<int32_t>(p, 64)[5], 4);
    return text;
  }
};

#define SQ_EXPECT_HAS(text, part)                                              \
  EXPECT_NE((text).find(part), std::string::npos) << (text)

TEST_F(Check, NothingWrong) { EXPECT_EQ(fails(0, CUDA_SUCCESS), ""); }

TEST_F(Check, OutOfBounds) {
  std::string text = fails(1, CUDA_ERROR_ILLEGAL_ADDRESS);
  SQ_EXPECT_HAS(text, "at 'too far', block (0, 0, 0), thread (40, 0, 0): write "
                      "of 4 bytes at 0x");
  SQ_EXPECT_HAS(text, "ends 4 bytes beyond the allocation of 160 bytes at 0x");
}

TEST_F(Check, Misaligned) {
  SQ_EXPECT_HAS(fails(2, CUDA_ERROR_MISALIGNED_ADDRESS),
                "misaligned read of 8 bytes");
}

TEST_F(Check, RaceOfReadAndWrite) {
  std::string text = fails(3, CUDA_ERROR_LAUNCH_FAILED);
  // Thread 0 reads what nobody has written yet; shuffled, it may be a race.
  SQ_EXPECT_HAS(text, "read of uninitialised shared memory: 4 bytes at offset");
}

TEST_F(Check, RaceOfWrites) {
  SQ_EXPECT_HAS(fails(4, CUDA_ERROR_LAUNCH_FAILED),
                "thread (1, 0, 0): race: write of 4 bytes at offset 0 of "
                "shared memory, which thread 0 of the block wrote since the "
                "last barrier");
}

TEST_F(Check, Uninitialised) {
  SQ_EXPECT_HAS(fails(5, CUDA_ERROR_LAUNCH_FAILED),
                "read of uninitialised shared memory");
}

TEST_F(Check, BarrierWithoutSomeThread) {
  SQ_EXPECT_HAS(fails(6, CUDA_ERROR_LAUNCH_FAILED),
                "at 'not all', block (0, 0, 0), thread (3, 0, 0): leaves the "
                "kernel, but 3 threads wait for it at a barrier");
}

TEST_F(Check, DivergentBarrier) {
  SQ_EXPECT_HAS(fails(7, CUDA_ERROR_LAUNCH_FAILED),
                "at 'there', block (0, 0, 0), thread (32, 0, 0): divergent "
                "barrier: thread 0 of the block waits at 'here'");
}

TEST_F(Check, Deadlock) {
  SQ_EXPECT_HAS(fails(8, CUDA_ERROR_LAUNCH_FAILED),
                "deadlock: thread 0 waits in sync_warp 'half', thread 16 waits "
                "at barrier 'other half'");
}

TEST_F(Check, Trap) {
  SQ_EXPECT_HAS(fails(9, CUDA_ERROR_ILLEGAL_INSTRUCTION),
                "at 'trapped', block (0, 0, 0), thread (0, 0, 0): trap");
}

TEST_F(Check, HostPointer) {
  SQ_EXPECT_HAS(fails(10, CUDA_ERROR_ILLEGAL_ADDRESS),
                "read of 4 bytes at 0x10000: no device memory");
}

TEST_F(Check, BeyondSharedMemory) {
  SQ_EXPECT_HAS(fails(11, CUDA_ERROR_ILLEGAL_ADDRESS),
                "ends 4 bytes beyond the block's 256 bytes of shared memory");
}

TEST_F(Check, ShuffleFromAbsentLane) {
  SQ_EXPECT_HAS(fails(12, CUDA_ERROR_LAUNCH_FAILED),
                "shfl from lane 20, which its mask 0xffff lacks");
}

TEST_F(Check, DivergentWarp) {
  SQ_EXPECT_HAS(fails(13, CUDA_ERROR_LAUNCH_FAILED),
                "divergent warp: shfl (mode 3) of lanes 0xffffffff, but lane 0 "
                "waits in sync_warp");
}

TEST_F(Check, LaneThatLeft) {
  SQ_EXPECT_HAS(fails(14, CUDA_ERROR_LAUNCH_FAILED),
                "sync_warp with lanes that have left the kernel or do not "
                "exist (0x1)");
}

TEST_F(Check, CopyReadBeforeTheWait) {
  SQ_EXPECT_HAS(fails(15, CUDA_ERROR_LAUNCH_FAILED),
                "at 'early', block (0, 0, 0), thread (0, 0, 0): read of shared "
                "memory that a cp.async is still writing");
}

TEST_F(Check, CopyReadWithoutABarrier) {
  std::string text = fails(16, CUDA_ERROR_LAUNCH_FAILED);
  SQ_EXPECT_HAS(text, "at 'other's'");
}

TEST_F(Check, CopyIntoWhatIsStillRead) {
  SQ_EXPECT_HAS(fails(17, CUDA_ERROR_LAUNCH_FAILED),
                "at 'tile.next', block (0, 0, 0), thread (40, 0, 0): race: "
                "cp.async of 4 bytes at offset 0 of shared memory, which "
                "thread 1 of the block read since the last barrier");
}

TEST_F(Check, WriteOfAConstant) {
  SQ_EXPECT_HAS(fails(18, CUDA_ERROR_ILLEGAL_ADDRESS),
                "write of 4 bytes of a constant");
}

TEST_F(Check, LoadsMatrixWithoutABarrier) {
  SQ_EXPECT_HAS(fails(19, CUDA_ERROR_LAUNCH_FAILED), "race: ldmatrix");
}

TEST_F(Check, MisalignedCopy) {
  SQ_EXPECT_HAS(fails(20, CUDA_ERROR_MISALIGNED_ADDRESS),
                "misaligned write of cp.async of 16 bytes");
}

TEST_F(Check, CopyUnderWayAtTheEnd) { EXPECT_EQ(fails(21, CUDA_SUCCESS), ""); }

TEST_F(Check, LookAtACounter) {
  SQ_EXPECT_HAS(fails(22, CUDA_ERROR_LAUNCH_FAILED),
                "race: read of 4 bytes at offset 0 of shared memory, which an "
                "atomic operation wrote since the last barrier");
}

TEST_F(Check, SyncWarpDoesNotOrderOtherLanes) {
  CUdeviceptr y = upload(std::vector<int32_t>(256));
  testing::internal::CaptureStderr();
  SQ_EXPECT_CU(launch("warp_transpose", 1, 32, 0, y, 0xFFFF, 16));
  EXPECT_EQ(cuCtxSynchronize(), CUDA_ERROR_LAUNCH_FAILED);
  testing::internal::GetCapturedStderr();
}

TEST_F(Check, EveryOrderFindsTheRace) {
  for (int seed = 0; seed < 20; ++seed) {
    setenv("SQ_EMULATOR_SEED", std::to_string(seed).c_str(), 1);
    fails(3, CUDA_ERROR_LAUNCH_FAILED);
    fails(16, CUDA_ERROR_LAUNCH_FAILED);
    fails(17, CUDA_ERROR_LAUNCH_FAILED);
  }
}

TEST_F(Check, OneOfManyBlocks) {
  // 64 blocks write the same 40 elements; each fails, one message comes.
  CUdeviceptr p = upload(std::vector<int32_t>(kElements));
  setenv("SQ_EMULATOR_THREADS", "4", 1);
  testing::internal::CaptureStderr();
  SQ_EXPECT_CU(launch("wrong", 64, 64, 256, p, 1));
  std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(text.find('\n'), text.size() - 1) << text;
  EXPECT_EQ(cuCtxSynchronize(), CUDA_ERROR_ILLEGAL_ADDRESS);
}

TEST_F(Check, RacesBetweenBlocks) {
  // All blocks write the same.
  CUdeviceptr p = upload(std::vector<int32_t>(64));
  SQ_EXPECT_CU(launch("wrong", 2, 64, 256, p, 0));
  SQ_EXPECT_CU(cuCtxSynchronize());
  setenv("SQ_EMULATOR_RACES", "global", 1);
  SQ_EXPECT_CU(launch("wrong", 1, 64, 256, p, 0));
  SQ_EXPECT_CU(launch("wrong", 1, 64, 256, p, 0));
  SQ_EXPECT_CU(cuCtxSynchronize());
  testing::internal::CaptureStderr();
  SQ_EXPECT_CU(launch("wrong", 2, 64, 256, p, 0));
  std::string text = testing::internal::GetCapturedStderr();
  SQ_EXPECT_HAS(text, "block (1, 0, 0), thread (63, 0, 0): race: write of 4 "
                      "bytes at 0x");
  SQ_EXPECT_HAS(text, "which block 0 wrote in this launch");
  EXPECT_EQ(cuCtxSynchronize(), CUDA_ERROR_LAUNCH_FAILED);
}

} // namespace
} // namespace sq::test
