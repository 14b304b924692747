// logs and wait: what goes on until something has ended.
#include <fmt/format.h>

#include <algorithm>

#include "cli/daemon.h"
#include "cli/fields.h"
#include "cli/json_path.h"
#include "schema/schema.h"

namespace spillway::cli {
namespace {

constexpr std::string_view kJobNameLabel = "batch.kubernetes.io/job-name";

// One pod's log on its way to the output.
struct LogReader {
  std::string pod;
  std::string prefix;  // before each line, where several pods are shown
  std::int64_t offset = 0;
  std::string partial;  // of a line, kept until it is whole
  bool finished = false;
};

// Whole lines of what came, each with the prefix.
void PrintLines(LogReader& reader, const std::string& text, std::ostream& out) {
  if (reader.prefix.empty()) {
    out << text;
    return;
  }
  reader.partial += text;
  std::size_t at = 0;
  for (std::size_t end; (end = reader.partial.find('\n', at)) != std::string::npos; at = end + 1)
    out << reader.prefix << std::string_view(reader.partial).substr(at, end - at + 1);
  reader.partial.erase(0, at);
  if (reader.finished && !reader.partial.empty()) out << reader.prefix << reader.partial << "\n";
}

// All that is there now; at most the pieces until the log ends or stands still.
Result<void> ReadOn(client::Client& daemon, const std::string& ns, LogReader& reader, Io& io) {
  while (!reader.finished && !io.Stopped()) {
    SPW_ASSIGN(const client::PodLog piece, daemon.Logs(ns, reader.pod, reader.offset));
    const bool moved = piece.offset > reader.offset;
    reader.offset = piece.offset;
    reader.finished = piece.finished;
    PrintLines(reader, piece.text, io.out);
    if (!moved) break;
  }
  io.out.flush();
  return {};
}

Result<std::vector<LogReader>> ReadersOf(client::Client& daemon, const Arguments& a) {
  const std::size_t slash = a.target.find('/');
  if (slash == std::string::npos) return std::vector<LogReader>{{a.target, "", 0, "", false}};
  const std::string resource = a.target.substr(0, slash), name = a.target.substr(slash + 1);
  const schema::Kind* kind = schema::Schemas::Embedded().FindResource(resource);
  if (kind != nullptr && kind->kind == "Pod")
    return std::vector<LogReader>{{name, "", 0, "", false}};
  if (kind == nullptr || kind->kind != "Job")
    return Fail(Code::kInvalid,
                fmt::format("\"{}\" has no log: name a pod, or job/NAME", a.target));
  SPW_ASSIGN(const json::value pods,
             daemon.List({"pods", a.Namespace(), ""}, fmt::format("{}={}", kJobNameLabel, name)));
  std::vector<LogReader> readers;
  for (const json::value& pod : ItemsOf(pods, "items"))
    if (const json::value* metadata = Find(pod, "metadata"))
      readers.push_back({TextOf(*metadata, "name"), "", 0, "", false});
  if (readers.empty())
    return Fail(Code::kNotFound,
                fmt::format("Job {}/{} has no pods yet; see `spillway describe job {} -n {}`",
                            a.Namespace(), name, name, a.Namespace()));
  if (readers.size() > 1)
    for (LogReader& reader : readers) reader.prefix = "[" + reader.pod + "] ";
  return readers;
}

// What `wait --for` asks for.
struct Question {
  enum class About { kDelete, kCondition, kPath } about = About::kDelete;
  std::string what;   // condition type, or path
  std::string value;  // "True", or the text at the path
};

Result<Question> ParseQuestion(const std::string& text) {
  const auto after = [&](std::string_view prefix) { return text.substr(prefix.size()); };
  if (text == "delete") return Question{};
  if (text.starts_with("condition=")) {
    const std::string rest = after("condition=");
    const std::size_t equal = rest.find('=');
    if (rest.empty() || equal == 0)
      return Fail(Code::kInvalid, "--for=condition= needs a type, such as condition=Complete");
    return Question{Question::About::kCondition, rest.substr(0, equal),
                    equal == std::string::npos ? "True" : rest.substr(equal + 1)};
  }
  if (text.starts_with("jsonpath=")) {
    std::string rest = after("jsonpath=");
    const std::size_t equal = rest.rfind('=');
    if (equal != std::string::npos && equal + 1 < rest.size()) {
      std::string path = rest.substr(0, equal);
      if (path.size() > 2 && path.front() == '{' && path.back() == '}')
        path = path.substr(1, path.size() - 2);
      SPW_TRY(Select(json::value(nullptr), path));
      return Question{Question::About::kPath, path, rest.substr(equal + 1)};
    }
  }
  return Fail(Code::kInvalid,
              fmt::format("--for: \"{}\" is not understood; write condition=Complete, delete or "
                          "jsonpath={{.status.phase}}=Gone",
                          Safe(text)));
}

bool SameWord(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](unsigned char x, unsigned char y) {
    return std::tolower(x) == std::tolower(y);
  });
}

