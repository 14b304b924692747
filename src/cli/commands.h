// What each command does. All return the exit code: 0 done, 1 failed or the answer is no, 2 wrong
// input.
#pragma once

#include <atomic>
#include <istream>
#include <ostream>
#include <string>
#include <vector>

#include "base/result.h"
#include "cli/arguments.h"
#include "cli/text.h"

namespace spillway::cli {

// Everything a command touches besides the daemon and files.
struct Io {
  std::istream& in;
  std::ostream& out;
  std::ostream& err;
  Terminal terminal;                          // of `out`
  const std::atomic<bool>* stop = nullptr;    // set by Ctrl-C; ends -w and -f
  int in_descriptor = 0, out_descriptor = 1;  // of dial-stdio

  bool Stopped() const { return stop != nullptr && stop->load(); }
};

// How the program was started.
struct Invocation {
  Surroundings around;
  bool plugin = false;  // as `kubectl spillway`: in the cluster, unless --socket says otherwise
};

// By its file's name: kubectl finds plug-ins as kubectl-spillway, and asks
// kubectl_complete-spillway to complete their lines, for which `words` gets the command.
Invocation InvocationAs(const std::string& path, std::vector<std::string>& words,
                        Surroundings around);

// Parses the words and runs the command.
int Run(const std::vector<std::string>& words, const Invocation& invocation, Io& io);

// "error: ..." on io.err, and the exit code that belongs to it.
int Report(Io& io, const Error& error);

// objects.cc
int Apply(const Arguments& a, Io& io);
int Get(const Arguments& a, Io& io);
int Describe(const Arguments& a, Io& io);
int Delete(const Arguments& a, Io& io);

// progress.cc
int Logs(const Arguments& a, Io& io);
int Wait(const Arguments& a, Io& io);

// views.cc
int Status(const Arguments& a, Io& io);
int Offers(const Arguments& a, Io& io);
int Explain(const Arguments& a, Io& io);
int Plan(const Arguments& a, Io& io);
int Cost(const Arguments& a, Io& io);
int Doctor(const Arguments& a, Io& io);
int Version(const Arguments& a, Io& io);

// evidence.cc
int AuditVerify(const Arguments& a, Io& io);
int AuditCertificate(const Arguments& a, Io& io);
int AuditExport(const Arguments& a, Io& io);
int AuditScan(const Arguments& a, Io& io);

// dial.cc
int DialStdio(const Arguments& a, Io& io);

}  // namespace spillway::cli
