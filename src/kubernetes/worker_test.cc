#include "kubernetes/worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>

namespace spillway::kubernetes {
namespace {

using ::testing::ElementsAre;

TEST(Worker, ANewerTaskReplacesAWaitingOne) {
  Worker worker([] { return true; }, 100, "test");
  std::mutex mutex;
  std::condition_variable changed;
  bool go = false;
  std::vector<int> ran;
  worker.Do("a", [&]() -> Status {
    std::unique_lock lock(mutex);
    ran.push_back(1);
    changed.notify_all();
    changed.wait(lock, [&] { return go; });
    return Ok();
  });
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return !ran.empty(); });
  }
  // The first one runs; of the two that follow only the newest is wanted.
  for (const int i : {2, 3})
    worker.Do("a", [&, i]() -> Status {
      const std::lock_guard lock(mutex);
      ran.push_back(i);
      return Ok();
    });
  {
    const std::lock_guard lock(mutex);
    go = true;
    changed.notify_all();
  }
  ASSERT_TRUE(worker.Drain(5s));
  EXPECT_THAT(ran, ElementsAre(1, 3));
}

TEST(Worker, WhatMayPassIsRepeatedAndWhatCannotIsNot) {
  Worker worker([] { return true; }, 100, "test");
  std::atomic<int> unavailable = 0, invalid = 0;
  worker.Do("a", [&]() -> Status {
    return ++unavailable < 3 ? Status(Fail(Code::kUnavailable, "down")) : Ok();
  });
  worker.Do("b", [&]() -> Status {
    ++invalid;
    return Fail(Code::kInvalid, "never");
  });
  ASSERT_TRUE(worker.Drain(10s));
  EXPECT_EQ(unavailable, 3);
  EXPECT_EQ(invalid, 1);
  EXPECT_FALSE(worker.Has("a"));
}

TEST(Worker, WhoeverLeadsNoMoreDoesNothing) {
  std::atomic<int> ran = 0;
  Worker worker([] { return false; }, 100, "test");
  worker.Do("a", [&]() -> Status {
    ++ran;
    return Ok();
  });
  ASSERT_TRUE(worker.Drain(5s));
  EXPECT_EQ(ran, 0);
}

TEST(Worker, StopDropsWhatWaits) {
  Worker worker([] { return true; }, 100, "test");
  std::atomic<int> tries = 0;
  worker.Do("a", [&]() -> Status {
    ++tries;
    return Fail(Code::kUnavailable, "down");
  });
  worker.Stop();
  const int before = tries;
  worker.Do("b", [&]() -> Status {
    ++tries;
    return Ok();
  });
  EXPECT_EQ(tries, before);
}

}  // namespace
}  // namespace spillway::kubernetes
