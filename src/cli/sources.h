// Manifests from files, directories and standard input, sent to the daemon as one text.
#pragma once

#include <istream>
#include <string>
#include <vector>

#include "base/result.h"
#include "schema/manifest.h"

namespace spillway::cli {

// The files behind -f: a directory stands for its *.yaml, *.yml and *.json, by name. At most 1000.
// Problems (a file that cannot be read) are appended.
std::vector<schema::Source> ReadSources(const std::vector<std::string>& files, std::istream& in,
                                        std::vector<schema::Problem>& problems);

// All sources as the documents of one text, and the way back from its lines to their files.
class JoinedSources {
 public:
  explicit JoinedSources(const std::vector<schema::Source>& sources);

  const std::string& name() const { return name_; }  // of the one file, or of the joined text
  const std::string& text() const { return text_; }
  // "NAME:line:..." of the joined text, at the start of a line, as "file:line:...".
  std::string Localise(const std::string& message) const;

 private:
  struct Part {
    std::string file;
    int first_line = 1;  // in the joined text
  };
  std::vector<Part> parts_;
  std::string name_, text_;
};

}  // namespace spillway::cli
