// Text that must not be seen: a token, a secret key, a private key in PEM.
#pragma once

#include <string>
#include <utility>

#include "data/secret.h"

namespace spillway::data {

// Wiped when it is destroyed or assigned to. It has no conversion to a log field or to JSON, so
// that it cannot slip into either. Not thread-safe to assign.
class SecretText {
 public:
  SecretText() = default;
  explicit SecretText(std::string text) : text_(std::move(text)) {}
  SecretText(const SecretText&) = default;
  SecretText& operator=(const SecretText& other) {
    if (this == &other) return *this;
    Wipe();
    text_ = other.text_;
    return *this;
  }
  ~SecretText() { Wipe(); }

  bool empty() const { return text_.empty(); }
  // For a signature or the wire only.
  const std::string& Reveal() const { return text_; }
  bool operator==(const SecretText&) const = default;

 private:
  void Wipe() {
    Cleanse({reinterpret_cast<std::uint8_t*>(text_.data()), text_.capacity()});
    text_.clear();
  }

  std::string text_;
};

}  // namespace spillway::data
