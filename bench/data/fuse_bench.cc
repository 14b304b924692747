// What `bench/data/fuse` needs: the product's file system over a sealed run, the same server over
// plaintext, and the reader that every peer is read with. See --help.
#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/rand.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <random>
#include <thread>

#include "data/pack.h"
#include "node/input_mount.h"

namespace {

using namespace spillway;
namespace fs = std::filesystem;

constexpr const char* kHelp =
    "fuse_bench make FOLDER MIB FILES          big, four shards and small files of 100 to 500 KB\n"
    "fuse_bench serve sealed|plain FOLDER CACHE MOUNT\n"
    "                                          shows FOLDER as MOUNT/data until SIGTERM; CACHE is "
    "a\n"
    "                                          folder for the sealed chunks or a copy\n"
    "fuse_bench drop FILE...                   out of the page cache\n"
    "fuse_bench seq THREADS BYTES DIRECT FILE...         each thread reads one file\n"
    "fuse_bench rand THREADS BYTES DIRECT SECONDS FILE...\n"
    "fuse_bench small THREADS SECONDS FOLDER             every file once, shuffled\n"
    "The last three print bytes, seconds, CPU seconds, operations, p99 in microseconds.\n";

[[noreturn]] void Die(const std::string& why) {
  std::cerr << "fuse_bench: " << why << '\n';
  std::exit(1);
}
template <typename T>
T Must(Result<T> result) {
  if (!result) Die(result.error().message);
  return std::move(*result);
}
void Must(const Status& status) {
  if (!status) Die(status.error().message);
}

// ---- data

// At the head of every file: where it can be found, bytes lie as they are.
constexpr std::string_view kMark = "spillway-benchmark-plaintext";

int Make(const std::string& folder, std::size_t mib, int files) {
  std::mt19937_64 random(1);
  const auto write = [&](const std::string& path, std::size_t bytes) {
    std::ofstream out(path, std::ios::binary);
    std::vector<std::uint64_t> block(1 << 14);
    for (std::size_t left = bytes; left > 0;) {
      for (std::uint64_t& word : block) word = random();
      if (left == bytes)
        std::copy_n(kMark.begin(), kMark.size(), reinterpret_cast<char*>(block.data()));
      const std::size_t take = std::min(left, block.size() * sizeof(std::uint64_t));
      out.write(reinterpret_cast<const char*>(block.data()), static_cast<std::streamsize>(take));
      left -= take;
    }
    if (!out.flush()) Die(path + ": cannot be written");
  };
  fs::create_directories(folder + "/small");
  write(folder + "/big", mib << 20);
  for (int i = 0; i < 4; ++i) write(fmt::format("{}/shard{}", folder, i), (mib << 20) / 4);
  for (int i = 0; i < files; ++i)
    write(fmt::format("{}/small/{:06}", folder, i), 100'000 + random() % 400'000);
  return 0;
}

std::vector<data::FileEntry> Scan(const std::string& folder) {
  std::vector<data::FileEntry> entries;
  for (const auto& entry : fs::recursive_directory_iterator(folder))
    if (entry.is_regular_file())
      entries.push_back({"data/" + fs::relative(entry.path(), folder).string(),
                         static_cast<std::int64_t>(entry.file_size()), 0444, Time(1s)});
  return entries;
}

// ---- serving

class Plain final : public fuse::Content {
 public:
  Plain(const data::Layout& layout, const std::string& folder, const std::string& cache) {
    const std::string path = cache + "/plain";
    std::ofstream out(path, std::ios::binary | std::ios::trunc);
    for (const data::PackedFile& file : layout.files) {
      Must(tree.Add(file.entry.path, file.entry.size_bytes, 0444, file.entry.mtime));
      at_.push_back(static_cast<std::size_t>(out.tellp()));
      if (file.entry.size_bytes > 0)
        out << std::ifstream(folder + file.entry.path.substr(4), std::ios::binary).rdbuf();
    }
    tree.Finish();
    const auto size = static_cast<std::size_t>(out.tellp());
    out.close();
    const Fd fd(::open(path.c_str(), O_RDONLY));
    void* mapped = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
    if (mapped == MAP_FAILED) Die("cannot map " + path);
    bytes_ = {static_cast<const std::uint8_t*>(mapped), size};
  }
  std::unique_ptr<fuse::Reader> NewReader() override { return std::make_unique<From>(*this); }
  void GaveUp(std::uint32_t) override {}

