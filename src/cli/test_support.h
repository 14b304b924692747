// For tests: a command run against a daemon that answers what the test wrote down.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "net/http_server.h"

namespace spillway::cli {

class TempDir {
 public:
  TempDir() {
    std::string name = "/tmp/spw-cli-XXXXXX";
    path_ = mkdtemp(name.data());
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string Write(const std::string& name, const std::string& text) const {
    const std::filesystem::path file = path_ + "/" + name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
    return file.string();
  }

 private:
  std::string path_;
};

inline json::value Json(std::string_view text) {
  auto parsed = ParseJson(text);
  EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().message);
  return parsed ? *parsed : json::value(nullptr);
}

struct Ran {
  int code = -1;
  std::string out, err;
};

// An environment of these variables and files.
inline Surroundings Around(std::map<std::string, std::string> variables, bool root = false,
                           std::vector<std::string> files = {}) {
  return {[variables = std::move(variables)](const char* name) {
            const auto it = variables.find(name);
            return it == variables.end() ? std::string() : it->second;
          },
          root,
          [files = std::move(files)](const std::string& path) {
            return std::find(files.begin(), files.end(), path) != files.end();
          }};
}

// Runs `spillway WORDS...` without a terminal.
inline Ran RunIn(const Invocation& invocation, const std::vector<std::string>& words,
                 const std::string& input = "", const std::atomic<bool>* stop = nullptr) {
  std::istringstream in(input);
  std::ostringstream out, err;
  Io io{in, out, err, {}, stop};
  Ran ran;
  ran.code = Run(words, invocation, io);
  ran.out = out.str();
  ran.err = err.str();
  return ran;
}

inline Ran RunWords(const std::vector<std::string>& words, const std::string& socket,
                    const std::string& input = "", const std::atomic<bool>* stop = nullptr) {
  return RunIn({Around({{"SPILLWAY_SOCKET", socket}})}, words, input, stop);
}

// Serves canned answers on a Unix socket and remembers what it was asked.
class FakeDaemon {
 public:
  FakeDaemon() {
    On("GET", "/api/v1/version",
       R"({"program":"spillwayd","version":"0.1.0","api":"v1","now":"2026-11-24T08:15:30Z",)"
       R"("timeScale":30,"simulated":["GPUs: they are numbers","time: it runs faster"]})");
    net::Router router;
    for (const char* method : {"GET", "POST", "DELETE"})
      for (int segments = 1; segments <= 6; ++segments) {
        std::string pattern;
        for (int i = 0; i < segments; ++i) pattern += "/{s" + std::to_string(i) + "}";
        router.Add(method, pattern, [this](const net::Request& r) { return Answer(r); });
      }
    net::ServerOptions options;
    options.unix_path = socket();
    options.worker_threads = 2;
    server_ = std::make_unique<net::HttpServer>(options, std::move(router));
    const auto started = server_->Start();
    EXPECT_TRUE(started) << started.error().message;
  }

  std::string socket() const { return dir_.path() + "/s"; }

  // Answers of one route, in order; the last one stays.
  void On(const std::string& method, const std::string& path, std::string body, int status = 200) {
    const std::lock_guard lock(mutex_);
    answers_[method + " " + path].push_back({status, std::move(body)});
  }
  // "POST /api/v1/apply dryRun=true namespace=x" and the body after a space, in order.
  std::vector<std::string> asked() const {
    const std::lock_guard lock(mutex_);
    return asked_;
  }

  Ran Do(const std::vector<std::string>& words, const std::string& input = "") const {
    return RunWords(words, socket(), input);
  }
  // Like a person who presses Ctrl-C when the last answer of `key` ("GET /path") was given.
  Ran DoUntilLast(const std::string& key, const std::vector<std::string>& words) {
    {
      const std::lock_guard lock(mutex_);
      stop_after_ = key;
    }
    return RunWords(words, socket(), "", &stop_);
  }

 private:
  struct Canned {
    int status;
    std::string body;
  };

  Result<net::Response> Answer(const net::Request& request) {
    const std::string key = request.method + " " + request.path;
    // Something changes all the time, so nobody has to wait for the end of a patience.
    if (request.path == "/api/v1/watch")
      return net::Response::Stream([](net::EventStream& stream) {
        for (int revision = 1; !stream.WaitClosed(10ms); ++revision)
          if (!stream.Send("change", "{}", std::to_string(revision))) return;
      });
    std::string query;
    for (const auto& [name, value] : request.query) query += " " + name + "=" + value;
    const std::lock_guard lock(mutex_);
    if (request.path != "/api/v1/version")
      asked_.push_back(key + query + (request.body.empty() ? "" : " " + request.body));
    const auto it = answers_.find(key);
    if (it == answers_.end()) return Fail(Code::kNotFound, "the test has no answer for " + key);
    const Canned canned = it->second.front();
    if (it->second.size() > 1)
      it->second.erase(it->second.begin());
    else if (key == stop_after_)
      stop_ = true;
    net::Response response = net::Response::Text(canned.body, "application/json");
    response.status = canned.status;
    return response;
  }

  TempDir dir_;
  mutable std::mutex mutex_;
  std::map<std::string, std::vector<Canned>> answers_;
  std::vector<std::string> asked_;
  std::string stop_after_;
  std::atomic<bool> stop_{false};
  std::unique_ptr<net::HttpServer> server_;
};

}  // namespace spillway::cli
