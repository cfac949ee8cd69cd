// One download over http or https, by libcurl. A build without it links no_download.cpp. Certificates are checked against the
// system's authorities, or those in $SSL_CERT_FILE.
//
// Ranges and their conditions: RFC 9110, sections 13.1.5 and 14.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace convoy::download {

bool built();
std::string library();  // "libcurl 7.88.1", or why there is none

struct Request {
  std::string url;
  int64_t first = 0;  // the bytes before this one are here already
  std::string
      validator{};  // what the server gave with them: if they have changed since, it sends all from 0; may be empty
  std::chrono::seconds patience{30};  // to be connected, and without a sign of progress
};

struct Answer {
  int64_t first = 0;      // where the bytes that follow belong: as asked, or 0 from a server that sends all
  int64_t total = -1;     // bytes of the whole file; -1 when the server does not say
  std::string validator;  // of this version of the file: an entity tag or a date, may be empty
};

struct Receiver {
  std::function<void(const Answer&)> begin;   // once, before the first bytes
  std::function<void(std::string_view)> add;  // the next bytes
  std::function<bool()> going_on;             // asked about once a second at least; false ends the download
};

// Gets a file, following redirects. Returns false when going_on() said no. Throws Error(data), which begins with the
// URL, for a server that is not reached, refuses, stalls, or breaks off; what the receiver throws; and Error(usage) in
// a build without libcurl.
bool get(const Request& request, const Receiver& receiver);

}  // namespace convoy::download
