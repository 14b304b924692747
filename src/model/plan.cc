#include "model/plan.h"

namespace spillway {

std::string_view Name(Verdict verdict) {
  switch (verdict) {
    case Verdict::kFitsSite:
      return "fits-site";
    case Verdict::kOnItsWay:
      return "on-its-way";
    case Verdict::kWait:
      return "wait";
    case Verdict::kRent:
      return "rent";
    case Verdict::kRefuse:
      return "stays-home";
  }
  return "wait";
}

std::string_view Name(Reason reason) {
  switch (reason) {
    case Reason::kNone:
      return "none";
    case Reason::kNoPolicy:
      return "no-policy";
    case Reason::kDataClass:
      return "data-class";
    case Reason::kInputsUnknown:
      return "inputs-unknown";
    case Reason::kNotUnderstood:
      return "not-understood";
    case Reason::kSiteSoon:
      return "site-soon";
    case Reason::kCheaperToWait:
      return "cheaper-to-wait";
    case Reason::kBudget:
      return "budget";
    case Reason::kNoOfferAllowed:
      return "no-offer-allowed";
    case Reason::kNoOfferFits:
      return "no-offer-fits";
    case Reason::kQuota:
      return "quota";
    case Reason::kNodeLimit:
      return "node-limit";
    case Reason::kAllParked:
      return "all-parked";
    case Reason::kIncomplete:
      return "incomplete";
  }
  return "none";
}

std::string_view Name(OfferReason reason) {
  switch (reason) {
    case OfferReason::kChosen:
      return "chosen";
    case OfferReason::kProviderNotAllowed:
      return "provider-not-allowed";
    case OfferReason::kArea:
      return "region";
    case OfferReason::kUsNexus:
      return "us-nexus";
    case OfferReason::kCertificate:
      return "certificate";
    case OfferReason::kCapacityType:
      return "capacity-type";
    case OfferReason::kProviderNotReady:
      return "provider-not-ready";
    case OfferReason::kTooExpensive:
      return "price-limit";
    case OfferReason::kTooSmall:
      return "too-small";
    case OfferReason::kLabels:
      return "labels";
    case OfferReason::kNoStock:
      return "no-stock";
    case OfferReason::kParked:
      return "parked";
    case OfferReason::kProviderFull:
      return "provider-full";
    case OfferReason::kCostsMore:
      return "costs-more";
    case OfferReason::kNotRented:
      return "not-rented";
  }
  return "chosen";
}

}  // namespace spillway
