// A store in memory for tests, in this process: the calls that the client makes, as Ceph RGW
// answers them, and faults. It checks no signature; a real store shows that.
#pragma once

#include <fmt/format.h>

#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/encoding.h"
#include "s3/client.h"

namespace spillway::s3 {

class FakeS3 {
 public:
  struct Object {
    std::string body, etag;
    Time modified{};
    Metadata metadata;
  };
  // What a request is answered instead of the store's answer, before or after its effect.
  using Fault = std::function<std::optional<Result<net::HttpResponse>>(const net::WebRequest&)>;

  std::size_t page = 1000;
  Fault before, after;

  static net::HttpResponse Answer(int status, std::string body = "") {
    net::HttpResponse response;
    response.status = status;
    response.body = std::move(body);
    return response;
  }
  static net::HttpResponse Refusal(int status, std::string_view code) {
    return Answer(status, fmt::format("<?xml version=\"1.0\"?><Error><Code>{}</Code><Message>no"
                                      "</Message></Error>",
                                      code));
  }

  // A client of bucket "data" that does not really wait; its waits are in `waits`.
  Client Open(Patience patience = {}, bool path_style = true) {
    return *Client::Open({.endpoint = path_style ? "http://127.0.0.1:7480" : "http://s3.test:7480",
                          .name = "data",
                          .path_style = path_style},
                         Reach(), patience);
  }
  Means Reach() {
    Means means;
    means.send = [this](const net::WebRequest& request) { return Handle(request); };
    means.credentials = [](const std::string&) -> Result<Credentials> {
      return Credentials{"key", data::SecretText("secret"), data::SecretText()};
    };
    means.now = [] { return *ParseTime("2026-11-30T00:00:00Z"); };
    means.wait = [this](Duration wait) {
      const std::lock_guard lock(mutex_);
      waits.push_back(wait);
      return true;
    };
    return means;
  }

  void Set(const std::string& key, std::string body, Metadata metadata = {}) {
    const std::lock_guard lock(mutex_);
    Store(key, std::move(body), std::move(metadata));
  }
  void Remove(const std::string& key) {
    const std::lock_guard lock(mutex_);
    objects_.erase(key);
  }
  std::optional<Object> Find(const std::string& key) {
    const std::lock_guard lock(mutex_);
    const auto it = objects_.find(key);
    return it == objects_.end() ? std::nullopt : std::optional(it->second);
  }
  std::size_t Uploads() {
    const std::lock_guard lock(mutex_);
    return uploads_.size();
  }
  int Count(std::string_view method) {
    const std::lock_guard lock(mutex_);
    return counts_[std::string(method)];
  }

  std::vector<Duration> waits;

  Result<net::HttpResponse> Handle(const net::WebRequest& request) {
    {
      const std::lock_guard lock(mutex_);
      ++counts_[request.method];
    }
    if (before)
      if (auto answer = before(request)) return *answer;
    Result<net::HttpResponse> response = Serve(request);
    if (after)
      if (auto answer = after(request)) return *answer;
    return response;
  }

 private:
  struct Upload {
    std::string key;
    Metadata metadata;
    std::map<int, std::string> parts;
  };
  struct Target {
    std::string key;
    std::map<std::string, std::string> query;
  };

