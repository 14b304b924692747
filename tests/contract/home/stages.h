// The kinds of sources and homes that need no partner: a directory, and a bucket in memory.
#pragma once

#include <filesystem>

#include "gateway/gateway_test_util.h"
#include "gateway/source_directory.h"
#include "gateway/source_s3.h"
#include "s3/fake_s3.h"
#include "tests/contract/home/results_conformance.h"
#include "tests/contract/home/source_conformance.h"

namespace spillway::gateway {

class DirectoryStage final : public SourceStage {
 public:
  std::shared_ptr<Source> source() override { return OpenDirectorySource(dir_.path()); }
  void Set(const std::string& path, const std::string& content) override {
    WriteText(dir_ / path, content);
  }
  void Remove(const std::string& path) override { std::filesystem::remove(dir_ / path); }
  bool MayGrow() const override { return false; }

 private:
  TempDir dir_;
};

class FakeS3Stage final : public SourceStage {
 public:
  FakeS3Stage() { store_.page = 100; }
  std::shared_ptr<Source> source() override {
    return MakeS3Source({"http://127.0.0.1:7480", "data", "set/"}, store_.Open());
  }
  void Set(const std::string& path, const std::string& content) override {
    store_.Set("set/" + path, content);
  }
  void Remove(const std::string& path) override { store_.Remove("set/" + path); }
  bool MayGrow() const override { return true; }

 private:
  s3::FakeS3 store_;
};

class DirectoryHome final : public HomeStage {
 public:
  RunOutput output() override { return {"vision/models", "vision/out"}; }
  ResultsOptions options() override { return {.root = dir_.path()}; }
  std::optional<std::string> Read(const std::string& path) override {
    const std::string file = dir_ / ("vision/out/" + path);
    return std::filesystem::exists(file) ? std::optional(ReadText(file)) : std::nullopt;
  }
  std::size_t Unfinished() override {
    std::size_t hidden = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(dir_.path()))
      hidden += entry.path().filename().string().starts_with('.') ? 1 : 0;
    return hidden;
  }

 private:
  TempDir dir_;
};

class FakeS3Home final : public HomeStage {
 public:
  RunOutput output() override {
    return {"vision/models", "out", S3Place{"http://127.0.0.1:7480", "data", "models/"}};
  }
  ResultsOptions options() override {
    return {.open_bucket = [this](const S3Place&) -> Result<s3::Client> { return store_.Open(); }};
  }
  std::optional<std::string> Read(const std::string& path) override {
    const auto object = store_.Find("models/out/" + path);
    return object ? std::optional(object->body) : std::nullopt;
  }
  std::size_t Unfinished() override { return store_.Uploads(); }

 private:
  s3::FakeS3 store_;
};

}  // namespace spillway::gateway
