// Offers, explanations, plans, costs and findings as text.
#pragma once

#include <string>

#include "base/json.h"
#include "cli/text.h"

namespace spillway::cli {

// Answers of the API routes of the same names. `wide` adds sources and evidence.
std::string OffersView(const json::value& offers, bool wide, const Terminal& terminal);
std::string ExplainView(const json::value& explain, bool wide, const Terminal& terminal);
std::string PlanView(const json::value& plan, const Terminal& terminal);
std::string CostView(const json::value& cost, const Terminal& terminal);
std::string DoctorView(const json::value& doctor, const Terminal& terminal);

}  // namespace spillway::cli
