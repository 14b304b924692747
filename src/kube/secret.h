// Text that must not be seen: a token, a private key. It has no conversion to a log field or to
// JSON, so that it cannot slip into either.
#pragma once

#include <string>
#include <utility>

namespace spillway::kube {

class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string text) : text_(std::move(text)) {}
  bool empty() const { return text_.empty(); }
  // For the wire only.
  const std::string& Reveal() const { return text_; }
  bool operator==(const Secret&) const = default;

 private:
  std::string text_;
};

}  // namespace spillway::kube
