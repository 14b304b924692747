#include "net/sse.h"

#include <algorithm>

namespace spillway::net {
namespace {

void AppendField(std::string_view name, std::string_view value, std::string* out) {
  *out += name;
  *out += ": ";
  std::ranges::copy_if(value, std::back_inserter(*out),
                       [](char c) { return c != '\r' && c != '\n' && c != '\0'; });
  *out += '\n';
}

}  // namespace

std::string FormatSseEvent(std::string_view event, std::string_view data, std::string_view id) {
  std::string out;
  if (!id.empty()) AppendField("id", id, &out);
  if (!event.empty()) AppendField("event", event, &out);
  for (;;) {
    const std::size_t end = data.find_first_of("\r\n");
    AppendField("data", data.substr(0, end), &out);
    if (end == std::string_view::npos) break;
    const bool pair = data[end] == '\r' && end + 1 < data.size() && data[end + 1] == '\n';
    data.remove_prefix(end + (pair ? 2 : 1));
  }
  return out + "\n";
}

Result<std::vector<SseEvent>> SseParser::Feed(std::string_view piece) {
  std::vector<SseEvent> events;
  while (!piece.empty()) {
    if (skip_line_feed_) {
      skip_line_feed_ = false;
      if (piece.front() == '\n') {
        piece.remove_prefix(1);
        continue;
      }
    }
    const std::size_t end = piece.find_first_of("\r\n");
    line_ += piece.substr(0, end);
    if (line_.size() + data_.size() > max_event_bytes_)
      return Fail(Code::kInvalid,
                  "an event exceeds " + std::to_string(max_event_bytes_) + " bytes");
    if (end == std::string_view::npos) break;
    skip_line_feed_ = piece[end] == '\r';
    piece.remove_prefix(end + 1);
    TakeLine(&events);
    line_.clear();
  }
  return events;
}

void SseParser::TakeLine(std::vector<SseEvent>* events) {
  std::string_view line = line_;
  if (first_line_ && line.starts_with("\xEF\xBB\xBF")) line.remove_prefix(3);
  first_line_ = false;
  if (line.empty()) {
    if (!data_.empty()) {
      data_.pop_back();  // the line feed after the last line
      events->push_back({event_.empty() ? "message" : event_, data_, last_id_});
    }
    event_.clear();
    data_.clear();
    return;
  }
  const std::size_t colon = std::min(line.find(':'), line.size());
  const std::string_view name = line.substr(0, colon);
  std::string_view value = line.substr(std::min(colon + 1, line.size()));
  if (value.starts_with(' ')) value.remove_prefix(1);
  if (name == "data") {
    data_ += value;
    data_ += '\n';
  } else if (name == "event") {
    event_ = value;
  } else if (name == "id" && value.find('\0') == std::string_view::npos) {
    last_id_ = value;
  }
}

}  // namespace spillway::net
