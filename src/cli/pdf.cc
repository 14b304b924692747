#include "cli/pdf.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace spillway::cli {
namespace {

// Points: 1/72 inch. A4.
constexpr double kPageWidth = 595, kPageHeight = 842;
constexpr double kLeft = 56, kRight = 539, kTop = 786, kBottom = 64, kValueAt = 180;
constexpr double kTitleSize = 18, kHeadingSize = 12, kTextSize = 9, kFootSize = 8;
constexpr double kLeading = 1.35;  // from line to line, in sizes

// Widths of Helvetica from ' ' to '~', in 1/1000 of the size: Adobe's font metrics.
constexpr std::array<int, 95> kWidths = {
    278, 278, 355, 556, 556, 889, 667, 191, 333, 333, 389, 584, 278, 333,  278, 278, 556, 556, 556,
    556, 556, 556, 556, 556, 556, 556, 278, 278, 584, 584, 584, 556, 1015, 667, 667, 722, 722, 667,
    611, 778, 722, 278, 500, 667, 556, 833, 722, 778, 667, 778, 722, 667,  611, 722, 667, 944, 667,
    667, 611, 278, 278, 278, 469, 556, 333, 556, 556, 500, 556, 556, 278,  556, 556, 222, 222, 500,
    222, 833, 556, 556, 556, 556, 333, 500, 278, 556, 500, 722, 500, 500,  500, 334, 260, 334, 584};
constexpr int kOtherWidth = 1000;  // of the widest other letter

double WidthOf(std::string_view text, double size) {
  int sum = 0;
  for (const char c : text)
    sum += c >= ' ' && c <= '~' ? kWidths[static_cast<std::size_t>(c - ' ')] : kOtherWidth;
  return sum * size / 1000;
}

// The code point at the front of valid UTF-8, and its length; a byte that is none stands for
// itself.
std::pair<std::uint32_t, std::size_t> CodePoint(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(text[i]); };
  const std::uint8_t first = byte(0);
  const std::size_t length = first < 0xC2 ? 1 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : 4;
  if (length == 1 || text.size() < length) return {first, 1};
  std::uint32_t point = first & (0x7Fu >> length);
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {first, 1};
    point = point << 6 | (byte(i) & 0x3Fu);
  }
  return {point, length};
}

// WinAnsiEncoding (ISO 32000-1, annex D): Latin-1 where both have a letter.
std::string Encode(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const auto [point, length] = CodePoint(text);
    text.remove_prefix(length);
    if ((point >= 0x20 && point <= 0x7E) || (point >= 0xA1 && point <= 0xFF))
      out += static_cast<char>(point);
    else
      out += fmt::format("<U+{:04X}>", point);
  }
  return out;
}

std::string Literal(std::string_view encoded) {
  std::string out = "(";
  for (const char c : encoded) {
    if (c == '(' || c == ')' || c == '\\') out += '\\';
    out += c;
  }
  return out + ")";
}

// Objects numbered from 1, and where each begins.
class Objects {
 public:
  Objects() { out_ = "%PDF-1.7\n%\xE2\xE3\xCF\xD3\n"; }
  std::size_t Add(const std::string& content) {
    begins_.push_back(out_.size());
    out_ += fmt::format("{} 0 obj\n{}\nendobj\n", begins_.size(), content);
    return begins_.size();
  }
  std::size_t AddStream(const std::string& entries, const std::string& bytes) {
    return Add(
        fmt::format("<< {} /Length {} >>\nstream\n{}\nendstream", entries, bytes.size(), bytes));
  }
  // The number that the n-th object added from now on will have.
  std::size_t Next(std::size_t n = 0) const { return begins_.size() + 1 + n; }
  std::string Finish(std::size_t root, std::size_t info) {
    const std::size_t table = out_.size();
    out_ += fmt::format("xref\n0 {}\n0000000000 65535 f \n", begins_.size() + 1);
    for (const std::size_t begin : begins_) out_ += fmt::format("{:010} 00000 n \n", begin);
    out_ += fmt::format("trailer\n<< /Size {} /Root {} 0 R /Info {} 0 R >>\nstartxref\n{}\n%%EOF\n",
                        begins_.size() + 1, root, info, table);
    return std::move(out_);
  }

 private:
  std::string out_;
  std::vector<std::size_t> begins_;
};

}  // namespace

Pdf::Pdf(std::string title) : title_(std::move(title)), y_(kTop) {}

void Pdf::Advance(double height) {
  if (y_ - height < kBottom) {
    pages_.emplace_back();
    y_ = kTop;
  }
  y_ -= height;
}

void Pdf::Put(Font font, double size, double x, std::string text) {
  pages_.back().push_back({font, size, x, y_, std::move(text)});
}

