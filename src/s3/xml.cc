#include "s3/xml.h"

#include <expat.h>
#include <fmt/format.h>

#include <memory>

namespace spillway::s3 {
namespace {

struct FreeParser {
  void operator()(XML_Parser parser) const { XML_ParserFree(parser); }
};
using Parser = std::unique_ptr<std::remove_pointer_t<XML_Parser>, FreeParser>;

// What the callbacks fill in. Elements are taken off the stack into their parents when they end.
struct Reading {
  XML_Parser parser = nullptr;
  const XmlLimits& limits;
  std::vector<XmlElement> open;
  XmlElement root;
  std::size_t elements = 0;
  std::string refused;

  void Refuse(std::string why) {
    refused = std::move(why);
    XML_StopParser(parser, XML_FALSE);
  }
};

void OnStart(void* user, const XML_Char* name, const XML_Char**) {
  auto* reading = static_cast<Reading*>(user);
  if (++reading->elements > reading->limits.elements)
    return reading->Refuse(fmt::format("more than {} elements", reading->limits.elements));
  if (static_cast<int>(reading->open.size()) >= reading->limits.depth)
    return reading->Refuse(fmt::format("more than {} levels deep", reading->limits.depth));
  std::string_view text = name;
  if (const std::size_t colon = text.find(':'); colon != std::string_view::npos)
    text.remove_prefix(colon + 1);
  reading->open.push_back({std::string(text), {}, {}});
}

void OnEnd(void* user, const XML_Char*) {
  auto* reading = static_cast<Reading*>(user);
  XmlElement done = std::move(reading->open.back());
  reading->open.pop_back();
  if (reading->open.empty())
    reading->root = std::move(done);
  else
    reading->open.back().children.push_back(std::move(done));
}

void OnText(void* user, const XML_Char* text, int length) {
  auto* reading = static_cast<Reading*>(user);
  if (!reading->open.empty())
    reading->open.back().text.append(text, static_cast<std::size_t>(length));
}

void OnDoctype(void* user, const XML_Char*, const XML_Char*, const XML_Char*, int) {
  static_cast<Reading*>(user)->Refuse("a document type");
}

}  // namespace

const XmlElement* XmlElement::Child(std::string_view child) const {
  for (const XmlElement& element : children)
    if (element.name == child) return &element;
  return nullptr;
}

std::string_view XmlElement::Text(std::string_view child) const {
  const XmlElement* element = Child(child);
  return element == nullptr ? std::string_view() : std::string_view(element->text);
}

Result<XmlElement> ParseXml(std::string_view text, const XmlLimits& limits) {
  if (text.size() > limits.bytes)
    return Fail(Code::kUnavailable, fmt::format("an XML answer of {} bytes; {} is the most",
                                                text.size(), limits.bytes));
  const Parser parser(XML_ParserCreate(nullptr));
  SPW_CHECK(parser != nullptr, "XML_ParserCreate failed");
  Reading reading{parser.get(), limits, {}, {}, 0, {}};
  XML_SetUserData(parser.get(), &reading);
  XML_SetElementHandler(parser.get(), &OnStart, &OnEnd);
  XML_SetCharacterDataHandler(parser.get(), &OnText);
  XML_SetStartDoctypeDeclHandler(parser.get(), &OnDoctype);
  const XML_Status status =
      XML_Parse(parser.get(), text.data(), static_cast<int>(text.size()), XML_TRUE);
  if (!reading.refused.empty())
    return Fail(Code::kUnavailable, "an XML answer with " + reading.refused);
  if (status != XML_STATUS_OK)
    return Fail(Code::kUnavailable, fmt::format("an answer that is not XML: {} in line {}",
                                                XML_ErrorString(XML_GetErrorCode(parser.get())),
                                                XML_GetCurrentLineNumber(parser.get())));
  return std::move(reading.root);
}

}  // namespace spillway::s3
