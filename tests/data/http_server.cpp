#include "tests/data/http_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <sstream>
#include <stdexcept>

namespace convoy {
namespace {

constexpr int kPollEvery = 20;  // milliseconds between two looks at whether the server ends

HttpServer::Request parse(const std::string& text) {
  HttpServer::Request request;
  std::istringstream lines(text);
  std::string line, method;
  std::getline(lines, line);
  std::istringstream(line) >> method >> request.path;
  while (std::getline(lines, line) && line.size() > 1) {
    std::string name = line.substr(0, line.find(':'));
    std::ranges::transform(name, name.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    const size_t begin = line.find_first_not_of(' ', name.size() + 1);
    request.headers[name] = line.substr(begin, line.find_last_not_of("\r ") + 1 - begin);
  }
  const auto range = request.headers.find("range");
  if (range != request.headers.end()) request.first = std::stoll(range->second.substr(std::string("bytes=").size()));
  return request;
}

}  // namespace

HttpServer::HttpServer(Handler handler) : handler_(std::move(handler)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener_, 16) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    throw std::runtime_error("no server on 127.0.0.1");
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_connections(); });
}

HttpServer::~HttpServer() {
  ending_ = true;
  acceptor_.join();
  for (std::thread& connection : connections_) connection.join();
  close(listener_);
}

std::string HttpServer::url() const { return fmt::format("http://127.0.0.1:{}/", port_); }

std::vector<HttpServer::Request> HttpServer::requests() const {
  const std::lock_guard lock(mutex_);
  return requests_;
}

void HttpServer::accept_connections() {
  while (!ending_) {
    pollfd ready = {listener_, POLLIN, 0};
    if (poll(&ready, 1, kPollEvery) <= 0) continue;
    const int connection = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) continue;
    const std::lock_guard lock(mutex_);
    connections_.emplace_back([this, connection] { serve(connection); });
  }
}

void HttpServer::serve(int connection) {
  std::string text;
  while (text.find("\r\n\r\n") == std::string::npos && !ending_) {
    pollfd ready = {connection, POLLIN, 0};
    if (poll(&ready, 1, kPollEvery) <= 0) continue;
    char piece[4096];
    const ssize_t got = recv(connection, piece, sizeof piece, 0);
    if (got <= 0) break;
    text.append(piece, static_cast<size_t>(got));
  }
  Request request = parse(text);
  {
    const std::lock_guard lock(mutex_);
    request.number = static_cast<int>(requests_.size());
    requests_.push_back(request);
  }
  Reply reply = handler_(request);
  std::string head = fmt::format("HTTP/1.1 {} Made up\r\nConnection: close\r\n", reply.status);
  reply.headers.try_emplace("Content-Length", std::to_string(reply.body.size()));
  for (const auto& [name, value] : reply.headers) {
    if (!value.empty()) head += fmt::format("{}: {}\r\n", name, value);
  }
  const size_t length = reply.cut_after < 0 ? reply.body.size() : static_cast<size_t>(reply.cut_after);
  const std::string message = head + "\r\n" + reply.body.substr(0, length);
  const size_t step = reply.bytes_per_second > 0
                          ? static_cast<size_t>(std::max<int64_t>(1, reply.bytes_per_second * kPollEvery / 1000))
                          : message.size();
  for (size_t at = 0; at < message.size() && !ending_; at += step) {
    const std::string piece = message.substr(at, step);
    if (send(connection, piece.data(), piece.size(), MSG_NOSIGNAL) < 0) break;
    if (step < message.size()) std::this_thread::sleep_for(std::chrono::milliseconds(kPollEvery));
  }
  while (reply.stall_then && !ending_) std::this_thread::sleep_for(std::chrono::milliseconds(kPollEvery));
  shutdown(connection, SHUT_RDWR);
  close(connection);
}

HttpServer::Reply whole_file(const HttpServer::Request& request, const std::string& bytes, const std::string& tag) {
  HttpServer::Reply reply{.headers = {{"ETag", tag}}, .body = bytes};
  const auto condition = request.headers.find("if-range");
  const bool same = condition == request.headers.end() || condition->second == tag;
  if (request.headers.contains("range") && same) {
    reply.status = 206;
    reply.headers["Content-Range"] = fmt::format("bytes {}-{}/{}", request.first, bytes.size() - 1, bytes.size());
    reply.body = bytes.substr(static_cast<size_t>(request.first));
  }
  return reply;
}

}  // namespace convoy
