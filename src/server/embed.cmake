# cmake -DINPUT=<openapi.yaml> -DOUTPUT=<file.cc> -P embed.cmake
# Writes the API document as string literals. A literal may have 64 KiB, so it is written in pieces
# that the compiler joins when the program starts.
file(READ ${INPUT} text)
set(out "#include \"server/api_document.h\"\n\nnamespace spillway::server {\n\n")
string(APPEND out "const std::string& ApiDocument() {\n  static const std::string text = [] {\n    std::string all;\n")
string(LENGTH "${text}" length)
set(at 0)
while(at LESS length)
  string(SUBSTRING "${text}" ${at} 8000 piece)
  string(APPEND out "    all += R\"spw_file(${piece})spw_file\";\n")
  math(EXPR at "${at} + 8000")
endwhile()
string(APPEND out "    return all;\n  }();\n  return text;\n}\n\n}  // namespace spillway::server\n")
get_filename_component(directory ${OUTPUT} DIRECTORY)
file(MAKE_DIRECTORY ${directory})
file(WRITE ${OUTPUT} "${out}")
