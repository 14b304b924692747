#include "tests/oracle/oracle_process.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

namespace spillway::oracle {

std::string ProgramPath() {
  const char* cache = std::getenv("SPILLWAY_CACHE");
  const char* home = std::getenv("HOME");
  const std::string root =
      cache != nullptr ? cache : std::string(home != nullptr ? home : ".") + "/.cache/spillway";
  return root + "/kubernetes-v1.36.3/bin/kubernetes-oracle";
}

Oracle::Oracle(const std::string& program) {
  int to[2], from[2];
  SPW_CHECK(pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0, "pipes to the oracle");
  pid_ = fork();
  SPW_CHECK(pid_ >= 0, "fork");
  if (pid_ == 0) {
    dup2(to[0], STDIN_FILENO);
    dup2(from[1], STDOUT_FILENO);
    execl(program.c_str(), program.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  close(to[0]);
  close(from[1]);
  in_ = fdopen(to[1], "w");
  out_ = fdopen(from[0], "r");
}

Oracle::~Oracle() {
  std::fclose(in_);
  std::fclose(out_);
  waitpid(pid_, nullptr, 0);
}

Result<json::value> Oracle::Ask(const json::value& document) {
  const std::string text = json::serialize(document) + "\n";
  if (std::fwrite(text.data(), 1, text.size(), in_) != text.size() || std::fflush(in_) != 0)
    return Fail(Code::kUnavailable, "the oracle takes no more documents");
  char* line = nullptr;
  std::size_t capacity = 0;
  const ssize_t length = getline(&line, &capacity, out_);
  const std::string answer(line == nullptr || length < 0 ? "" : line,
                           length < 0 ? 0 : static_cast<std::size_t>(length));
  std::free(line);
  if (length < 0) return Fail(Code::kUnavailable, "the oracle has ended");
  return ParseJson(answer);
}

}  // namespace spillway::oracle