  static std::string Decode(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i)
      if (text[i] == '%' && i + 2 < text.size())
        out += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16)),
            i += 2;
      else
        out += text[i];
    return out;
  }
  static std::string Text(std::string_view text) {  // as XML
    std::string out;
    for (const char c : text) out += c == '&' ? "&amp;" : c == '<' ? "&lt;" : std::string(1, c);
    return out;
  }
  static std::string Tag(std::string_view body) { return Sha256Hex(body).substr(0, 32); }

  static Target TargetOf(const net::WebRequest& request) {
    std::string_view url = request.url;
    url.remove_prefix(url.find('/', url.find("://") + 3));
    const std::size_t mark = std::min(url.find('?'), url.size());
    std::string path(url.substr(1, mark - 1));
    if (!request.url.starts_with("http://data."))
      path = path.starts_with("data/") ? path.substr(5) : "";
    Target target{Decode(path), {}};
    std::string_view query = url.substr(std::min(mark + 1, url.size()));
    while (!query.empty()) {
      const std::size_t end = std::min(query.find('&'), query.size());
      const std::string_view pair = query.substr(0, end);
      const std::size_t equals = std::min(pair.find('='), pair.size());
      target.query[Decode(pair.substr(0, equals))] =
          Decode(pair.substr(std::min(equals + 1, pair.size())));
      query.remove_prefix(std::min(end + 1, query.size()));
    }
    return target;
  }

  static Metadata MetadataOf(const net::WebRequest& request) {
    Metadata metadata;
    for (const auto& [name, value] : request.headers.all())
      if (name.starts_with("x-amz-meta-")) metadata[name.substr(11)] = value;
    return metadata;
  }

  std::string Store(const std::string& key, std::string body, Metadata metadata) {
    now_ += 1s;
    std::string etag = Tag(body);
    objects_[key] = {std::move(body), etag, now_, std::move(metadata)};
    return etag;
  }

  net::HttpResponse Tagged(int status, const std::string& etag) {
    net::HttpResponse response = Answer(status);
    response.headers.Add("ETag", "\"" + etag + "\"");
    return response;
  }

  net::HttpResponse Serve(const net::WebRequest& request) {
    const std::lock_guard lock(mutex_);
    if (request.headers.Get("x-amz-content-sha256") != Sha256Hex(request.body))
      return Refusal(400, "XAmzContentSHA256Mismatch");
    const Target target = TargetOf(request);
    const bool upload = target.query.contains("uploadId");
    if (target.key.empty())
      return target.query.contains("uploads") ? ListUploads(target) : List(target);
    if (request.method == "POST" && !upload) return Begin(request, target);
    if (upload) return Part(request, target);
    if (request.method == "PUT")
      return Tagged(200, Store(target.key, request.body, MetadataOf(request)));
    if (request.method == "DELETE") {
      objects_.erase(target.key);
      return Answer(204);
    }
    return Read(request, target);
  }

  net::HttpResponse List(const Target& target) {
    const std::string prefix = target.query.count("prefix") ? target.query.at("prefix") : "";
    const auto token = target.query.find("continuation-token");
    auto it = token == target.query.end() ? objects_.lower_bound(prefix)
                                          : objects_.upper_bound(token->second);
    std::string xml = "<ListBucketResult><EncodingType>url</EncodingType>";
    std::string last;
    std::size_t count = 0;
    for (; it != objects_.end() && it->first.starts_with(prefix) && count < page; ++it, ++count) {
      last = it->first;
      xml += fmt::format(
          "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>&quot;{}&quot;</ETag>"
          "<Size>{}</Size></Contents>",
          net::PercentEncode(last), FormatTime(it->second.modified), it->second.etag,
          it->second.body.size());
    }
    if (it != objects_.end() && it->first.starts_with(prefix))
      xml += fmt::format(
          "<IsTruncated>true</IsTruncated><NextContinuationToken>{}"
          "</NextContinuationToken>",
          Text(last));
    return Answer(200, xml + "</ListBucketResult>");
  }

  net::HttpResponse ListUploads(const Target& target) {
    std::string xml = "<ListMultipartUploadsResult>";
    for (const auto& [id, upload] : uploads_)
      if (upload.key.starts_with(target.query.at("prefix")))
        xml += fmt::format("<Upload><Key>{}</Key><UploadId>{}</UploadId></Upload>",
                           Text(upload.key), id);
    return Answer(200, xml + "</ListMultipartUploadsResult>");
  }

  net::HttpResponse Begin(const net::WebRequest& request, const Target& target) {
    const std::string id = fmt::format("upload-{}", ++serial_);
    uploads_[id] = {target.key, MetadataOf(request), {}};
    return Answer(200, fmt::format("<InitiateMultipartUploadResult><UploadId>{}</UploadId>"
                                   "</InitiateMultipartUploadResult>",
                                   id));
  }

  net::HttpResponse Part(const net::WebRequest& request, const Target& target) {
    const auto it = uploads_.find(target.query.at("uploadId"));
    if (it == uploads_.end()) return Refusal(404, "NoSuchUpload");
    if (request.method == "DELETE") {
      uploads_.erase(it);
      return Answer(204);
    }
    if (request.method == "PUT") {
      it->second.parts[std::stoi(target.query.at("partNumber"))] = request.body;
      return Tagged(200, Tag(request.body));
    }
    std::string body;
    for (const auto& [number, part] : it->second.parts) body += part;
    const std::string etag = Store(it->second.key, body, it->second.metadata);
    uploads_.erase(it);
    return Answer(200, fmt::format("<CompleteMultipartUploadResult><ETag>&quot;{}&quot;</ETag>"
                                   "</CompleteMultipartUploadResult>",
                                   etag));
  }

  net::HttpResponse Read(const net::WebRequest& request, const Target& target) {
    const auto it = objects_.find(target.key);
    if (it == objects_.end())
      return request.method == "HEAD" ? Answer(404) : Refusal(404, "NoSuchKey");
    const Object& object = it->second;
    const std::string_view wanted = request.headers.Get("If-Match");
    if (!wanted.empty() && PlainTag(wanted) != object.etag)
      return Refusal(412, "PreconditionFailed");
    net::HttpResponse response = Tagged(200, object.etag);
    if (request.method == "HEAD") {
      response.headers.Add("Content-Length", std::to_string(object.body.size()));
      for (const auto& [name, value] : object.metadata)
        response.headers.Add("x-amz-meta-" + name, value);
      return response;
    }
    std::size_t first = 0, last = 0;
    if (std::sscanf(std::string(request.headers.Get("Range")).c_str(), "bytes=%zu-%zu", &first,
                    &last) != 2)
      response.body = object.body;
    else if (first >= object.body.size())
      return Refusal(416, "InvalidRange");
    else
      response.status = 206, response.body = object.body.substr(first, last - first + 1);
    response.headers.Add(
        "Content-Range",
        fmt::format("bytes {}-{}/{}", first, first + response.body.size() - 1, object.body.size()));
    return response;
  }

  std::mutex mutex_;
  std::map<std::string, Object> objects_;
  std::map<std::string, Upload> uploads_;
  std::map<std::string, int> counts_;
  int serial_ = 0;
  Time now_ = Time(std::chrono::hours(24 * 365 * 50));
};

}  // namespace spillway::s3
