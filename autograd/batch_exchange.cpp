#include "autograd/batch_exchange.h"

#include <utility>

namespace convoy {
namespace {

thread_local BatchExchange* current_exchange = nullptr;

}  // namespace

BatchExchange* BatchExchange::current() { return current_exchange; }

BatchExchangeScope::BatchExchangeScope(BatchExchange* exchange)
    : previous_(std::exchange(current_exchange, exchange)) {}
BatchExchangeScope::~BatchExchangeScope() { current_exchange = previous_; }

}  // namespace convoy
