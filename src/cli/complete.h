// What the last word of a line may become: the one source of completion, whoever asks for it.
#pragma once

#include <functional>
#include <string>
#include <vector>

namespace spillway::cli {

struct Completion {
  std::vector<std::string> words;  // only those that begin like the last word
  bool files = false;              // a file belongs here: the shell knows better
  bool open = false;               // the word goes on: no space after it
};

// Names of the objects of a kind; `where` are the flags of the line that say where to look. May
// give none, for example if nobody answers.
using NamesOf = std::function<std::vector<std::string>(const std::string& resource,
                                                       const std::vector<std::string>& where)>;

// `line` is without the program; its last word is the one being written, perhaps empty.
Completion Complete(const std::vector<std::string>& line, const NamesOf& names);

// As lines, and the directive that ends them. The form is cobra's, which kubectl expects of its
// plug-ins: bit 1 no space, bit 2 no files.
// https://kubernetes.io/docs/tasks/extend-kubectl/kubectl-plugins/#writing-kubectl-plugins
std::string CompletionText(const Completion& completion);

}  // namespace spillway::cli
