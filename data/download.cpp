#include "data/download.h"

#include <curl/curl.h>

#include <charconv>
#include <cstdlib>
#include <exception>
#include <memory>

#include "tensor/error.h"

namespace convoy::download {
namespace {

constexpr long kMostRedirects = 10;
constexpr long kStalled = 100;  // bytes per second, below which nothing moves

// Once per process, and never undone: libcurl is in use until the end.
void initialise() {
  static const CURLcode result = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (result != CURLE_OK) fail(ErrorKind::internal, "libcurl: {}", curl_easy_strerror(result));
}

struct Cleanup {
  void operator()(CURL* handle) const { curl_easy_cleanup(handle); }
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

// A download on its way through libcurl's callbacks, which nothing may be thrown through.
struct Transfer {
  const Request& request;
  const Receiver& receiver;
  std::unique_ptr<CURL, Cleanup> handle;
  bool begun = false, stopped = false;
  std::exception_ptr thrown;

  template <class Option, class Value>
  void set(Option option, Value value) {
    const CURLcode result = curl_easy_setopt(handle.get(), option, value);
    if (result != CURLE_OK) fail(ErrorKind::data, "{}: {}", request.url, curl_easy_strerror(result));
  }

  // A header of the last answer, that is, behind all redirects; or "".
  std::string header(const char* name) const {
    curl_header* found = nullptr;
    return curl_easy_header(handle.get(), name, 0, CURLH_HEADER, -1, &found) == CURLHE_OK ? found->value : "";
  }

  long status() const {
    long status = 0;
    curl_easy_getinfo(handle.get(), CURLINFO_RESPONSE_CODE, &status);
    return status;
  }

  Answer answer() const;

