#include "lib/support/SizeText.h"

#include <gtest/gtest.h>

namespace {

bool symbols(const std::string &name, double &value) {
  for (auto [known, size] : {std::pair("batch", 3.0), {"input:0", 7.0}, {"it's", 5.0}, {"threads()", 2.0}})
    if (name == known) {
      value = size;
      return true;
    }
  return false;
}

double evaluate(const std::string &text) {
  double value = -1;
  EXPECT_TRUE(sq::evaluateSize(text, symbols, value)) << text;
  return value;
}

TEST(SizeText, Values) {
  EXPECT_EQ(evaluate("0"), 0);
  EXPECT_EQ(evaluate("589824*batch"), 3 * 589824);
  EXPECT_EQ(evaluate("2*batch^2 + input:0 - 1"), 24);
  EXPECT_EQ(evaluate("-2 * (batch - 4)"), 2);
  EXPECT_EQ(evaluate("'it''s'*threads()"), 10);
  EXPECT_EQ(evaluate("max(batch, input:0) + min(batch, input:0)"), 10);
  EXPECT_EQ(evaluate("max(batch, 1, input:0, 2)"), 7);
  EXPECT_EQ(evaluate("div(input:0, batch) + ceil(input:0, batch) + mod(input:0, batch)"), 6);
  EXPECT_EQ(evaluate("align(4*batch, 64)"), 64);
  EXPECT_EQ(evaluate("align(64, 64)"), 64);
}

TEST(SizeText, Refusals) {
  double value = -1;
  for (const char *text : {"", "batch +", "2 batch", "nobody", "'batch", "log(1, 2)", "min(1)", "div(8, 2, 2)", "max(1,)", "threads",
                           "div(1, 0)", "(1", "1)", "batch^batch", "3^-1"})
    EXPECT_FALSE(sq::evaluateSize(text, symbols, value)) << text;
  EXPECT_FALSE(sq::evaluateSize(std::string(100000, '('), symbols, value));
  EXPECT_EQ(value, -1);
}

TEST(SizeText, Symbols) {
  EXPECT_EQ(sq::sizeSymbol("batch"), "batch");
  EXPECT_EQ(sq::sizeSymbol("input:0"), "input:0");
  EXPECT_EQ(sq::sizeSymbol("past length"), "'past length'");
  EXPECT_EQ(sq::sizeSymbol("it's"), "'it''s'");
  EXPECT_EQ(sq::sizeSymbol(""), "''");
  EXPECT_EQ(evaluate(sq::sizeSymbol("it's")), 5);
}

} // namespace
