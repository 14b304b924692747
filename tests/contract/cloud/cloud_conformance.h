// What every adapter of ports::Cloud must do, as one suite. An adapter's test includes this file
// and instantiates the suite with ways to make itself (cloud_under_test.h); a case that it cannot
// bring about is skipped there with the reason.
#pragma once

#include "tests/contract/cloud/life_cases.h"     // IWYU pragma: export
#include "tests/contract/cloud/outcomes.h"       // IWYU pragma: export
#include "tests/contract/cloud/trouble_cases.h"  // IWYU pragma: export

// In the namespace spillway::ports; vectors of CloudMaker, or calls that give them. The faults may
// be met by fewer variants than live a life.
#define SPW_INSTANTIATE_CLOUD_SUITE(adapter, makers, fault_makers)                \
  GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(CloudConformance);                \
  GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(CloudFaults);                     \
  INSTANTIATE_TEST_SUITE_P(adapter, CloudConformance, testing::ValuesIn(makers),  \
                           [](const auto& test) { return test.param.name; });     \
  INSTANTIATE_TEST_SUITE_P(adapter, CloudFaults, testing::ValuesIn(fault_makers), \
                           [](const auto& test) { return test.param.name; })
