# cmake -DINPUT=<first_boot.sh> -DOUTPUT=<file.cc> -P embed.cmake
# Writes the script as a string literal.
file(READ ${INPUT} text)
set(out "#include \"machine/first_boot_script.h\"\n\nnamespace spillway::machine {\n\n")
string(APPEND out "std::string_view FirstBootScript() {\n  return R\"spw_file(${text})spw_file\";\n}\n\n")
string(APPEND out "}  // namespace spillway::machine\n")
get_filename_component(directory ${OUTPUT} DIRECTORY)
file(MAKE_DIRECTORY ${directory})
file(WRITE ${OUTPUT} "${out}")
