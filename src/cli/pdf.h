// A small writer of PDF 1.7 (ISO 32000-1): text on A4 pages in the standard fonts, and attached
// files. The same calls give the same bytes. https://opensource.adobe.com/dc-acrobat-sdk-docs/
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace spillway::cli {

// Flows downwards, with a new page where one is full. Texts are UTF-8; what Western European fonts
// do not have is written as <U+XXXX>, so nothing is lost or mistaken.
class Pdf {
 public:
  // In the document's properties and at the foot of each page.
  explicit Pdf(std::string title);

  void Title(std::string_view text);
  void Heading(std::string_view text);
  void Paragraph(std::string_view text);
  void Row(std::string_view label, std::string_view value);
  // A file inside the document, which readers show beside it.
  void Attach(std::string name, std::string content);

  std::string Finish() const;

 private:
  enum class Font { kPlain, kBold };
  struct Piece {
    Font font;
    double size, x, y;
    std::string text;  // in the fonts' encoding
  };
  using Page = std::vector<Piece>;

  // Makes room for a line of this height and moves below it.
  void Advance(double height);
  void Put(Font font, double size, double x, std::string text);
  static std::vector<std::string> Wrap(std::string_view text, double size, double width);

  const std::string title_;
  std::vector<Page> pages_{1};
  double y_;
  std::vector<std::pair<std::string, std::string>> attached_;
};

}  // namespace spillway::cli
