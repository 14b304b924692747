#include "tests/contract/home/stages.h"

namespace spillway::gateway {
namespace {

INSTANTIATE_TEST_SUITE_P(
    Here, SourceConformance,
    ::testing::Values(SourceKind{"Directory", [] { return std::make_unique<DirectoryStage>(); },
                                 ""},
                      SourceKind{"FakeS3", [] { return std::make_unique<FakeS3Stage>(); }, ""}),
    [](const auto& instance) { return instance.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Here, ResultsConformance,
    ::testing::Values(HomeKind{"Directory", [] { return std::make_unique<DirectoryHome>(); }, ""},
                      HomeKind{"FakeS3", [] { return std::make_unique<FakeS3Home>(); }, ""}),
    [](const auto& instance) { return instance.param.name; });

}  // namespace
}  // namespace spillway::gateway
