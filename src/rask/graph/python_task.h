#pragma once
// Functions of Python, called from C++.
//
//   const auto sqrt = rask::python<double(double)>("math:sqrt");
//   rask::Future<double> root = client.submit(sqrt, 2.0);
//
// Such a task runs on Python workers. Arguments and result are plain data: nil, bool, numbers,
// text, bytes, lists, maps; also futures of any task whose result is such. That the function takes
// these types is the caller's word: what comes back is checked when it is read.
#include <string>
#include <string_view>

#include "rask/graph/function.h"
#include "rask/graph/key.h"
#include "rask/wire/payload.h"

namespace rask {

namespace internal {

inline constexpr std::string_view kPythonPrefix = "python:";

// "python:math:sqrt" for "math:sqrt".   throws  std::invalid_argument: it is not module:function
std::string python_name(std::string_view function);

// The run_spec of a call of such a function under that key: a pickle of dask._task_spec.Task.
//   REQUIRES  a call without frames (graph/task.h)
wire::Payload python_run_spec(const Key& key, const wire::Payload& call);

}  // namespace internal

// The function of that name, "module:function" or "module:Class.method", as a callable of this
// signature. The module is imported by the Python worker that runs a task of it.
//   throws  std::invalid_argument: the name is not of that form
template <class Signature>
FunctionHandle<Signature> python(std::string_view function) {
  return FunctionHandle<Signature>{internal::python_name(function)};
}

}  // namespace rask