  // Of what a callback does; false when it threw.
  template <class Call>
  bool guarded(Call&& call) {
    try {
      call();
    } catch (...) {
      thrown = std::current_exception();
    }
    return !thrown;
  }
};

// "bytes 100-199/200" or "bytes 100-199/*".
Answer parse_range(const std::string& url, const std::string& text) {
  Answer range;
  constexpr std::string_view kUnit = "bytes ";
  const size_t slash = text.find('/');
  const char* const end = text.data() + text.size();
  const bool known_unit = text.starts_with(kUnit) && slash != std::string::npos;
  if (!known_unit || std::from_chars(text.data() + kUnit.size(), end, range.first).ec != std::errc())
    fail(ErrorKind::data, "{}: answers with a part of the file, but not which: Content-Range '{}'", url, text);
  if (std::from_chars(text.data() + slash + 1, end, range.total).ec != std::errc()) range.total = -1;
  return range;
}

Answer Transfer::answer() const {
  Answer answer;
  if (status() == 206) {
    answer = parse_range(request.url, header("Content-Range"));
    if (answer.first != request.first)
      fail(ErrorKind::data, "{}: sends bytes from {} on, asked for those from {} on", request.url, answer.first,
           request.first);
  } else if (status() == 200) {
    curl_off_t length = -1;
    curl_easy_getinfo(handle.get(), CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    answer.total = length;
  } else {
    fail(ErrorKind::data, "{}: answers with status {} instead of the file", request.url, status());
  }
  // A weak tag says that two versions mean the same, not that their bytes are.
  answer.validator = header("ETag");
  if (answer.validator.empty() || answer.validator.starts_with("W/")) answer.validator = header("Last-Modified");
  return answer;
}

void begin(Transfer& transfer) {
  if (transfer.begun) return;
  transfer.receiver.begin(transfer.answer());
  transfer.begun = true;
}

size_t on_bytes(char* bytes, size_t, size_t count, void* user) {
  Transfer& transfer = *static_cast<Transfer*>(user);
  const bool taken = transfer.guarded([&] {
    begin(transfer);
    transfer.receiver.add({bytes, count});
  });
  return taken ? count : CURL_WRITEFUNC_ERROR;
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  Transfer& transfer = *static_cast<Transfer*>(user);
  const bool asked = transfer.guarded([&] { transfer.stopped = !transfer.receiver.going_on(); });
  return !asked || transfer.stopped;
}

std::string cause(const Transfer& transfer, CURLcode result, const char* details) {
  const long seconds = transfer.request.patience.count();
  switch (result) {
    case CURLE_HTTP_RETURNED_ERROR:
      return fmt::format("the server answers with status {}{}", transfer.status(),
                         transfer.status() == 404 ? ", not found" : "");
    case CURLE_OPERATION_TIMEDOUT:
      return transfer.status() != 0 ? fmt::format("the server has stalled, next to nothing came for {} s", seconds)
                                    : fmt::format("no answer within {} s", seconds);
    case CURLE_TOO_MANY_REDIRECTS:
      return fmt::format("more than {} redirects", kMostRedirects);
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
      return "the connection broke off";
    default:
      return *details == 0 ? curl_easy_strerror(result) : details;
  }
}

}  // namespace

bool built() { return true; }
std::string library() { return fmt::format("libcurl {}", curl_version_info(CURLVERSION_NOW)->version); }

bool get(const Request& request, const Receiver& receiver) {
  initialise();
  Transfer transfer{request, receiver, std::unique_ptr<CURL, Cleanup>(curl_easy_init()), false, false, nullptr};
  if (transfer.handle == nullptr) fail(ErrorKind::internal, "libcurl: cannot start a download");
  char details[CURL_ERROR_SIZE] = "";
  transfer.set(CURLOPT_ERRORBUFFER, details);
  transfer.set(CURLOPT_URL, request.url.c_str());
  transfer.set(CURLOPT_PROTOCOLS_STR, "http,https");
  // As the commands of curl and OpenSSL do; libcurl itself looks only where it was told when it was built.
  if (const char* trusted = std::getenv("SSL_CERT_FILE")) transfer.set(CURLOPT_CAINFO, trusted);
  transfer.set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
  transfer.set(CURLOPT_FOLLOWLOCATION, 1L);
  transfer.set(CURLOPT_MAXREDIRS, kMostRedirects);
  transfer.set(CURLOPT_FAILONERROR, 1L);
  transfer.set(CURLOPT_USERAGENT, "convoy");
  transfer.set(CURLOPT_NOSIGNAL, 1L);
  transfer.set(CURLOPT_CONNECTTIMEOUT, static_cast<long>(request.patience.count()));
  transfer.set(CURLOPT_LOW_SPEED_LIMIT, kStalled);
  transfer.set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(request.patience.count()));
  transfer.set(CURLOPT_WRITEFUNCTION, on_bytes);
  transfer.set(CURLOPT_WRITEDATA, &transfer);
  transfer.set(CURLOPT_NOPROGRESS, 0L);
  transfer.set(CURLOPT_XFERINFOFUNCTION, on_progress);
  transfer.set(CURLOPT_XFERINFODATA, &transfer);
  // Not CURLOPT_RESUME_FROM, which makes an error of a server that sends the whole file.
  const std::string range = fmt::format("{}-", request.first), condition = "If-Range: " + request.validator;
  std::unique_ptr<curl_slist, Cleanup> headers;
  if (request.first > 0) {
    transfer.set(CURLOPT_RANGE, range.c_str());
    if (!request.validator.empty()) {
      headers.reset(curl_slist_append(nullptr, condition.c_str()));
      transfer.set(CURLOPT_HTTPHEADER, headers.get());
    }
  }

  const CURLcode result = curl_easy_perform(transfer.handle.get());
  if (transfer.thrown) std::rethrow_exception(transfer.thrown);
  if (transfer.stopped) return false;
  if (result != CURLE_OK) fail(ErrorKind::data, "{}: {}", request.url, cause(transfer, result, details));
  begin(transfer);  // of an empty file
  return true;
}

}  // namespace convoy::download
