// Result<T>: a value, or an Error that says what is wrong. The user's mistakes travel as Results or diagnostics;
// broken invariants are DNN_ASSERTs.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace dnn {

/// What went wrong, as a sentence for the user (lower case, no full stop) and, where known, "file:line:col".
struct Error {
  std::string message;
  std::string where;
};

template <class T>
class [[nodiscard]] Result {
public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }
  T& value() { return std::get<0>(state_); }
  const T& value() const { return std::get<0>(state_); }
  T& operator*() { return value(); }
  const T& operator*() const { return value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  const Error& error() const { return std::get<1>(state_); }

private:
  std::variant<T, Error> state_;
};

struct Unit {};
using Status = Result<Unit>;
inline Status success() { return Unit{}; }

} // namespace dnn
