#include "lib/support/TimeText.h"

#include <gtest/gtest.h>

TEST(TimeText, Units) {
  EXPECT_EQ(sq::timeText(0), "0 s");
  EXPECT_EQ(sq::timeText(12.34), "12.3 s");
  EXPECT_EQ(sq::timeText(0.0072), "7.2 ms");
  EXPECT_EQ(sq::timeText(4.5e-6), "4.5 us");
  EXPECT_EQ(sq::timeText(1e-9), "0.001 us");
}
