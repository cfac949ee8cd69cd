// Downloads from servers that are slow, wrong or broken: nothing but the published bytes gets the file's name, and
// every failure is one line with its cause.
#include "data/fetch_file.h"

#include <thread>

#include "data/download.h"
#include "tensor/sha256.h"
#include "tests/data/files.h"
#include "tests/data/http_server.h"

namespace convoy {
namespace {

using Request = HttpServer::Request;
using Reply = HttpServer::Reply;

std::string text_of(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

std::string read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A file of 50,000 bytes that is published, and what came of fetching it.
class FetchFile : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!download::built()) GTEST_SKIP() << download::library();
  }

  // True when it is here; then it is right, and nothing else lies beside it.
  bool fetch(const std::vector<std::string>& mirrors) {
    const bool complete = fetch_file(file_, mirrors, folder_.path(), watch_);
    EXPECT_EQ(complete, std::filesystem::exists(target_));
    if (complete) {
      EXPECT_TRUE(is_published(target_, file_));
      EXPECT_FALSE(std::filesystem::exists(part_));
      EXPECT_FALSE(std::filesystem::exists(part_.string() + ".source"));
    }
    return complete;
  }

  std::string error(const std::vector<std::string>& mirrors, ErrorKind kind = ErrorKind::data) {
    const std::string message = error_of([&] { fetch(mirrors); }, kind);
    EXPECT_FALSE(std::filesystem::exists(target_)) << message;
    return message;
  }

  // The error of a server that answers everything so.
  std::string error_with(const HttpServer::Handler& handler) {
    const HttpServer server(handler);
    return error({server.url()});
  }