bool Holds(const Question& question, const json::value& object) {
  if (question.about == Question::About::kPath) {
    const auto values = Select(object, question.what);
    return values && CellText(*values) == question.value;
  }
  const json::value* status = Find(object, "status");
  if (question.about == Question::About::kDelete || status == nullptr) return false;
  for (const json::value& condition : ItemsOf(*status, "conditions"))
    if (SameWord(StringOr(condition, "type", ""), question.what) &&
        SameWord(StringOr(condition, "status", ""), question.value))
      return true;
  return false;
}

// The newest condition in words, for the message of a wait that was in vain.
std::string LastKnown(const json::value& object) {
  const json::value* status = Find(object, "status");
  if (status == nullptr) return {};
  const json::array& conditions = ItemsOf(*status, "conditions");
  if (conditions.empty()) return {};
  const json::value& last = conditions[conditions.size() - 1];
  const std::string message = TextOf(last, "message");
  return fmt::format("; it says {}={}{}", TextOf(last, "type"), TextOf(last, "status"),
                     message.empty() ? "" : ": " + message);
}

}  // namespace

int Logs(const Arguments& a, Io& io) {
  client::Client daemon = Connect(a);
  auto readers = ReadersOf(daemon, a);
  if (!readers) return Report(io, readers.error());
  std::optional<Watcher> watcher;
  while (true) {
    bool open = false;
    for (LogReader& reader : *readers) {
      const auto read = ReadOn(daemon, a.Namespace(), reader, io);
      if (!read) return Report(io, read.error());
      open = open || !reader.finished;
    }
    if (!a.follow || !open || io.Stopped()) return 0;
    if (!watcher) watcher.emplace(a.daemon);
    watcher->Wait(300ms);
  }
}

int Wait(const Arguments& a, Io& io) {
  const auto question = ParseQuestion(a.condition);
  if (!question) return Report(io, question.error());
  const std::size_t slash = a.target.find('/');
  const schema::Kind* kind =
      schema::Schemas::Embedded().FindResource(std::string_view(a.target).substr(0, slash));
  if (kind == nullptr) {
    io.err << fmt::format("error: \"{}\" is no kind of object\n", Safe(a.target.substr(0, slash)));
    return 2;
  }
  const client::ObjectName name{kind->plural, kind->namespaced ? a.Namespace() : "",
                                a.target.substr(slash + 1)};
  client::Client daemon = Connect(a);
  std::optional<Watcher> watcher;  // only if there is something to wait for
  const SystemClock clock;
  const Duration end = clock.SteadyNow() + a.timeout;
  const std::string label = kind->singular + "/" + name.name;
  while (true) {
    const auto object = daemon.Get(name);
    const bool gone = !object && object.error().code == Code::kNotFound;
    if (!object && !(gone && question->about == Question::About::kDelete))
      return Report(io, object.error());
    if (gone || (object && Holds(*question, *object))) {
      io.out << label << (gone ? " deleted" : " condition met") << "\n";
      return 0;
    }
    const Duration left = end - clock.SteadyNow();
    if (left <= 0ms || io.Stopped()) {
      io.err << fmt::format("error: {} after {}: {} is not true of {}{}\n",
                            io.Stopped() ? "stopped" : "timed out", FormatDuration(a.timeout),
                            Safe(a.condition), label, LastKnown(*object));
      return 1;
    }
    if (!watcher) watcher.emplace(a.daemon);
    watcher->Wait(std::min<Duration>(left, 500ms));
  }
}

}  // namespace spillway::cli