// Between words where it can, else anywhere: hashes have no words.
std::vector<std::string> Pdf::Wrap(std::string_view text, double size, double width) {
  std::vector<std::string> lines;
  std::string rest = Encode(text);
  while (!rest.empty()) {
    std::size_t fits = 0;
    while (fits < rest.size() && WidthOf(std::string_view(rest).substr(0, fits + 1), size) <= width)
      ++fits;
    std::size_t cut = std::max<std::size_t>(fits, 1), next = cut;
    if (fits < rest.size())
      if (const std::size_t space = rest.rfind(' ', fits);
          space != std::string::npos && space > fits / 2)
        cut = space, next = space + 1;
    lines.push_back(rest.substr(0, cut));
    rest.erase(0, next);
  }
  if (lines.empty()) lines.emplace_back();
  return lines;
}

void Pdf::Title(std::string_view text) {
  Advance(kTitleSize * kLeading);
  Put(Font::kBold, kTitleSize, kLeft, Encode(text));
  y_ -= kTitleSize / 2;
}

void Pdf::Heading(std::string_view text) {
  // Never alone at the foot of a page.
  if (y_ - 5 * kHeadingSize < kBottom) Advance(y_);
  Advance(kHeadingSize * 2);
  Put(Font::kBold, kHeadingSize, kLeft, Encode(text));
  y_ -= kTextSize / 2;
}

void Pdf::Paragraph(std::string_view text) {
  for (std::string& line : Wrap(text, kTextSize, kRight - kLeft)) {
    Advance(kTextSize * kLeading);
    Put(Font::kPlain, kTextSize, kLeft, std::move(line));
  }
  y_ -= kTextSize / 3;
}

void Pdf::Row(std::string_view label, std::string_view value) {
  bool first = true;
  for (std::string& line : Wrap(value, kTextSize, kRight - kValueAt)) {
    Advance(kTextSize * kLeading);
    if (first) Put(Font::kBold, kTextSize, kLeft, Encode(label));
    first = false;
    Put(Font::kPlain, kTextSize, kValueAt, std::move(line));
  }
}

void Pdf::Attach(std::string name, std::string content) {
  attached_.emplace_back(std::move(name), std::move(content));
}

std::string Pdf::Finish() const {
  Objects objects;
  const auto font = [&](std::string_view name) {
    return objects.Add(fmt::format(
        "<< /Type /Font /Subtype /Type1 /BaseFont /{} /Encoding /WinAnsiEncoding >>", name));
  };
  const std::size_t plain = font("Helvetica"), bold = font("Helvetica-Bold");
  std::string names;
  for (const auto& [name, content] : attached_) {
    const std::size_t file = objects.AddStream(
        fmt::format("/Type /EmbeddedFile /Subtype /application#2Fjson /Params << /Size {} >>",
                    content.size()),
        content);
    const std::string shown = Literal(Encode(name));
    const std::size_t spec = objects.Add(
        fmt::format("<< /Type /Filespec /F {0} /UF {0} /EF << /F {1} 0 R >> >>", shown, file));
    names += fmt::format("{} {} 0 R ", shown, spec);
  }
  const std::size_t tree = objects.Next(2 * pages_.size());
  std::string kids;
  for (std::size_t i = 0; i < pages_.size(); ++i) {
    std::string text = "BT\n";
    Page page = pages_[i];
    page.push_back({Font::kPlain, kFootSize, kLeft, kBottom - 24,
                    fmt::format("{}, page {} of {}", Encode(title_), i + 1, pages_.size())});
    for (const Piece& piece : page)
      text += fmt::format("/F{} {:g} Tf 1 0 0 1 {:g} {:.2f} Tm {} Tj\n",
                          piece.font == Font::kBold ? 2 : 1, piece.size, piece.x, piece.y,
                          Literal(piece.text));
    const std::size_t content = objects.AddStream("", text + "ET");
    const std::size_t page_object = objects.Add(
        fmt::format("<< /Type /Page /Parent {} 0 R /MediaBox [0 0 {:g} {:g}] /Contents {} 0 R "
                    "/Resources << /Font << /F1 {} 0 R /F2 {} 0 R >> >> >>",
                    tree, kPageWidth, kPageHeight, content, plain, bold));
    kids += fmt::format("{} 0 R ", page_object);
  }
  objects.Add(fmt::format("<< /Type /Pages /Kids [ {}] /Count {} >>", kids, pages_.size()));
  const std::size_t root = objects.Add(
      fmt::format("<< /Type /Catalog /Pages {} 0 R /Lang (en) {} >>", tree,
                  names.empty() ? ""
                                : fmt::format("/Names << /EmbeddedFiles << /Names [ {}] >> >> "
                                              "/PageMode /UseAttachments",
                                              names)));
  const std::size_t info =
      objects.Add(fmt::format("<< /Title {} /Producer (spillway) >>", Literal(Encode(title_))));
  return objects.Finish(root, info);
}

}  // namespace spillway::cli