  fuse::FileTree tree;

 private:
  struct From final : fuse::Reader {
    explicit From(const Plain& p) : plain(p) {}
    Result<std::optional<ByteView>> Read(std::uint32_t file, std::int64_t offset,
                                         std::size_t size) override {
      return plain.bytes_.subspan(plain.at_[file] + static_cast<std::size_t>(offset), size);
    }
    void Done() override {}
    const Plain& plain;
  };
  std::vector<std::size_t> at_;
  ByteView bytes_;
};

// As the site and the node do it, without the network between them.
std::shared_ptr<node::StagedData> Seal(const data::Layout& layout, const std::string& folder,
                                       const std::string& cache, const data::Secret& key) {
  auto staged = std::make_shared<node::StagedData>();
  staged->names = {"bench", "v1"};
  for (const data::ChunkPlan& chunk : layout.chunks)
    staged->manifest.chunks.push_back({chunk.plain_bytes, data::SealedSize(chunk.plain_bytes), {}});
  staged->files = Must(node::RunFiles::Make(layout.files));
  staged->cache = Must(node::ChunkCache::Open(cache, staged->manifest.chunks, {}));
  while (const auto index = staged->cache->NextToFetch()) {
    const data::ChunkPlan& chunk = layout.chunks[*index];
    ByteBuffer plain(static_cast<std::size_t>(chunk.plain_bytes));
    for (const data::Piece& piece : chunk.pieces) {
      const std::string& path = layout.files[piece.file].entry.path;
      std::ifstream in(folder + path.substr(4), std::ios::binary);
      in.seekg(piece.file_offset);
      in.read(reinterpret_cast<char*>(plain.data()) + piece.chunk_offset, piece.length);
      if (!in) Die(path + ": cannot be read");
    }
    std::array<std::uint8_t, data::kSaltBytes> salt;
    if (::RAND_bytes(salt.data(), salt.size()) != 1) Die("no entropy");
    const ByteBuffer sealed = Must(data::SealChunk(key, staged->names.Chunk(*index), plain, salt));
    Must(staged->cache->Store(*index, sealed));
  }
  return staged;
}

int Serve(const std::string& kind, const std::string& folder, const std::string& cache,
          const std::string& mount) {
  sigset_t signals;
  ::sigemptyset(&signals);
  ::sigaddset(&signals, SIGTERM);
  ::sigaddset(&signals, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  fs::create_directories(cache);
  const data::Layout layout = Must(data::PackFiles(Scan(folder)));
  const auto wait = [&] {
    std::puts("ready");
    std::fflush(stdout);
    int signal = 0;
    ::sigwait(&signals, &signal);
  };
  if (kind == "plain") {
    Plain plain(layout, folder, cache);
    fs::create_directories(mount);
    const auto server =
        Must(fuse::Server::Start(Must(fuse::Mount(mount)), mount, plain.tree, plain));
    wait();
    return 0;
  }
  data::Secret secret = Must(data::Secret::Generate());
  const auto staged = Seal(layout, folder, cache, secret);
  node::RunKey key;
  Must(key.Set(std::move(secret)));
  node::InputContent content(staged, key, [](const std::string&) {});
  const auto inputs = Must(node::InputMount::Open(mount, staged, content));
  wait();
  content.Close();
  inputs->Close();
  Must(staged->cache->file()->Unlink());
  return 0;
}

// ---- reading

struct Load {
  std::size_t block = 0;
  bool direct = false;
  double seconds = 0;
  std::vector<std::string> files;
  std::atomic<std::int64_t> bytes = 0;
  std::atomic<int> errors = 0;
  std::atomic<std::size_t> next = 0;
  std::chrono::steady_clock::time_point start;
  std::vector<std::vector<float>> micros;

  double Since() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  }
  Fd Open(const std::string& path) {
    Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | (direct ? O_DIRECT : 0)));
    if (!fd) ++errors;
    return fd;
  }
};

struct Aligned {
  explicit Aligned(std::size_t size) {
    if (::posix_memalign(&at, 4096, size) != 0) Die("memory");
  }
  ~Aligned() { std::free(at); }
  void* at = nullptr;
};

void Sequential(Load& load, std::size_t thread) {
  const Fd fd = load.Open(load.files[thread % load.files.size()]);
  const Aligned buffer(load.block);
  ssize_t n = 0;
  while ((n = ::read(fd.get(), buffer.at, load.block)) > 0) load.bytes += n;
  if (n < 0) ++load.errors;
}

