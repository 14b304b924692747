// What calls do when something is wrong at the other end or on the way: they end with a code that
// says what may have happened, nothing is ever doubled, and all works when it is over.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "tests/contract/cloud/cloud_fixture.h"

namespace spillway::ports {

class CloudFaults : public CloudConformance {
 protected:
  using Codes = std::set<Code>;

  // Reads meet the fault: all of them fail so.
  void ExpectReadsFail(Fault fault, const Codes& codes) {
    SPW_BEGIN(fault, Meets::kReads);
    EXPECT_TRUE(FailsWith(codes, cloud().Offers()));
    // It may take "there is no such thing" for a name that is wrong.
    Codes said = codes;
    said.insert(Code::kInvalid);
    EXPECT_TRUE(FailsWith(said, cloud().Preflight()));
    EXPECT_TRUE(FailsWith(codes, cloud().List(kCluster)));
    under_test_->End();
  }
  // A create of bn-2 and a delete of bn-1 meet the fault. A delete may still find out the truth.
  void ExpectEffectsFail(Fault fault, const Codes& codes) {
    SPW_BEGIN(fault, Meets::kEffects);
    const Result<Instance> created = cloud().Create(Spec("bn-2"));
    EXPECT_TRUE(FailsWith(codes, created));
    if (!created) create_code_ = created.error().code;
    const Result<DeleteProgress> deleted = cloud().Delete(first_.id, "bn-1", kCluster);
    EXPECT_TRUE(deleted ? testing::AssertionResult(!deleted->Complete())
                        : FailsWith(codes, deleted));
    deleted_ = deleted || deleted.error().code == Code::kMaybeApplied;
    under_test_->End();
  }
  // What the codes promised holds, and everything works again.
  void ExpectTruthAfterwards() {
    Advance(kMaxLag);
    const std::vector<Instance> second = Named("bn-2");
    const bool surely_not = create_code_ && *create_code_ != Code::kMaybeApplied;
    EXPECT_LE(second.size(), surely_not ? 0u : 1u);
    if (!second.empty()) {
      EXPECT_TRUE(FailsWith({Code::kConflict}, cloud().Create(Spec("bn-2"))));
    }
    EXPECT_GE(Named("bn-1").size(), deleted_ ? 0u : 1u);
    DeleteAll(first_.id, "bn-1");
    const Result<Instance> third = cloud().Create(Spec("bn-3"));
    EXPECT_TRUE(third) << third.error().message;
    DeleteEverything();
  }
  void Meet(Fault fault, const Codes& reads, const Codes& effects) {
    SPW_MAKE_CLOUD(Trouble::kNone);
    ASSERT_TRUE(cloud().Create(Spec("bn-1")));
    first_ = Await("bn-1", InstanceState::kRunning);
    ExpectReadsFail(fault, reads);
    if (IsSkipped()) return;
    ExpectEffectsFail(fault, effects);
    if (IsSkipped()) return;
    ExpectTruthAfterwards();
  }
  // A part of the cloud is out of order: calls that need it fail, without effect or "maybe".
  void MeetOutage(Fault part) {
    SPW_MAKE_CLOUD(Trouble::kNone);
    ASSERT_TRUE(cloud().Create(Spec("bn-1")));
    first_ = Await("bn-1", InstanceState::kRunning);
    ExpectEffectsFail(part, {Code::kUnavailable, Code::kMaybeApplied});
    if (IsSkipped()) return;
    ExpectTruthAfterwards();
  }

  template <typename T>
  static testing::AssertionResult FailsWith(const Codes& codes, const Result<T>& answer) {
    if (answer) return testing::AssertionFailure() << "it succeeded";
    if (codes.contains(answer.error().code)) return testing::AssertionSuccess();
    return testing::AssertionFailure()
           << CodeName(answer.error().code) << ": " << answer.error().message;
  }

