#include "lib/quantization/Plan.h"

#include <gtest/gtest.h>

using namespace sq;

namespace {

const LayerNames kQuery{"/encoder/layer.0/query/MatMul", "/encoder/layer.0/query/Add", "query.weight"};

Plan parsed(llvm::StringRef text) {
  Plan plan;
  Status status = Plan::parse(text, "p", plan);
  EXPECT_TRUE(status.ok()) << status.message;
  return plan;
}

std::string refusal(llvm::StringRef text) {
  Plan plan;
  Status status = Plan::parse(text, "p", plan);
  EXPECT_EQ(status.code, ExitCode::Refused) << text.str();
  return status.message;
}

std::string decided(const Plan &plan, const LayerNames &names) {
  const Plan::Line *line = plan.find(names);
  return line ? precisionName(line->precision).str() : "";
}

TEST(Plan, PatternsAndOrder) {
  EXPECT_EQ(decided(parsed(""), kQuery), "");
  EXPECT_EQ(decided(parsed("# nothing\n\n   \r\n"), kQuery), "");
  EXPECT_EQ(decided(parsed("*=int8"), kQuery), "int8");
  EXPECT_EQ(decided(parsed("* = int8\n*/query/* = f32\n"), kQuery), "f32");
  EXPECT_EQ(decided(parsed("*/query/* = f32\r\n* = int8\r\n"), kQuery), "int8");
  EXPECT_EQ(decided(parsed("/encoder/layer.[0-3]/{key,query}/M?tMul = f32"), kQuery), "f32");
  EXPECT_EQ(decided(parsed("query.weight = f32 # its weight"), kQuery), "f32");
  EXPECT_EQ(decided(parsed("/encoder = f32"), kQuery), "");
  EXPECT_EQ(decided(parsed("a=b = f32"), {"a=b"}), "f32");
  EXPECT_EQ(decided(parsed("MatMul#2 = f32"), {"MatMul#2"}), "f32");
  EXPECT_EQ(decided(parsed("MatMul[0] = f32"), {"MatMul[0]"}), "f32"); // as it stands, too
  EXPECT_EQ(decided(parsed("\"*\" = f32"), kQuery), "");
}

TEST(Plan, EveryNameComesBack) {
  for (std::string name : {"a", "a b", " a ", "#", "a # b", "\"", "\"a\"", "a\\b", "*", "[x]", "{a,b}", "a=b", "\n", "\x01\x7f",
                           "/m/MatMul#2", "\xc3\xa4"}) {
    std::string line = planLine(name, LayerPrecision::F32, "why\nnot");
    Plan plan = parsed("* = int8\n" + line);
    EXPECT_EQ(plan.lines.size(), 2u) << line;
    EXPECT_TRUE(plan.lines[1].isExact()) << line;
    EXPECT_EQ(decided(plan, {name}), "f32") << line;
    EXPECT_EQ(decided(plan, {name + "x"}), "int8") << line;
  }
}

TEST(Plan, Formats) {
  for (const char *text : {"f32", "bf16", "int8", "lut2", "lut3", "lut4", "rtn2", "rtn3", "rtn4", "rtn6", "rtn8", "rtn4/64",
                           "lut4+0.45%", "lut3+0%", "rtn3/128+12.5%", "rtn2/1+100%", "lut4+1e-07%"}) {
    Plan plan = parsed(std::string("\"a\" = ") + text + " # why");
    ASSERT_EQ(plan.lines.size(), 1u);
    EXPECT_EQ(plan.lines[0].text(), text);
    EXPECT_EQ(planLine("a", plan.lines[0], ""), std::string("a = ") + text + "\n");
  }
  Plan plan = parsed("* = rtn3/128+0.5%");
  EXPECT_EQ(plan.lines[0].precision, LayerPrecision::Rtn3);
  EXPECT_EQ(plan.lines[0].group, 128);
  EXPECT_EQ(plan.lines[0].outliers, 0.5);
  EXPECT_FALSE(plan.lines[0].isPlain());
  EXPECT_TRUE(parsed("* = rtn3").lines[0].isPlain());
  EXPECT_EQ(precisionBits(LayerPrecision::Rtn3), 3);
  EXPECT_EQ(precisionBits(LayerPrecision::F32), 32);
}

TEST(Plan, FormatRefusals) {
  EXPECT_EQ(refusal("a = lut4/64"), "p:1: 'lut4/64': only rtn has groups of inputs");
  EXPECT_EQ(refusal("\na = int8+1%"), "p:2: 'int8+1%': only lut and rtn have weights that are kept apart");
  for (const char *text : {"rtn4/", "rtn4/0", "rtn4/-1", "rtn4/x", "rtn4/99999999999999999999"})
    EXPECT_EQ(refusal(std::string("a = ") + text),
              std::string("p:1: '") + text + "': behind / belongs how many inputs share a scale, from 1 on");
  for (const char *text : {"lut4+", "lut4+0.45", "lut4+%", "lut4+-1%", "lut4+101%", "lut4+nan%", "lut4+1%/64", "lut4+1%+1%"})
    EXPECT_EQ(refusal(std::string("a = ") + text),
              std::string("p:1: '") + text + "': behind + belongs the share of weights that are kept apart, 0% to 100%");
  EXPECT_EQ(refusal("a = rtn4/64x"), "p:1: 'rtn4/64x': nothing belongs behind it but /GROUP and +SHARE%");
  EXPECT_EQ(refusal("a = lut4 +1%"), "p:1: 'lut4 +1%' is no precision; known are int8, f32, bf16, int2, int3, int4, int5, int6, int7, lut2, lut3, lut4, rtn2, rtn3, "
                                     "rtn4, rtn6, rtn8, gptq2, gptq3, gptq4, sym2, sym3, sym4");
}

TEST(Plan, Refusals) {
  EXPECT_EQ(refusal("a\n"), "p:1: expected PATTERN = PRECISION, found 'a'");
  EXPECT_EQ(refusal("\n= int8"), "p:2: nothing in front of =; a pattern of layers belongs there");
  EXPECT_EQ(refusal("a = int9\nb = f64"), "p:1: 'int9' is no precision\np:2: 'f64' is no precision; known are int8, f32, "
                                           "bf16, int2, int3, int4, int5, int6, int7, lut2, lut3, lut4, rtn2, rtn3, rtn4, rtn6, rtn8, gptq2, gptq3, gptq4, sym2, sym3, sym4");
  EXPECT_EQ(refusal("\"a = int8"), "p:1: the closing quote is missing");
  EXPECT_EQ(refusal("\"a\\x\" = int8"), "p:1: a backslash is followed by a backslash, a quote or two hexadecimal digits");
  EXPECT_EQ(refusal("\"a\" int8"), "p:1: expected = and a precision behind the name");
  EXPECT_NE(refusal("[a = int8").find("put a name with such characters in double quotes"), std::string::npos);
  EXPECT_EQ(refusal(llvm::StringRef("\x1b[31m\0", 6)), "p:1: expected PATTERN = PRECISION, found '?[31m?'");
}

TEST(Plan, UnknownNames) {
  std::vector<LayerNames> layers{kQuery, {"/encoder/layer.0/key/MatMul"}, {"pooler"}};
  EXPECT_TRUE(parsed("* = int8\npool* = f32\nquery.weight = f32").check(layers).ok());
  EXPECT_EQ(parsed("pooler = int8\nqooler = f32\nquery.wait = f32\nnothing like it = f32").check(layers).message,
            "p:2: no layer is called 'qooler'; like it: 'pooler'\n"
            "p:3: no layer is called 'query.wait'; like it: 'query.weight'\n"
            "p:4: no layer is called 'nothing like it'\n"
            "--emit-plan=FILE writes the names of all 3 layers");
  EXPECT_EQ(parsed("a = int8").check({}).message, "p:1: no layer is called 'a'\nthe model has no linear layers");
}

} // namespace
