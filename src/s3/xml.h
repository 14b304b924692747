// XML replies of a store, read with limits: a store may be broken or not be one.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace spillway::s3 {

struct XmlElement {
  std::string name;  // without a namespace prefix
  std::string text;  // of this element alone, entities resolved
  std::vector<XmlElement> children;

  // The first child of that name, or nullptr.
  const XmlElement* Child(std::string_view child) const;
  // Its text; empty if it is not there.
  std::string_view Text(std::string_view child) const;
};

struct XmlLimits {
  std::size_t bytes = 8 << 20;
  std::size_t elements = 50'000;
  int depth = 8;
};

// The document's element. kUnavailable (the answer is not one of a store; another may be): what is
// no well-formed XML, has a document type or is over a limit.
Result<XmlElement> ParseXml(std::string_view text, const XmlLimits& limits = {});

}  // namespace spillway::s3
