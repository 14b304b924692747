#include "model/rules.h"

namespace spillway {

std::string_view Name(DataClass data_class) {
  switch (data_class) {
    case DataClass::kPublic:
      return "public";
    case DataClass::kInternal:
      return "internal";
    case DataClass::kConfidential:
      return "confidential";
    case DataClass::kRestricted:
      return "restricted";
  }
  return "restricted";
}

std::optional<DataClass> DataClassFrom(std::string_view name) {
  for (DataClass c :
       {DataClass::kPublic, DataClass::kInternal, DataClass::kConfidential, DataClass::kRestricted})
    if (Name(c) == name) return c;
  return std::nullopt;
}

}  // namespace spillway