  Instance first_;                   // bn-1, running
  std::optional<Code> create_code_;  // how the create of bn-2 ended
  bool deleted_ = true;              // the delete of bn-1 may have had its effect
};

TEST_P(CloudFaults, TokenThatEndsIsRenewedBeforeItDoes) {
  SPW_MAKE_CLOUD(Trouble::kNone);
  ASSERT_TRUE(cloud().List(kCluster));
  SPW_BEGIN(Fault::kTokenEnds, Meets::kReads);
  const int before = under_test_->SignIns();
  EXPECT_TRUE(cloud().Preflight());
  EXPECT_TRUE(cloud().List(kCluster));
  EXPECT_EQ(under_test_->SignIns(), before + 1);
}

TEST_P(CloudFaults, RevokedTokenIsRenewedOnceAndTheCallHasItsEffectOnce) {
  SPW_MAKE_CLOUD(Trouble::kNone);
  ASSERT_TRUE(cloud().Preflight());
  SPW_BEGIN(Fault::kTokenRevoked, Meets::kEffects);
  const int before = under_test_->SignIns();
  const Result<Instance> created = cloud().Create(Spec("bn-1"));
  EXPECT_TRUE(created) << created.error().message;
  EXPECT_EQ(under_test_->SignIns(), before + 1);
  under_test_->End();
  EXPECT_EQ(Named("bn-1").size(), 1u);
  DeleteEverything();
}

TEST_P(CloudFaults, RefusedNewTokensEndTheCallAfterOneMore) {
  SPW_MAKE_CLOUD(Trouble::kNone);
  ASSERT_TRUE(cloud().Preflight());
  SPW_BEGIN(Fault::kTokensRefused, Meets::kReads);
  const int before = under_test_->SignIns();
  const Result<Inventory> refused = cloud().List(kCluster);
  EXPECT_TRUE(FailsWith({Code::kDenied}, refused));
  EXPECT_EQ(under_test_->SignIns(), before + 1);
  under_test_->End();
  EXPECT_TRUE(cloud().List(kCluster));
}

TEST_P(CloudFaults, WrongCredentialsStopEveryCallAndAreTriedOnce) {
  SPW_MAKE_CLOUD(Trouble::kNone);
  ASSERT_TRUE(cloud().Preflight());
  SPW_BEGIN(Fault::kCredentialsWrong, Meets::kReads);
  const int before = under_test_->SignIns();
  EXPECT_TRUE(FailsWith({Code::kDenied}, cloud().Preflight()));
  EXPECT_TRUE(FailsWith({Code::kDenied}, cloud().Offers()));
  EXPECT_TRUE(FailsWith({Code::kDenied}, cloud().List(kCluster)));
  EXPECT_TRUE(FailsWith({Code::kDenied}, cloud().Create(Spec("bn-1"))));
  EXPECT_TRUE(FailsWith({Code::kDenied}, cloud().Delete("", "bn-1", kCluster)));
  EXPECT_LE(under_test_->SignIns(), before + 1);  // accounts are locked after a few
  under_test_->End();
  under_test_->Restart();  // a person has corrected them
  EXPECT_TRUE(cloud().Preflight());
  ExpectNothingLeft();
}

TEST_P(CloudFaults, ForbiddenCallsAreDenied) {
  Meet(Fault::kForbidden, {Code::kDenied}, {Code::kDenied});
}

TEST_P(CloudFaults, NotFoundWhereSomethingMustBeIsNeverTakenForGone) {
  Meet(Fault::kNotFound, {Code::kUnavailable},
       {Code::kInvalid, Code::kUnavailable, Code::kMaybeApplied});
}

TEST_P(CloudFaults, ConflictsAreForLater) {
  Meet(Fault::kConflict, {Code::kUnavailable},
       {Code::kUnavailable, Code::kConflict, Code::kMaybeApplied});
}

TEST_P(CloudFaults, TooLargeRequestsAreInvalid) {
  Meet(Fault::kTooLarge, {Code::kInvalid}, {Code::kInvalid});
}

TEST_P(CloudFaults, TooManyRequestsSayWhenToComeBack) {
  Meet(Fault::kThrottled, {Code::kThrottled}, {Code::kThrottled});
  if (IsSkipped()) return;
  SPW_BEGIN(Fault::kThrottled, Meets::kReads);
  const Result<Inventory> throttled = cloud().List(kCluster);
  ASSERT_FALSE(throttled);
  ASSERT_TRUE(throttled.error().retry_after);
  EXPECT_GE(*throttled.error().retry_after, 1s);
  EXPECT_LE(*throttled.error().retry_after, 7s);
  under_test_->End();
}

TEST_P(CloudFaults, TooLargeWithATimeToComeBackIsThrottling) {
  Meet(Fault::kBusy, {Code::kThrottled}, {Code::kThrottled});
}

TEST_P(CloudFaults, ServerErrorsMayHaveHadAnEffect) {
  Meet(Fault::kServerError, {Code::kUnavailable}, {Code::kMaybeApplied});
}

TEST_P(CloudFaults, ServiceOutOfOrderIsUnavailable) {
  Meet(Fault::kOutOfService, {Code::kUnavailable}, {Code::kUnavailable, Code::kMaybeApplied});
}

TEST_P(CloudFaults, NobodyListensAndNothingHappened) {
  Meet(Fault::kUnreachable, {Code::kUnavailable}, {Code::kUnavailable});
}

TEST_P(CloudFaults, ErrorAfterTheEffectIsFoundOut) {
  Meet(Fault::kErrorAfterEffect, {Code::kUnavailable}, {Code::kMaybeApplied});
}

TEST_P(CloudFaults, MalformedReplyIsFoundOut) {
  Meet(Fault::kMalformedReply, {Code::kUnavailable}, {Code::kMaybeApplied});
}

TEST_P(CloudFaults, HugeReplyIsFoundOut) {
  Meet(Fault::kHugeReply, {Code::kUnavailable}, {Code::kMaybeApplied});
}

TEST_P(CloudFaults, TornReplyIsFoundOut) {
  Meet(Fault::kTornReply, {Code::kUnavailable}, {Code::kMaybeApplied});
}

TEST_P(CloudFaults, SlowReplyIsFoundOut) {
  Meet(Fault::kSlowReply, {Code::kUnavailable}, {Code::kMaybeApplied});
}

TEST_P(CloudFaults, IdentityServiceDownIsNoDenial) {
  SPW_MAKE_CLOUD(Trouble::kNone);
  SPW_BEGIN(Fault::kIdentityDown, Meets::kReads);
  under_test_->Restart();  // no token is left from before
  EXPECT_TRUE(FailsWith({Code::kUnavailable}, cloud().Preflight()));
  EXPECT_TRUE(FailsWith({Code::kUnavailable}, cloud().List(kCluster)));
  EXPECT_TRUE(FailsWith({Code::kUnavailable}, cloud().Create(Spec("bn-1"))));
  under_test_->End();
  EXPECT_TRUE(cloud().Preflight());
  ExpectNothingLeft();
}

TEST_P(CloudFaults, NetworkServiceDownDoublesNothing) {
  MeetOutage(Fault::kNetworkDown);
}

TEST_P(CloudFaults, ImageServiceDownDoublesNothing) {
  MeetOutage(Fault::kImagesDown);
}

TEST_P(CloudFaults, MachineThatNoSchedulerTakesStaysCreatingAndIsDeletable) {
  SPW_MAKE_CLOUD(Trouble::kNone);
  SPW_BEGIN(Fault::kSchedulerDown, Meets::kEffects);
  const Result<Instance> created = cloud().Create(Spec("bn-1"));
  ASSERT_TRUE(created) << created.error().message;
  Advance(10min);
  std::vector<Instance> stuck = Named("bn-1");
  ASSERT_EQ(stuck.size(), 1u);
  if (stuck[0].state == InstanceState::kStopped) {
    EXPECT_TRUE(cloud().Resume(created->id));
    stuck = Named("bn-1");
  }
  EXPECT_EQ(stuck[0].state, InstanceState::kCreating);
  (void)cloud().Delete(created->id, "bn-1", kCluster);  // kUnavailable meanwhile is fine
  under_test_->End();
  DeleteAll(created->id, "bn-1");
  ExpectNothingLeft();
}

}  // namespace spillway::ports
