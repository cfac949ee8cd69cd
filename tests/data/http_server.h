// A server on 127.0.0.1 whose answers a test makes up, however bad.
//
//   HttpServer server([&](const HttpServer::Request& request) { return whole_file(request, bytes); });
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace convoy {

class HttpServer {
 public:
  struct Request {
    std::string path;                            // "/a.gz"
    std::map<std::string, std::string> headers;  // names in lower case
    int number = 0;                              // how many came before
    int64_t first = 0;                           // of its Range, 0 without
  };
  struct Reply {
    int status = 200;
    std::map<std::string, std::string> headers{};  // Content-Length is that of the body, unless given here
    std::string body{};
    int64_t cut_after = -1;        // closes the connection after so many bytes of the body; -1: sends all
    bool stall_then = false;       // what cut_after cuts off is waited for in vain instead, until the server ends
    int64_t bytes_per_second = 0;  // 0: as fast as it goes
  };
  using Handler = std::function<Reply(const Request&)>;  // called by one thread for each connection

  explicit HttpServer(Handler handler);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  std::string url() const;  // "http://127.0.0.1:40123/"
  std::vector<Request> requests() const;

 private:
  void accept_connections();
  void serve(int connection);

  Handler handler_;
  int listener_ = -1, port_ = 0;
  std::atomic<bool> ending_ = false;
  mutable std::mutex mutex_;  // guards the following two
  std::vector<Request> requests_;
  std::vector<std::thread> connections_;
  std::thread acceptor_;
};

// What a good server answers: all of `bytes`, or those from the asked one on unless If-Range names another version.
HttpServer::Reply whole_file(const HttpServer::Request& request, const std::string& bytes,
                             const std::string& tag = "\"1\"");

}  // namespace convoy
