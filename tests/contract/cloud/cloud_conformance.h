// What every adapter of ports::Cloud must do, as one suite. An adapter's test includes this file
// and instantiates the suite with ways to make itself (cloud_under_test.h); a case that it cannot
// bring about is skipped there with the reason.
#pragma once

#include "tests/contract/cloud/life_cases.h"     // IWYU pragma: export
#include "tests/contract/cloud/outcomes.h"       // IWYU pragma: export
#include "tests/contract/cloud/trouble_cases.h"  // IWYU pragma: export

// In the namespace spillway::ports. `makers` is a vector of CloudMaker, or a call that gives one.
#define SPW_INSTANTIATE_CLOUD_SUITE(adapter, makers)                             \
  GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(CloudConformance);               \
  GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(CloudFaults);                    \
  INSTANTIATE_TEST_SUITE_P(adapter, CloudConformance, testing::ValuesIn(makers), \
                           [](const auto& test) { return test.param.name; });    \
  INSTANTIATE_TEST_SUITE_P(adapter, CloudFaults, testing::ValuesIn(makers),      \
                           [](const auto& test) { return test.param.name; })
