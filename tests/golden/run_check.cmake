# cmake -DSCRIPT=check_ours.py -DOURS=<file> -P run_check.cmake, with RASK_PYTHON in the environment.
if("$ENV{RASK_PYTHON}" STREQUAL "")
  message(STATUS "skipped: RASK_PYTHON names no python with distributed")
  return()
endif()
execute_process(COMMAND $ENV{RASK_PYTHON} ${SCRIPT} ${OURS} RESULT_VARIABLE result)
if(NOT result EQUAL 0)
  message(FATAL_ERROR "stock distributed does not read what rask writes")
endif()