  const EnvironmentVariable no_proxy_{"no_proxy", "127.0.0.1,localhost"};
  const TemporaryFolder folder_;
  const std::string content_ = text_of(pattern(50'000));
  const PublishedFile file_{"a.gz", 50'000, sha256(content_)};
  const std::filesystem::path target_ = folder_.path() / "a.gz", part_ = folder_.path() / "a.gz.part";
  std::vector<std::string> told_;
  int64_t arrived_ = 0;
  FetchWatch watch_{.tell = [this](const std::string& line) { told_.push_back(line); },
                    .arrived = [this](const PublishedFile&, int64_t bytes) { arrived_ = bytes; },
                    .going_on = [] { return true; },
                    .patience = std::chrono::seconds(2)};
};

TEST_F(FetchFile, gets_a_file) {
  const HttpServer server([&](const Request& request) { return whole_file(request, content_); });
  EXPECT_TRUE(fetch({server.url()}));
  ASSERT_EQ(server.requests().size(), 1u);
  EXPECT_EQ(server.requests()[0].path, "/a.gz");
  EXPECT_EQ(arrived_, file_.bytes);
  EXPECT_TRUE(told_.empty());
}

TEST_F(FetchFile, goes_on_after_each_of_200_truncations) {
  for (int i = 0; i < 200; ++i) {
    const int64_t cut = i < 3 ? i : file_.bytes * i / 200 - i % 2;
    const HttpServer server([&](const Request& request) {
      Reply reply = whole_file(request, content_);
      if (request.number == 0) reply.cut_after = cut;
      return reply;
    });
    if (cut == 0) {
      EXPECT_TRUE(contains(error({server.url()}), {"the connection broke off"}));
    } else {
      ASSERT_TRUE(fetch({server.url()})) << cut;
      ASSERT_EQ(server.requests().size(), 2u) << cut;
      EXPECT_EQ(server.requests()[1].first, cut);
      EXPECT_EQ(server.requests()[1].headers.at("if-range"), "\"1\"");
    }
    std::filesystem::remove(target_);
  }
}

TEST_F(FetchFile, a_truncation_without_a_length_is_noticed_as_well) {
  const HttpServer server([&](const Request& request) {
    Reply reply = whole_file(request, content_);
    reply.headers["Content-Length"] = "";
    if (request.number < 3) reply.cut_after = 10'000;
    return reply;
  });
  EXPECT_TRUE(fetch({server.url()}));
  EXPECT_EQ(server.requests().size(), 4u);
}

TEST_F(FetchFile, a_server_that_ignores_ranges_sends_all_once_more) {
  const HttpServer server(
      [&](const Request& request) { return Reply{.body = content_, .cut_after = request.number == 0 ? 30'000 : -1}; });
  EXPECT_TRUE(fetch({server.url()}));
  EXPECT_EQ(server.requests()[1].first, 30'000);
}

TEST_F(FetchFile, a_file_that_changes_meanwhile_is_begun_again) {
  const std::string older = text_of(pattern(50'000, 2));
  const HttpServer server([&](const Request& request) {
    Reply reply =
        request.number == 0 ? whole_file(request, older, "\"old\"") : whole_file(request, content_, "\"new\"");
    if (request.number == 0) reply.cut_after = 20'000;
    return reply;
  });
  EXPECT_TRUE(fetch({server.url()}));
  EXPECT_EQ(server.requests().size(), 2u) << "If-Range tells the server which version is wanted";
}

TEST_F(FetchFile, parts_of_two_versions_are_found_out_without_a_tag) {
  const std::string older = text_of(pattern(50'000, 2));
  const HttpServer server([&](const Request& request) {
    Reply reply = whole_file(request, request.number == 0 ? older : content_);
    reply.headers.erase("ETag");
    if (request.number == 0) reply.cut_after = 20'000;
    return reply;
  });
  EXPECT_TRUE(fetch({server.url()}));
  EXPECT_EQ(server.requests().size(), 3u);
  EXPECT_EQ(server.requests()[2].first, 0);
}

TEST_F(FetchFile, what_an_earlier_run_left_is_gone_on_from) {
  {
    const HttpServer server([&](const Request& request) {
      Reply reply = whole_file(request, content_);
      reply.cut_after = request.number == 0 ? 20'000 : 0;
      return reply;
    });
    EXPECT_TRUE(contains(error({server.url()}), {"20000 of 50000 bytes are kept; fetch again later"}));
  }
  EXPECT_EQ(read(part_), content_.substr(0, 20'000));
  const HttpServer server([&](const Request& request) { return whole_file(request, content_, "\"elsewhere\""); });
  EXPECT_TRUE(fetch({server.url()}));
  ASSERT_EQ(server.requests().size(), 1u);
  EXPECT_EQ(server.requests()[0].first, 20'000);
  EXPECT_FALSE(server.requests()[0].headers.contains("if-range")) << "another server has tags of its own";
}

TEST_F(FetchFile, a_part_that_is_wrong_longer_or_complete_does_no_harm) {
  for (const std::string& part :
       {std::string(20'000, 'x'), std::string(60'000, 'x'), std::string(50'000, 'x'), content_}) {
    folder_.write("a.gz.part", Bytes(part.begin(), part.end()));
    const HttpServer server([&](const Request& request) { return whole_file(request, content_); });
    EXPECT_TRUE(fetch({server.url()}));
    EXPECT_EQ(server.requests().size(), part == content_ ? 0u : part.size() == 20'000u ? 2u : 1u);
    std::filesystem::remove(target_);
  }
}

TEST_F(FetchFile, stopping_keeps_what_has_arrived) {
  watch_.going_on = [&] { return arrived_ < 20'000; };
  const HttpServer server([&](const Request& request) {
    Reply reply = whole_file(request, content_);
    reply.bytes_per_second = 100'000;
    return reply;
  });
  EXPECT_FALSE(fetch({server.url()}));
  const int64_t kept = static_cast<int64_t>(std::filesystem::file_size(part_));
  EXPECT_GE(kept, 20'000);
  EXPECT_LT(kept, file_.bytes);
  watch_.going_on = [] { return true; };
  EXPECT_TRUE(fetch({server.url()}));
  EXPECT_EQ(server.requests()[1].first, kept);
}

TEST_F(FetchFile, wrong_bytes_are_never_accepted) {
  std::string wrong = content_;
  wrong[40'000] ^= 1;
  const std::string message = error_with([&](const Request& request) { return whole_file(request, wrong); });
  EXPECT_TRUE(contains(message, {"a.gz could not be downloaded", "has SHA-256 " + sha256(wrong), sha256(content_),
                                 "Try again later", "--mirror"}));
  EXPECT_FALSE(std::filesystem::exists(part_)) << "nothing to go on from";
}

TEST_F(FetchFile, files_of_another_size_are_refused) {
  const auto of = [](std::string body, const char* length) {
    return [=](const Request&) { return Reply{.headers = {{"Content-Length", length}}, .body = body}; };
  };
  EXPECT_TRUE(contains(error_with(of("<html>Please log in</html>", "26")), {"has 26 bytes, the official file 50000"}));
  EXPECT_TRUE(contains(error_with(of(content_ + "more", "")), {"has more than the 50000 bytes"}));
  EXPECT_TRUE(contains(error_with(of("", "0")), {"has 0 bytes"}));
  EXPECT_TRUE(contains(error_with(of("short", "")), {"ends after 5 of 50000 bytes"}));
}

TEST_F(FetchFile, a_page_in_place_of_the_rest_does_not_cost_what_has_arrived) {
  folder_.write("a.gz.part", Bytes(content_.begin(), content_.begin() + 20'000));
  error_with([](const Request&) { return Reply{.body = "<html>Please log in</html>"}; });
  EXPECT_EQ(read(part_), content_.substr(0, 20'000));
}

TEST_F(FetchFile, refusals_are_told_with_their_status) {
  for (const auto& [status, told] : std::map<int, std::string>{{404, "the server answers with status 404, not found"},
                                                               {500, "the server answers with status 500"},
                                                               {416, "status 416"},
                                                               {204, "status 204 instead of the file"}}) {
    const int number = status;
    EXPECT_TRUE(contains(error_with([=](const Request&) { return Reply{.status = number}; }), {"127.0.0.1", told}));
  }
}

TEST_F(FetchFile, ranges_that_were_not_asked_for_are_refused) {
  folder_.write("a.gz.part", Bytes(content_.begin(), content_.begin() + 20'000));
  const auto with = [&](const char* range) {
    return error_with([=](const Request&) { return Reply{206, {{"Content-Range", range}}, "x"}; });
  };
  EXPECT_TRUE(contains(with("bytes 10000-49999/50000"), {"sends bytes from 10000 on, asked for those from 20000 on"}));
  EXPECT_TRUE(contains(with("bytes 20000-49999/60000"), {"has 60000 bytes, the official file 50000"}));
  EXPECT_TRUE(contains(with("pages 3"), {"Content-Range 'pages 3'"}));
  EXPECT_TRUE(contains(with(""), {"Content-Range ''"}));
  EXPECT_EQ(read(part_), content_.substr(0, 20'000));
}

TEST_F(FetchFile, redirects_are_followed_up_to_ten) {
  const HttpServer server([&](const Request& request) {
    if (request.path == "/there") return whole_file(request, content_);
    return Reply{.status = 302, .headers = {{"Location", "/there"}}, .body = "moved"};
  });
  EXPECT_TRUE(fetch({server.url()}));
  std::filesystem::remove(target_);
  EXPECT_TRUE(contains(error_with([](const Request&) {
                         return Reply{.status = 302, .headers = {{"Location", "/a.gz"}}};
                       }),
                       {"more than 10 redirects"}));
  EXPECT_TRUE(contains(error_with([](const Request&) {
                         return Reply{.status = 302, .headers = {{"Location", "file:///etc/passwd"}}};
                       }),
                       {"rotocol"}));
}

// An https server in front of `server`, from construction to destruction.
class HttpsFront {
 public:
  explicit HttpsFront(const HttpServer& server) {
    const std::string http = server.url(), port = http.substr(http.rfind(':') + 1, http.size() - http.rfind(':') - 2);
    process_ = popen(
        ("python3 '" CONVOY_TEST_FILES "/data/https_front.py' " + folder_.path().string() + " " + port).c_str(), "w");
    for (int tries = 0; tries < 600 && !std::filesystem::exists(folder_.path() / "port"); ++tries)
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  ~HttpsFront() { pclose(process_); }
  HttpsFront(const HttpsFront&) = delete;
  HttpsFront& operator=(const HttpsFront&) = delete;

  std::string url() const { return "https://127.0.0.1:" + read(folder_.path() / "port") + "/"; }
  std::string certificate() const { return folder_.path() / "certificate.pem"; }

 private:
  const TemporaryFolder folder_;
  FILE* process_ = nullptr;
};

TEST_F(FetchFile, https_is_taken_from_those_whose_certificate_is_trusted) {
  if (std::system("python3 -c 'import ssl' 2>/dev/null && openssl version >/dev/null 2>&1") != 0)
    GTEST_SKIP() << "python3 or openssl is missing";
  const HttpServer server([&](const Request& request) {
    Reply reply = whole_file(request, content_);
    if (request.number == 0) reply.cut_after = 20'000;
    return reply;
  });
  const HttpsFront front(server);
  EXPECT_TRUE(contains(error({front.url()}), {front.url(), "certificate"}));
  EXPECT_TRUE(server.requests().empty()) << "nothing is asked of a server that is not trusted";

  const EnvironmentVariable trusted("SSL_CERT_FILE", front.certificate().c_str());
  EXPECT_TRUE(fetch({front.url()}));
  EXPECT_EQ(server.requests().size(), 2u) << "a connection that broke off is gone on from";
  EXPECT_EQ(server.requests()[1].first, 20'000);

  std::filesystem::remove(target_);
  std::string other_name = front.url();
  other_name.replace(other_name.find("127.0.0.1"), 9, "localhost");
  EXPECT_TRUE(contains(error({other_name}), {"localhost", "certificate"})) << "the certificate is of 127.0.0.1";
}

TEST_F(FetchFile, servers_that_stall_are_left_after_a_while) {
  EXPECT_TRUE(contains(error_with([&](const Request& request) {
                         Reply reply = whole_file(request, content_);
                         reply.cut_after = request.number == 0 ? 10'000 : 0;
                         reply.stall_then = true;
                         return reply;
                       }),
                       {"the server has stalled, next to nothing came for 2 s", "10000 of 50000 bytes are kept"}));
}

TEST_F(FetchFile, the_next_mirror_goes_on) {
  const HttpServer broken([&](const Request& request) {
    Reply reply = whole_file(request, content_);
    reply.cut_after = request.number == 0 ? 20'000 : 0;
    return reply;
  });
  const HttpServer missing([](const Request&) { return Reply{.status = 404}; });
  const HttpServer good([&](const Request& request) { return whole_file(request, content_); });
  EXPECT_TRUE(fetch({missing.url(), broken.url(), "http://127.0.0.1:1/", good.url()}));
  EXPECT_EQ(good.requests().at(0).first, 20'000);
  ASSERT_EQ(told_.size(), 3u);
  EXPECT_TRUE(
      contains(told_[0], {missing.url() + "a.gz: the server answers with status 404, not found; trying the next"}));
  EXPECT_TRUE(contains(told_[1], {"broke off"}));
  EXPECT_TRUE(contains(told_[2], {"127.0.0.1"}));
}

TEST_F(FetchFile, all_mirrors_failing_names_each) {
  const HttpServer missing([](const Request&) { return Reply{.status = 404}; });
  EXPECT_TRUE(contains(error({missing.url(), "http://127.0.0.1:1/", "http://no-such-host.invalid/"}),
                       {"404", "http://127.0.0.1:1/a.gz: ", "http://no-such-host.invalid/a.gz: "}));
}

TEST_F(FetchFile, an_older_file_is_kept) {
  folder_.write("a.gz", {1, 2, 3});
  const HttpServer server([&](const Request& request) { return whole_file(request, content_); });
  EXPECT_TRUE(fetch({server.url()}));
  EXPECT_EQ(read(folder_.path() / "a.gz.old"), "\1\2\3");
}

}  // namespace
}  // namespace convoy