void Random(Load& load, std::size_t thread) {
  std::mt19937_64 random(thread + 1);
  const Aligned buffer(load.block);
  std::vector<Fd> fds;
  std::vector<std::uint64_t> blocks;
  for (const std::string& file : load.files) {
    fds.push_back(load.Open(file));
    blocks.push_back(fs::file_size(file) / load.block);
  }
  for (double t = load.Since(); t < load.seconds; t = load.Since()) {
    const std::size_t i = random() % fds.size();
    const auto at = static_cast<off_t>(random() % blocks[i] * load.block);
    if (::pread(fds[i].get(), buffer.at, load.block, at) != static_cast<ssize_t>(load.block))
      ++load.errors;
    load.bytes += static_cast<std::int64_t>(load.block);
    load.micros[thread].push_back(static_cast<float>((load.Since() - t) * 1e6));
  }
}

void Small(Load& load, std::size_t thread) {
  const Aligned buffer(1 << 20);
  for (double t = load.Since(); t < load.seconds; t = load.Since()) {
    const std::size_t i = load.next++;
    if (i >= load.files.size()) return;
    const Fd fd = load.Open(load.files[i]);
    ssize_t n = 0;
    while ((n = ::read(fd.get(), buffer.at, 1 << 20)) > 0) load.bytes += n;
    if (n < 0) ++load.errors;
    load.micros[thread].push_back(static_cast<float>((load.Since() - t) * 1e6));
  }
}

int Drop(const std::vector<std::string>& files) {
  for (const std::string& file : files)
    if (const Fd fd(::open(file.c_str(), O_RDONLY)); fd)
      ::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_DONTNEED);
  return 0;
}

int Run(Load& load, std::size_t threads, void (*work)(Load&, std::size_t)) {
  load.micros.resize(threads);
  rusage before{}, after{};
  ::getrusage(RUSAGE_SELF, &before);
  load.start = std::chrono::steady_clock::now();
  std::vector<std::thread> running;
  for (std::size_t i = 0; i < threads; ++i) running.emplace_back([&, i] { work(load, i); });
  for (std::thread& thread : running) thread.join();
  const double seconds = load.Since();
  ::getrusage(RUSAGE_SELF, &after);
  const auto of = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  const double cpu =
      of(after.ru_utime) + of(after.ru_stime) - of(before.ru_utime) - of(before.ru_stime);
  std::vector<float> all;
  for (const auto& some : load.micros) all.insert(all.end(), some.begin(), some.end());
  std::sort(all.begin(), all.end());
  std::cout << fmt::format("{} {:.4f} {:.4f} {} {:.0f} {}\n", load.bytes.load(), seconds, cpu,
                           all.size(), all.empty() ? 0 : all[all.size() * 99 / 100],
                           load.errors.load());
  return load.errors == 0 ? 0 : 1;
}

int Main(const std::vector<std::string>& words) {
  const auto from = [&](std::size_t i) {
    return std::vector<std::string>(words.begin() + static_cast<std::ptrdiff_t>(i), words.end());
  };
  const std::string what = words.empty() ? "" : words[0];
  Load load;
  if (what == "make" && words.size() == 4)
    return Make(words[1], std::stoul(words[2]), std::stoi(words[3]));
  if (what == "serve" && words.size() == 5) return Serve(words[1], words[2], words[3], words[4]);
  if (what == "drop") return Drop(from(1));
  if (what == "seq" && words.size() > 4) {
    load.block = std::stoul(words[2]);
    load.direct = words[3] == "1";
    load.files = from(4);
    return Run(load, std::stoul(words[1]), Sequential);
  }
  if (what == "rand" && words.size() > 5) {
    load.block = std::stoul(words[2]);
    load.direct = words[3] == "1";
    load.seconds = std::stod(words[4]);
    load.files = from(5);
    return Run(load, std::stoul(words[1]), Random);
  }
  if (what == "small" && words.size() == 4) {
    load.seconds = std::stod(words[2]);
    for (const auto& entry : fs::directory_iterator(words[3]))
      load.files.push_back(entry.path().string());
    std::sort(load.files.begin(), load.files.end());
    std::shuffle(load.files.begin(), load.files.end(), std::mt19937_64(1));
    return Run(load, std::stoul(words[1]), Small);
  }
  std::fputs(kHelp, stderr);
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  return Main({argv + 1, argv + argc});
}
